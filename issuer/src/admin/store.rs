//! The only SQL about the acts of admins and operators.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{Act, UserFilter, UserListing};
use crate::accounts::Email;
use crate::db::DbError;
use crate::http::Caller;

/// An act of an admin; answers its outcome.
pub async fn act_on_user(
    connection: &mut PgConnection,
    caller: &Caller,
    target_id: &str,
    act: &Act,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.act_on_user($1, $2, $3, $4, $5, $6) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        act.name(),
        target_id,
        act.arguments(),
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// An act of the operator; answers its outcome.
pub async fn operate_on_user(
    connection: &mut PgConnection,
    target_id: &str,
    act: &Act,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.operate_on_user($1, $2, $3) as "outcome!""#,
        act.name(),
        target_id,
        act.arguments(),
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Makes an admin and says when; `None` when the address is taken.
pub async fn create_admin(
    connection: &mut PgConnection,
    user_id: &str,
    email: &Email,
    name: Option<&str>,
    password_hash: &str,
) -> Result<Option<OffsetDateTime>, DbError> {
    let created_at = sqlx::query_scalar!(
        "select auth.create_admin($1, $2, $3, $4)",
        user_id,
        email.as_str(),
        name,
        password_hash,
    )
    .fetch_one(connection)
    .await?;
    Ok(created_at)
}

struct ListingRow {
    standing: Option<String>,
    id: Option<String>,
    email: Option<String>,
    name: Option<String>,
    role: Option<String>,
    status: Option<String>,
    status_reason: Option<String>,
    status_until: Option<OffsetDateTime>,
    email_verified: Option<bool>,
    two_factor_enabled: Option<bool>,
    locale: Option<String>,
    n_sessions: Option<i64>,
    created_at: Option<OffsetDateTime>,
    deleted_at: Option<OffsetDateTime>,
    erase_after: Option<OffsetDateTime>,
}

impl ListingRow {
    /// `None` for the row that only says who asks.
    fn into_listing(self) -> Option<UserListing> {
        Some(UserListing {
            id: self.id?,
            email: self.email?,
            name: self.name,
            role: self.role?,
            status: self.status?,
            status_reason: self.status_reason,
            status_until: self.status_until,
            email_verified: self.email_verified?,
            two_factor_enabled: self.two_factor_enabled?,
            locale: self.locale?,
            n_sessions: self.n_sessions?,
            created_at: self.created_at?,
            deleted_at: self.deleted_at,
            erase_after: self.erase_after,
        })
    }
}

/// Users with the standing of the admin who asks; none unless they may.
pub async fn list_users(
    connection: &mut PgConnection,
    caller: &Caller,
    filter: &UserFilter,
    after_id: Option<&str>,
    limit: i32,
) -> Result<(String, Vec<UserListing>), DbError> {
    let rows = sqlx::query_as!(
        ListingRow,
        "select standing, (listed).id, (listed).email, (listed).name, (listed).role, (listed).status,
                (listed).status_reason, (listed).status_until, (listed).email_verified, (listed).two_factor_enabled,
                (listed).locale, (listed).n_sessions, (listed).created_at, (listed).deleted_at, (listed).erase_after
           from auth.list_users($1, $2, $3, $4, $5, $6, $7)",
        caller.user_id,
        caller.session_id,
        filter.query,
        filter.status,
        filter.role,
        after_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let mut rows = rows.into_iter();
    let standing = rows.next().and_then(|row| row.standing);
    let standing = standing.ok_or(DbError::Inconsistent("no standing"))?;
    Ok((
        standing,
        rows.filter_map(ListingRow::into_listing).collect(),
    ))
}

/// One user with the standing of the admin who asks.
pub async fn load_user(
    connection: &mut PgConnection,
    caller: &Caller,
    user_id: &str,
) -> Result<(String, Option<UserListing>), DbError> {
    let row = sqlx::query_as!(
        ListingRow,
        "select standing, (listed).id, (listed).email, (listed).name, (listed).role, (listed).status,
                (listed).status_reason, (listed).status_until, (listed).email_verified, (listed).two_factor_enabled,
                (listed).locale, (listed).n_sessions, (listed).created_at, (listed).deleted_at, (listed).erase_after
           from auth.load_user_listing($1, $2, $3)",
        caller.user_id,
        caller.session_id,
        user_id,
    )
    .fetch_one(connection)
    .await?;
    let standing = row.standing.clone();
    let standing = standing.ok_or(DbError::Inconsistent("no standing"))?;
    Ok((standing, row.into_listing()))
}

/// The same list for the operator.
pub async fn operator_find_users(
    connection: &mut PgConnection,
    filter: &UserFilter,
    limit: i32,
) -> Result<Vec<UserListing>, DbError> {
    let rows = sqlx::query_as!(
        ListingRow,
        r#"select null as "standing: String", id, email, name, role, status, status_reason, status_until, email_verified,
                  two_factor_enabled, locale, n_sessions, created_at, deleted_at, erase_after
             from auth.operator_find_users($1, $2, $3, null, $4)"#,
        filter.query,
        filter.status,
        filter.role,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(ListingRow::into_listing)
        .collect())
}

/// A session that an admin opens in somebody's place.
pub struct NewImpersonation<'a> {
    pub target_id: &'a str,
    pub session_id: &'a str,
    pub nonce_hash: &'a [u8],
    pub reason: &'a str,
    pub ttl_secs: i32,
}

/// The user in whose place an admin acts, and the outcome.
pub struct ImpersonatedRow {
    pub outcome: String,
    pub email: Option<String>,
    pub role: Option<String>,
    pub email_verified: Option<bool>,
    pub token_cutoff: Option<i64>,
}

pub async fn impersonate(
    connection: &mut PgConnection,
    caller: &Caller,
    new: &NewImpersonation<'_>,
    request: &Value,
) -> Result<ImpersonatedRow, DbError> {
    let row = sqlx::query_as!(
        ImpersonatedRow,
        r#"select outcome as "outcome!", email, role, email_verified, token_cutoff
             from auth.impersonate($1, $2, $3, $4, $5, $6, $7, $8)"#,
        caller.user_id,
        caller.session_id,
        new.target_id,
        new.session_id,
        new.nonce_hash,
        new.reason,
        new.ttl_secs,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Whether the caller is an admin now: `fresh`, `stale` or why not.
pub async fn standing(connection: &mut PgConnection, caller: &Caller) -> Result<String, DbError> {
    let standing = sqlx::query_scalar!(
        r#"select auth.admin_role_standing($1, $2) as "standing!""#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_one(connection)
    .await?;
    Ok(standing)
}
