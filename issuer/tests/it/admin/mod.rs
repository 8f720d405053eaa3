//! What admins do with other people's accounts.

mod events;
mod impersonation;
mod users;

use crate::support::{Actor, TestApp};

/// An admin who has just signed in.
pub async fn admin<'a>(app: &'a TestApp, name: &str) -> Actor<'a> {
    let actor = app.user(name).await;
    sqlx::query("update auth.users set role = 'admin' where id = $1")
        .bind(&actor.id)
        .execute(&app.db.owner)
        .await
        .expect("promoted");
    actor.login(&actor.email, serde_json::json!({})).await
}
