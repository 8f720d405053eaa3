//! Taking a gift by its code.

use std::fmt;

use super::code::GiftCode;
use super::model::Gift;
use super::store;
use crate::app::App;
use crate::credits::model::Credits;
use crate::db::DbError;
use crate::http::rate_limit::{Class, UsedUp};
use crate::http::{Caller, RequestInfo};

/// A gift that was redeemed, now or before, by the same user.
#[derive(Debug)]
pub struct Redeemed {
    /// The gift.
    pub gift: Gift,
    /// What can be spent now.
    pub balance: Credits,
    /// Whether it had been redeemed before.
    pub replayed: bool,
}

/// Moves a gift from escrow into the user's account.
///
/// # Errors
/// [`RedeemGiftError`].
pub async fn redeem_gift(
    app: &App,
    caller: &Caller,
    code: &str,
    request: &RequestInfo,
) -> Result<Redeemed, RedeemGiftError> {
    let digest = app.digests.mac(&[b"gift:", caller.user_id.as_bytes()]);
    app.draw_for_account(Class::GiftCode, digest).await?;
    let hash = GiftCode::parse(code).ok_or(RedeemGiftError::NotFound)?;
    let hash = hash.hash();
    let request = request.to_json();
    let row = app
        .db
        .retry("redeem_gift", || async {
            let config = &app.config.credits;
            let mut connection = app.db.acquire().await?;
            store::redeem_gift(&mut connection, &caller.user_id, &hash, config, &request).await
        })
        .await?;
    match row.outcome.as_str() {
        "done" => Ok(Redeemed {
            balance: row.available()?,
            replayed: row.replayed,
            gift: row.into_gift()?,
        }),
        "no_gift" => Err(RedeemGiftError::NotFound),
        "own_gift" => Err(RedeemGiftError::OwnGift),
        "blocked" => Err(RedeemGiftError::Blocked),
        "full" => Err(RedeemGiftError::AccountFull),
        "no_account" => Err(RedeemGiftError::NoAccount),
        _ => Err(DbError::Inconsistent("unknown outcome of redeeming").into()),
    }
}

/// Why nothing was redeemed.
#[derive(Debug)]
pub enum RedeemGiftError {
    /// No such code, or a gift for somebody else, or one that is over.
    NotFound,
    /// The user made it.
    OwnGift,
    /// The giver's account is frozen.
    Blocked,
    /// The user's account cannot hold so much.
    AccountFull,
    /// Too many codes were tried.
    TooManyTries {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// The user has no account.
    NoAccount,
    /// The database.
    Db(DbError),
}

impl From<DbError> for RedeemGiftError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<UsedUp> for RedeemGiftError {
    fn from(used_up: UsedUp) -> Self {
        Self::TooManyTries {
            retry_after_secs: used_up.retry_after_secs,
        }
    }
}

impl fmt::Display for RedeemGiftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no such gift"),
            Self::OwnGift => f.write_str("the user made the gift"),
            Self::Blocked => f.write_str("the giver's account is frozen"),
            Self::AccountFull => f.write_str("the account is full"),
            Self::TooManyTries { .. } => f.write_str("too many codes were tried"),
            Self::NoAccount => f.write_str("the user has no credit account"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RedeemGiftError {}
