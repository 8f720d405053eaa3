//! Reconciliation: does everything follow from the entries?

use sqlx::{Connection, Executor, PgConnection};

use super::store;
use crate::db::DbError;

/// Something that is not as the entries say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What kind of difference.
    pub problem: String,
    /// In which account.
    pub account_id: i64,
    /// Which row.
    pub subject: String,
    /// What it holds.
    pub found: String,
    /// What it should hold.
    pub expected: String,
}

/// Recomputes every account from its entries, at one moment, and lists what differs.
///
/// # Errors
/// [`DbError`].
pub async fn reconcile(connection: &mut PgConnection) -> Result<Vec<Incident>, DbError> {
    let mut tx = connection.begin().await?;
    tx.execute("set transaction isolation level repeatable read")
        .await?;
    let incidents = store::reconcile(&mut tx).await?;
    tx.commit().await?;
    Ok(incidents)
}
