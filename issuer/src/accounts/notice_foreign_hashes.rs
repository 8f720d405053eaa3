//! Keeps in mind whether hashes of other systems are left.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Tells the hasher whether any password is hashed otherwise than today: while there is one, all
/// refusals take the same time.
///
/// # Errors
/// [`DbError`].
pub async fn notice_foreign_hashes(app: &App) -> Result<(), DbError> {
    let mut connection = app.db.acquire().await?;
    let any = store::any_foreign_hash(&mut connection).await?;
    app.hasher.notice_foreign(any);
    Ok(())
}
