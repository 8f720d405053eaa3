//! The only SQL about keys.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::master_keys::MasterKeys;
use super::model::{KeyState, Purpose, StoredKey};
use super::seal::{self, Label};
use crate::db::DbError;
use crate::secret;

/// A row of `auth.master_key_checks`.
pub struct MasterKeyCheck {
    pub version: i32,
    pub check_value: Vec<u8>,
}

/// A row of `auth.signing_keys` before its seal is verified.
pub struct KeyRow {
    pub kid: String,
    purpose: String,
    state: String,
    public_key: Vec<u8>,
    sealed_seed: Vec<u8>,
    master_key_version: i32,
    published_at: OffsetDateTime,
    activated_at: Option<OffsetDateTime>,
    retired_at: Option<OffsetDateTime>,
}

impl KeyRow {
    /// Whether the row claims to be in use: active or standby.
    pub fn claims_use(&self) -> bool {
        self.state == KeyState::Active.name() || self.state == KeyState::Pending.name()
    }

    /// Verifies the seal; `None` when the row is not ours.
    pub fn open(self, master_keys: &MasterKeys) -> Option<StoredKey> {
        let purpose = Purpose::from_name(&self.purpose)?;
        let state = KeyState::from_name(&self.state)?;
        let public_key: [u8; 32] = self.public_key.try_into().ok()?;
        let sealing = master_keys
            .derive_version(self.master_key_version, secret::Purpose::SealSigningKeys)?;
        let label = Label {
            kid: &self.kid,
            purpose,
            state,
            public_key: &public_key,
        };
        let (key, seed) = seal::open(&sealing, &self.sealed_seed, label)?;
        Some(StoredKey {
            kid: self.kid,
            purpose,
            state,
            master_key_version: self.master_key_version,
            published_at: self.published_at,
            activated_at: self.activated_at,
            retired_at: self.retired_at,
            key,
            seed,
        })
    }
}

/// A change of a key's state, sealed again.
pub struct Transition<'a> {
    pub kid: &'a str,
    pub from: KeyState,
    pub to: KeyState,
    pub sealed_seed: &'a [u8],
    pub master_key_version: i32,
}

pub async fn master_key_checks(
    connection: &mut PgConnection,
) -> Result<Vec<MasterKeyCheck>, DbError> {
    let rows = sqlx::query_as!(
        MasterKeyCheck,
        "select version, check_value from auth.master_key_checks"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

pub async fn insert_master_key_check(
    connection: &mut PgConnection,
    version: i32,
    check_value: &[u8],
) -> Result<i32, DbError> {
    sqlx::query!(
        "insert into auth.master_key_checks (version, check_value, created_at) values ($1, $2, auth.clock())
         on conflict do nothing",
        version,
        check_value,
    )
    .execute(&mut *connection)
    .await?;
    // Another issuer may have been first, with the same key or another one.
    let stored = sqlx::query_scalar!(
        "select version from auth.master_key_checks where check_value = $1",
        check_value
    )
    .fetch_optional(connection)
    .await?;
    stored.ok_or(DbError::Inconsistent(
        "two master keys were introduced at the same time",
    ))
}

/// Holds the lock of everything that changes keys, until the transaction ends.
pub async fn lock(connection: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('tollgate signing keys'))")
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes every key out of use whose seal nobody can open any more; says how many.
pub async fn remove_every_key(connection: &mut PgConnection) -> Result<u64, DbError> {
    let removed = sqlx::query!(
        "update auth.signing_keys set state = 'removed', removed_at = auth.clock() where state <> 'removed'"
    )
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Notes in the audit trail that another master key was introduced without its predecessor.
pub async fn record_replacement(
    connection: &mut PgConnection,
    version: i32,
) -> Result<(), DbError> {
    sqlx::query!(
        r#"select auth.record_operator_event('master_key_replaced', jsonb_build_object('version', $1::integer)) as "recorded: ()""#,
        version
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The database's time.
pub async fn now(connection: &mut PgConnection) -> Result<OffsetDateTime, DbError> {
    Ok(sqlx::query_scalar!(r#"select auth.clock() as "now!""#)
        .fetch_one(connection)
        .await?)
}

/// Every key that is not removed, in the order in which they sign.
pub async fn present_keys(connection: &mut PgConnection) -> Result<Vec<KeyRow>, DbError> {
    let rows = sqlx::query_as!(
        KeyRow,
        "select kid, purpose, state, public_key, sealed_seed, master_key_version,
                published_at, activated_at, retired_at
           from auth.signing_keys where state <> 'removed' order by activated_at nulls last, created_at, kid"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

pub async fn insert_key(
    connection: &mut PgConnection,
    label: Label<'_>,
    sealed_seed: &[u8],
    master_key_version: i32,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into auth.signing_keys
           (kid, purpose, state, public_key, sealed_seed, master_key_version, created_at, published_at, activated_at)
         values ($1, $2, $3, $4, $5, $6, auth.clock(), auth.clock(), case $3 when 'active' then auth.clock() end)",
        label.kid,
        label.purpose.name(),
        label.state.name(),
        label.public_key.as_slice(),
        sealed_seed,
        master_key_version,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves a key from one state to another; an error when it is no longer in the first.
pub async fn mark_state(
    connection: &mut PgConnection,
    change: &Transition<'_>,
) -> Result<(), DbError> {
    let changed = sqlx::query!(
        "update auth.signing_keys
            set state = $3, sealed_seed = $4, master_key_version = $5,
                activated_at = case when $3 = 'active' then coalesce(activated_at, auth.clock()) else activated_at end,
                retired_at = case when $3 = 'retiring' then auth.clock() else retired_at end,
                removed_at = case when $3 = 'removed' then auth.clock() else removed_at end
          where kid = $1 and state = $2",
        change.kid,
        change.from.name(),
        change.to.name(),
        change.sealed_seed,
        change.master_key_version,
    )
    .execute(connection)
    .await?;
    match changed.rows_affected() {
        1 => Ok(()),
        _ => Err(DbError::Inconsistent(
            "a signing key changed its state under the lock",
        )),
    }
}

/// Puts a key into the revocation feed: its tokens are refused at once.
pub async fn insert_key_revocation(
    connection: &mut PgConnection,
    kid: &str,
    ttl_secs: f64,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into auth.revocations (kind, kid, created_at, expires_at)
         values ('key', $1, auth.clock(), auth.clock() + make_interval(secs => $2))",
        kid,
        ttl_secs,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Seals a key again under another master key.
pub async fn mark_sealed(
    connection: &mut PgConnection,
    kid: &str,
    state: KeyState,
    sealed_seed: &[u8],
    master_key_version: i32,
) -> Result<(), DbError> {
    sqlx::query!(
        "update auth.signing_keys set sealed_seed = $3, master_key_version = $4 where kid = $1 and state = $2",
        kid,
        state.name(),
        sealed_seed,
        master_key_version,
    )
    .execute(connection)
    .await?;
    Ok(())
}
