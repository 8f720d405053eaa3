//! The same acts from the command line, by a login that may migrate: the issuer's own may not.

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use super::model::{Act, Refused, UserFilter, UserListing};
use super::store;
use crate::accounts::{Email, Password};
use crate::app::App;
use crate::credits;
use crate::db::DbError;

/// Does an act on somebody's account.
///
/// # Errors
/// [`Refused`].
pub async fn act(connection: &mut PgConnection, target_id: &str, act: &Act) -> Result<(), Refused> {
    let outcome = store::operate_on_user(connection, target_id, act).await?;
    Refused::unless_done(&outcome)
}

/// The newest users that fit.
///
/// # Errors
/// [`DbError`].
pub async fn find_users(
    connection: &mut PgConnection,
    filter: &UserFilter,
) -> Result<Vec<UserListing>, DbError> {
    store::operator_find_users(connection, filter, MAX_LISTED).await
}

/// Makes an admin with a credit account; `None` when the address is taken.
///
/// # Errors
/// In words.
pub async fn create_admin(
    app: &App,
    connection: &mut PgConnection,
    email: &Email,
    password: Password,
    name: Option<&str>,
) -> Result<Option<(String, OffsetDateTime)>, String> {
    let salt = app.entropy.bytes();
    let hash = app
        .hasher
        .hash(password, salt, crate::accounts::Client::Known)
        .await
        .map_err(|error| error.to_string())?;
    let id = app.entropy.user_id();
    let created = insert(app, connection, &id, email, name, &hash).await;
    Ok(created
        .map_err(|error| error.to_string())?
        .map(|created_at| (id, created_at)))
}

async fn insert(
    app: &App,
    connection: &mut PgConnection,
    id: &str,
    email: &Email,
    name: Option<&str>,
    hash: &str,
) -> Result<Option<OffsetDateTime>, DbError> {
    let mut tx = connection.begin().await?;
    let created = store::create_admin(&mut tx, id, email, name, hash).await?;
    if created.is_some() {
        let bonus_digest = app.address_digest(&email.canonical());
        credits::open_account(&mut tx, id, &app.config.credits, &bonus_digest).await?;
    }
    tx.commit().await?;
    Ok(created)
}

/// A person reads them, or a program that filters further.
const MAX_LISTED: i32 = 1_000;
