mod leases;
mod pooling;
