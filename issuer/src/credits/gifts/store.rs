//! The only SQL about gifts.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::model::{Direction, Gift, GiftMail, GiftStatus, Wish};
use crate::accounts::Email;
use crate::config::CreditsConfig;
use crate::credits::model::{Credits, RequestKey};
use crate::credits::store::{known, positive_secs};
use crate::db::DbError;
use crate::http::Caller;

/// A gift as the database shows it.
pub struct GiftRow {
    id: Option<String>,
    direction: Option<String>,
    amount: Option<i64>,
    recipient_email: Option<String>,
    giver_name: Option<String>,
    message: Option<String>,
    status: Option<String>,
    created_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
}

impl TryFrom<GiftRow> for Gift {
    type Error = DbError;

    fn try_from(row: GiftRow) -> Result<Self, DbError> {
        Ok(Self {
            id: known(row.id)?,
            direction: Direction::from_name(&known(row.direction)?)
                .ok_or(DbError::Inconsistent("unknown direction of a gift"))?,
            amount: Credits::of(known(row.amount)?),
            recipient_email: row.recipient_email,
            giver_name: row.giver_name,
            message: row.message,
            status: GiftStatus::from_name(&known(row.status)?)
                .ok_or(DbError::Inconsistent("unknown status of a gift"))?,
            created_at: known(row.created_at)?,
            expires_at: known(row.expires_at)?,
            ended_at: row.ended_at,
        })
    }
}

/// What became of giving, redeeming or taking back.
pub struct GiftedRow {
    pub outcome: String,
    pub replayed: bool,
    available: Option<i64>,
    retry_after_secs: Option<i32>,
    code_hash: Option<Vec<u8>>,
    id: Option<String>,
    direction: Option<String>,
    amount: Option<i64>,
    recipient_email: Option<String>,
    giver_name: Option<String>,
    message: Option<String>,
    status: Option<String>,
    created_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
}

impl GiftedRow {
    /// What can be spent, or given when that was too little.
    pub fn available(&self) -> Result<Credits, DbError> {
        known(self.available).map(Credits::of)
    }

    /// When the next one may be made.
    pub fn retry_after_secs(&self) -> u64 {
        positive_secs(self.retry_after_secs)
    }

    /// The hash of its code.
    pub fn code_hash(&self) -> Result<&[u8], DbError> {
        known(self.code_hash.as_deref())
    }

    /// The gift.
    pub fn into_gift(self) -> Result<Gift, DbError> {
        GiftRow {
            id: self.id,
            direction: self.direction,
            amount: self.amount,
            recipient_email: self.recipient_email,
            giver_name: self.giver_name,
            message: self.message,
            status: self.status,
            created_at: self.created_at,
            expires_at: self.expires_at,
            ended_at: self.ended_at,
        }
        .try_into()
    }
}

/// A gift to be made.
pub struct NewGift<'a> {
    pub id: &'a str,
    pub code_hash: &'a [u8],
    pub wish: &'a Wish,
    pub expires_at: OffsetDateTime,
}

/// Moves credits into escrow, in one call.
pub async fn create_gift(
    connection: &mut PgConnection,
    caller: &Caller,
    gift: &NewGift<'_>,
    key: &RequestKey<'_>,
    config: &CreditsConfig,
    request: &Value,
) -> Result<GiftedRow, DbError> {
    let row = sqlx::query_as!(
        GiftedRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs, code_hash,
                  (gift).id, (gift).direction, (gift).amount, (gift).recipient_email, (gift).giver_name,
                  (gift).message, (gift).status, (gift).created_at, (gift).expires_at, (gift).ended_at
             from credits.create_gift($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"#,
        caller.user_id,
        caller.session_id,
        gift.id,
        gift.code_hash,
        gift.wish.amount.get(),
        gift.wish.recipient.as_ref().map(Email::as_str),
        gift.wish.message,
        gift.expires_at,
        key.key,
        key.fingerprint.as_bytes(),
        config.daily_free,
        config.daily_free_expires_hours,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Takes a gift by the hash of its code, in one call.
pub async fn redeem_gift(
    connection: &mut PgConnection,
    user_id: &str,
    code_hash: &[u8],
    config: &CreditsConfig,
    request: &Value,
) -> Result<GiftedRow, DbError> {
    let row = sqlx::query_as!(
        GiftedRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs, code_hash,
                  (gift).id, (gift).direction, (gift).amount, (gift).recipient_email, (gift).giver_name,
                  (gift).message, (gift).status, (gift).created_at, (gift).expires_at, (gift).ended_at
             from credits.redeem_gift($1, $2, $3, $4, $5)"#,
        user_id,
        code_hash,
        config.daily_free,
        config.daily_free_expires_hours,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Takes back a gift of the user, in one call.
pub async fn cancel_gift(
    connection: &mut PgConnection,
    user_id: &str,
    gift_id: &str,
    config: &CreditsConfig,
) -> Result<GiftedRow, DbError> {
    let row = sqlx::query_as!(
        GiftedRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs, code_hash,
                  (gift).id, (gift).direction, (gift).amount, (gift).recipient_email, (gift).giver_name,
                  (gift).message, (gift).status, (gift).created_at, (gift).expires_at, (gift).ended_at
             from credits.cancel_gift($1, $2, $3, $4)"#,
        user_id,
        gift_id,
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Gifts the user made or received, newest first.
pub async fn list_gifts(
    connection: &mut PgConnection,
    user_id: &str,
    direction: Option<Direction>,
    after_id: Option<&str>,
    limit: i32,
) -> Result<Vec<Gift>, DbError> {
    let rows = sqlx::query_as!(
        GiftRow,
        "select id, direction, amount, recipient_email, giver_name, message, status, created_at, expires_at, ended_at
           from credits.list_gifts($1, $2, $3, $4)",
        user_id,
        direction.map(Direction::name),
        after_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Gift::try_from).collect()
}

/// Redeems a gift to an address when somebody has proven it, otherwise asks for a mail.
pub async fn announce_gift(connection: &mut PgConnection, gift_id: &str) -> Result<(), DbError> {
    sqlx::query!("select credits.announce_gift($1)", gift_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Announces what was not, redeems what could not be; says how many were looked at.
pub async fn sweep_gifts(connection: &mut PgConnection) -> Result<i64, DbError> {
    let n_looked_at = sqlx::query_scalar!(r#"select credits.sweep_gifts() as "n!""#)
        .fetch_one(connection)
        .await?;
    Ok(n_looked_at)
}

/// What a mail about a gift says; `None` when there is nothing to tell any more.
///
/// # Errors
/// [`DbError`].
pub async fn find_gift_mail(
    connection: &mut PgConnection,
    gift_id: &str,
    template: &str,
) -> Result<Option<GiftMail>, DbError> {
    let mail = sqlx::query_as!(
        GiftMail,
        r#"select amount as "amount!", giver_name, message, expires_at as "expires_at!"
             from credits.load_gift_for_mail($1, $2)"#,
        gift_id,
        template,
    )
    .fetch_optional(connection)
    .await?;
    Ok(mail)
}
