//! The only SQL about the outbox.

use sqlx::PgConnection;

use super::model::DueMail;
use crate::db::DbError;

/// What became of one try.
pub struct Outcome<'a> {
    /// `delivered`, `retry` or `dead`.
    pub verdict: &'static str,
    /// Why not, in one word.
    pub code: Option<&'a str>,
    /// When to try again.
    pub retry_secs: i32,
}

/// Leases mail that is due.
pub async fn claim_mail(
    connection: &mut PgConnection,
    limit: i32,
    lease_secs: i32,
    max_attempts: i32,
) -> Result<Vec<DueMail>, DbError> {
    let rows = sqlx::query_as!(
        DueMail,
        r#"select id as "id!", template as "template!", attempt as "attempt!", created_at as "created_at!",
                  recipient as "recipient!", name, locale as "locale!", token_id, new_email, device_name,
                  user_agent, ip_address, happened_at as "happened_at!", change,
                  auth.mail_facts(id) as facts, wanted as "wanted!"
             from auth.claim_mail($1, $2, $3)"#,
        limit,
        lease_secs,
        max_attempts,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Notes what became of a try; `false` when another issuer has taken the mail over.
pub async fn finish_mail(
    connection: &mut PgConnection,
    mail: &DueMail,
    outcome: &Outcome<'_>,
) -> Result<bool, DbError> {
    let finished = sqlx::query_scalar!(
        r#"select auth.finish_mail($1, $2, $3, $4, $5) as "finished!""#,
        mail.id,
        mail.attempt,
        outcome.verdict,
        outcome.code,
        outcome.retry_secs,
    )
    .fetch_one(connection)
    .await?;
    Ok(finished)
}

/// How much mail waits, and the age of the oldest in seconds.
pub async fn load_backlog(connection: &mut PgConnection) -> Result<(i64, i64), DbError> {
    let row = sqlx::query!(
        r#"select n_waiting as "n_waiting!", oldest_secs as "oldest_secs!" from auth.mail_backlog()"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.n_waiting, row.oldest_secs))
}

/// Forgets links that ran out and mail that was sent long ago; says how many.
pub async fn sweep_mail(connection: &mut PgConnection) -> Result<i64, DbError> {
    let swept = sqlx::query_scalar!(r#"select auth.sweep_mail() as "swept!""#)
        .fetch_one(connection)
        .await?;
    Ok(swept)
}
