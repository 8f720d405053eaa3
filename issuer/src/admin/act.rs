//! An act on somebody's account.

use super::model::{Act, Refused};
use super::store;
use crate::app::App;
use crate::http::{Caller, RequestInfo};

/// Does it if the caller is an admin who signed in lately.
///
/// # Errors
/// [`Refused`].
pub async fn act(
    app: &App,
    caller: &Caller,
    target_id: &str,
    act: &Act,
    request: &RequestInfo,
) -> Result<(), Refused> {
    let request = request.to_json();
    let outcome = app
        .db
        .retry("act_on_user", || async {
            let mut connection = app.db.acquire().await?;
            store::act_on_user(&mut connection, caller, target_id, act, &request).await
        })
        .await?;
    Refused::unless_done(&outcome)?;
    // Wakes the publisher: the edge need not wait for its next round.
    app.feed.sessions_ended([]);
    Ok(())
}
