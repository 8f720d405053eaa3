mod bad_input;
mod database_role;
mod headers;
mod metrics;
mod query_counts;
mod rate_limits;
mod specification;
mod status;
