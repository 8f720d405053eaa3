//! The only SQL about credits.

use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::batcher::ChargeRequest;
use super::list_transactions::Filter;
use super::metadata::Metadata;
use super::model::{
    AppId, Balance, Credits, EntryKind, Package, Purchase, Transaction, transaction_id,
};
use super::reconcile::Incident;
use super::spend_limits::{LimitReached, Period};
use crate::config::CreditsConfig;
use crate::db::DbError;

/// What became of a charge, and its entry when there is one.
pub struct ChargeRow {
    pub outcome: String,
    pub replayed: bool,
    available: Option<i64>,
    retry_after_secs: Option<i32>,
    account_id: Option<i64>,
    seq: Option<i64>,
    amount: Option<i64>,
    balance_after: Option<i64>,
    app_id: Option<String>,
    description: Option<String>,
    metadata: Option<Value>,
    created_at: Option<OffsetDateTime>,
}

impl ChargeRow {
    /// What could be spent after it.
    pub fn available(&self) -> Result<Credits, DbError> {
        known(self.available).map(Credits::of)
    }

    /// When refusals are written down again.
    pub fn retry_after_secs(&self) -> u64 {
        positive_secs(self.retry_after_secs)
    }

    /// The limit that forbids it.
    pub fn limit_reached(&self) -> Result<LimitReached, DbError> {
        let told = known(self.metadata.as_ref())?;
        let number = |name: &str| known(told[name].as_i64());
        let period = told["period"].as_str().and_then(Period::from_name);
        Ok(LimitReached {
            period: period.ok_or(DbError::Inconsistent("unknown period of a limit"))?,
            limit: number("limit")?,
            used: number("used")?,
            resets_at: known(self.created_at)?,
        })
    }

    /// The entry of a charge that was posted.
    pub fn into_transaction(self) -> Result<Transaction, DbError> {
        let (account_id, seq) = (known(self.account_id)?, known(self.seq)?);
        Ok(Transaction {
            id: transaction_id(account_id, seq),
            seq,
            kind: EntryKind::Usage,
            amount: Credits::of(-known(self.amount)?),
            balance_after: Credits::of(known(self.balance_after)?),
            app_id: self.app_id,
            description: self.description,
            metadata: self.metadata,
            created_at: known(self.created_at)?,
        })
    }
}

struct TransactionRow {
    account_id: i64,
    seq: i64,
    kind: String,
    amount: i64,
    balance_after: i64,
    app_id: Option<String>,
    description: Option<String>,
    metadata: Option<Value>,
    created_at: OffsetDateTime,
}

impl TryFrom<TransactionRow> for Transaction {
    type Error = DbError;

    fn try_from(row: TransactionRow) -> Result<Self, DbError> {
        Ok(Self {
            id: transaction_id(row.account_id, row.seq),
            seq: row.seq,
            kind: EntryKind::from_name(&row.kind)
                .ok_or(DbError::Inconsistent("unknown kind of an entry"))?,
            amount: Credits::of(row.amount),
            balance_after: Credits::of(row.balance_after),
            app_id: row.app_id,
            description: row.description,
            metadata: row.metadata,
            created_at: row.created_at,
        })
    }
}

/// Opens the account of a user and adds the bonus, unless it is 0 or was claimed before.
pub async fn open_account(
    connection: &mut PgConnection,
    user_id: &str,
    signup_bonus: i64,
    bonus_digest: &[u8],
) -> Result<(), DbError> {
    sqlx::query!(
        "select credits.open_account($1, $2, $3)",
        user_id,
        signup_bonus,
        bonus_digest
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds the signup bonus unless account or address had it, or it is 0.
pub async fn grant_signup_bonus(
    connection: &mut PgConnection,
    user_id: &str,
    signup_bonus: i64,
    bonus_digest: &[u8],
) -> Result<(), DbError> {
    let _granted = sqlx::query_scalar!(
        "select credits.grant_signup_bonus($1, $2, $3)",
        user_id,
        signup_bonus,
        bonus_digest
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// Settles what is due and says what the user holds; `None` without an account.
pub async fn find_balance(
    connection: &mut PgConnection,
    user_id: &str,
    config: &CreditsConfig,
) -> Result<Option<Balance>, DbError> {
    let row = sqlx::query!(
        r#"select balance as "balance!", free_remaining as "free_remaining!", held as "held!",
                  total_earned as "total_earned!", total_spent as "total_spent!"
             from credits.load_balance($1, $2, $3)"#,
        user_id,
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Balance {
        available: Credits::of(row.balance),
        free_remaining: Credits::of(row.free_remaining),
        held: Credits::of(row.held),
        total_earned: Credits::of(row.total_earned),
        total_spent: Credits::of(row.total_spent),
    }))
}

/// Spends, in one call.
pub async fn use_credits(
    connection: &mut PgConnection,
    request: &ChargeRequest,
    config: &CreditsConfig,
) -> Result<ChargeRow, DbError> {
    let charge = &request.charge;
    let row = sqlx::query_as!(
        ChargeRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs,
                  account_id, seq, amount, balance_after, app_id, description, metadata, created_at
             from credits.use_credits($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"#,
        request.user_id,
        charge.amount.get(),
        charge.app_id.as_str(),
        charge.description,
        charge.metadata.as_ref().map(Metadata::as_json),
        request.principal.scope(),
        request.key,
        request.fingerprint.as_bytes(),
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_one(connection)
    .await?;
    Ok(row)
}

/// Spends for many in one transaction, each with an outcome of its own, in the same order.
pub async fn use_credits_batch(
    connection: &mut PgConnection,
    requests: &[ChargeRequest],
    config: &CreditsConfig,
) -> Result<Vec<ChargeRow>, DbError> {
    fn each<'a, T>(
        requests: &'a [ChargeRequest],
        field: impl FnMut(&'a ChargeRequest) -> T,
    ) -> Vec<T> {
        requests.iter().map(field).collect()
    }
    let rows = sqlx::query_as!(
        ChargeRow,
        r#"select outcome as "outcome!", replayed as "replayed!", available, retry_after_secs,
                  account_id, seq, amount, balance_after, app_id, description, metadata, created_at
             from credits.use_credits_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"#,
        &each(requests, |r| r.user_id.as_str()) as &[&str],
        &each(requests, |r| r.charge.amount.get()),
        &each(requests, |r| r.charge.app_id.as_str()) as &[&str],
        &each(requests, |r| r.charge.description.as_str()) as &[&str],
        &each(requests, |r| r
            .charge
            .metadata
            .as_ref()
            .map(Metadata::as_json)) as &[Option<&Value>],
        &each(requests, |r| r.principal.scope()) as &[&str],
        &each(requests, |r| r.key.as_deref()) as &[Option<&str>],
        &each(requests, |r| r.fingerprint.as_bytes()) as &[&[u8]],
        config.daily_free,
        config.daily_free_expires_hours,
    )
    .fetch_all(connection)
    .await?;
    match rows.len() == requests.len() {
        true => Ok(rows),
        false => Err(DbError::Inconsistent("a batch left a charge unanswered")),
    }
}

/// The number of the account's last entry, as this server has it; 0 when it has no account.
pub async fn find_account_seq(
    connection: &mut PgConnection,
    user_id: &str,
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select coalesce(credits.find_account_seq($1), 0) as "seq!""#,
        user_id
    )
    .fetch_one(connection)
    .await?)
}

/// What moved credits, newest first.
pub async fn list_transactions(
    connection: &mut PgConnection,
    user_id: &str,
    before_seq: i64,
    offset: i64,
    limit: i32,
    filter: &Filter,
) -> Result<Vec<Transaction>, DbError> {
    let rows = sqlx::query_as!(
        TransactionRow,
        r#"select account_id as "account_id!", seq as "seq!", kind as "kind!", amount as "amount!",
                  balance_after as "balance_after!", app_id, description, metadata,
                  created_at as "created_at!"
             from credits.list_transactions($1, $2, $3, $4, $5, $6, $7, $8)"#,
        user_id,
        before_seq,
        offset,
        limit,
        filter.kind.map(EntryKind::name),
        filter.app_id.as_ref().map(AppId::as_str),
        filter.from,
        filter.to,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Transaction::try_from).collect()
}

/// The packages on offer, cheapest first.
pub async fn list_packages(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<Package>, DbError> {
    let rows = sqlx::query_as!(
        Package,
        "select id, name, credits, price_cents, currency, active from credits.packages
          where active order by price_cents, id limit $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The user's purchases, newest first.
pub async fn list_purchases(
    connection: &mut PgConnection,
    user_id: &str,
    limit: i32,
) -> Result<Vec<Purchase>, DbError> {
    let rows = sqlx::query_as!(
        Purchase,
        r#"select id as "id!", package_id as "package_id!", credits as "credits!",
                  price_cents as "price_cents!", currency as "currency!", status as "status!",
                  refunded_cents as "refunded_cents!", credits_taken_back as "credits_taken_back!", dispute,
                  created_at as "created_at!", paid_at
             from credits.list_own_purchases($1, $2)"#,
        user_id,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Writes down what has lapsed in accounts that nobody uses; says how many accounts.
pub async fn settle_sleeping(connection: &mut PgConnection, limit: i32) -> Result<i64, DbError> {
    let n_settled = sqlx::query_scalar!(r#"select credits.settle_sleeping($1) as "n!""#, limit)
        .fetch_one(connection)
        .await?;
    Ok(n_settled)
}

/// What is not as the entries say.
pub async fn reconcile(connection: &mut PgConnection) -> Result<Vec<Incident>, DbError> {
    let rows = sqlx::query_as!(
        Incident,
        r#"select problem as "problem!", account_id as "account_id!", subject as "subject!",
                  coalesce(found, '') as "found!", coalesce(expected, '') as "expected!"
             from credits.reconcile()"#,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// What the outcome promises to come with it.
pub fn known<T>(value: Option<T>) -> Result<T, DbError> {
    value.ok_or(DbError::Inconsistent(
        "an outcome without what belongs to it",
    ))
}

/// A time to wait, at least a second.
pub fn positive_secs(secs: Option<i32>) -> u64 {
    secs.and_then(|secs| u64::try_from(secs).ok()).unwrap_or(1)
}
