//! Telling whoever a gift is for.

use super::store;
use crate::app::App;
use crate::db::DbError;

/// Redeems a gift to an address that somebody has proven, otherwise writes to the address. The gift
/// is made by now: what fails here is made good by [`sweep_gifts`].
pub async fn announce_gift(app: &App, gift_id: &str) {
    let announced = app
        .db
        .retry("announce_gift", || async {
            let mut connection = app.db.acquire().await?;
            store::announce_gift(&mut connection, gift_id).await
        })
        .await;
    if let Err(error) = announced {
        tracing::warn!(%error, "a gift is made and will be announced later");
    }
}

/// Announces what an issuer that stopped did not, and redeems what could not be at the time.
///
/// # Errors
/// [`DbError`].
pub async fn sweep_gifts(app: &App) -> Result<(), DbError> {
    app.db
        .retry("sweep_gifts", || async {
            let mut connection = app.db.acquire().await?;
            store::sweep_gifts(&mut connection).await
        })
        .await?;
    Ok(())
}
