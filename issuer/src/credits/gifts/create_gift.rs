//! Giving.

use std::fmt;

use time::Duration;

use super::announce::announce_gift;
use super::model::{Gift, Wish};
use super::store::{self, GiftedRow, NewGift};
use crate::app::App;
use crate::credits::model::{Credits, Principal, RequestKey};
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};
use crate::secret::SecretText;

/// A gift that was made, now or when its key was used before.
#[derive(Debug)]
pub struct Given {
    /// What takes it; `None` when the master key it was made under is gone.
    pub code: Option<SecretText>,
    /// The gift as it was made.
    pub gift: Gift,
    /// What could be spent after it.
    pub balance: Credits,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Moves purchased credits of the user into escrow, for whoever has the code, or has proven the
/// address. Needs a recent sign-in.
///
/// # Errors
/// [`CreateGiftError`].
pub async fn create_gift(
    app: &App,
    caller: &Caller,
    wish: &Wish,
    idempotency_key: Option<&str>,
    request: &RequestInfo,
) -> Result<Given, CreateGiftError> {
    let id = app.entropy.unique_id();
    let gift = NewGift {
        id: &id,
        code_hash: &app.gift_codes.make(&id).hash(),
        wish,
        expires_at: wish.expires_at.unwrap_or(app.clock.now() + USUAL_TTL),
    };
    let request = request.to_json();
    let row = app
        .db
        .retry("create_gift", || async {
            let key = RequestKey {
                principal: Principal::user(&caller.user_id),
                key: idempotency_key,
                fingerprint: wish.fingerprint(),
            };
            let config = &app.config.credits;
            let mut connection = app.db.acquire().await?;
            store::create_gift(&mut connection, caller, &gift, &key, config, &request).await
        })
        .await?;
    if row.outcome != "done" {
        return Err(refusal(&row));
    }
    let given = given(app, row)?;
    if wish.recipient.is_some() && !given.replayed {
        announce_gift(app, &given.gift.id).await;
    }
    Ok(given)
}

fn given(app: &App, row: GiftedRow) -> Result<Given, DbError> {
    let (balance, replayed) = (row.available()?, row.replayed);
    let hash = row.code_hash()?.to_owned();
    let gift = row.into_gift()?;
    let code = app.gift_codes.find(&gift.id, &hash);
    Ok(Given {
        code: code.map(|code| code.text()),
        gift,
        balance,
        replayed,
    })
}

fn refusal(row: &GiftedRow) -> CreateGiftError {
    match row.outcome.as_str() {
        "insufficient" => match row.available() {
            Ok(giftable) => CreateGiftError::Insufficient {
                giftable,
                replayed: row.replayed,
            },
            Err(error) => error.into(),
        },
        "key_reused" => CreateGiftError::KeyReused,
        "frozen" => CreateGiftError::Frozen,
        "own_address" => CreateGiftError::OwnAddress,
        "too_many_gifts" => CreateGiftError::TooManyGifts,
        "rate_limited" => CreateGiftError::TooManyAtOnce {
            retry_after_secs: row.retry_after_secs(),
        },
        "stale" => CreateGiftError::SignInAgain,
        "ended" => CreateGiftError::SessionEnded,
        "no_account" => CreateGiftError::NoAccount,
        _ => DbError::Inconsistent("unknown outcome of a gift").into(),
    }
}

/// Long enough to find the mail again, short enough that credits are not forgotten.
const USUAL_TTL: Duration = Duration::days(90);

/// Why nothing was given.
#[derive(Debug)]
pub enum CreateGiftError {
    /// Less than the amount can be given.
    Insufficient {
        /// What can be.
        giftable: Credits,
        /// Whether this is the answer to an earlier request with the same key.
        replayed: bool,
    },
    /// The key belongs to another request.
    KeyReused,
    /// Nothing may be given until a dispute is settled.
    Frozen,
    /// Nobody gives to themselves.
    OwnAddress,
    /// As many gifts wait as there may.
    TooManyGifts,
    /// As many went to addresses, or were refused, as may in that time.
    TooManyAtOnce {
        /// When the next one may.
        retry_after_secs: u64,
    },
    /// The sign-in is too long ago.
    SignInAgain,
    /// The session has ended.
    SessionEnded,
    /// The user has no account.
    NoAccount,
    /// The database.
    Db(DbError),
}

impl From<DbError> for CreateGiftError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl fmt::Display for CreateGiftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insufficient { giftable, .. } => {
                write!(f, "not enough credits: {} can be given", giftable.get())
            }
            Self::KeyReused => f.write_str("the idempotency key belongs to another request"),
            Self::Frozen => f.write_str("the account is frozen"),
            Self::OwnAddress => f.write_str("the address is the giver's"),
            Self::TooManyGifts => f.write_str("too many gifts wait"),
            Self::TooManyAtOnce { .. } => f.write_str("too many gifts at once"),
            Self::SignInAgain => f.write_str("a recent sign-in is needed"),
            Self::SessionEnded => f.write_str("the session has ended"),
            Self::NoAccount => f.write_str("the user has no credit account"),
            Self::Db(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateGiftError {}
