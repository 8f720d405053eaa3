//! The only SQL about one-time codes, recovery codes and challenges.

use serde_json::Value;
use sqlx::PgConnection;

use super::challenge_token::ChallengeId;
use super::totp::SealedSecret;
use crate::db::DbError;
use crate::http::Caller;
use crate::sessions::NewSession;

/// What the user has set up.
pub struct StateRow {
    /// Whether two-factor is on.
    pub totp: bool,
    /// Recovery codes that have not been used.
    pub recovery_codes_left: i32,
    /// Registered passkeys.
    pub passkeys: i32,
}

/// A sign-in that waits for its second factor.
pub struct ChallengeRow {
    pub user_id: String,
    pub credential_version: i64,
    pub new_password_hash: Option<String>,
    pub device_id: Option<String>,
    pub device_name: Option<String>,
}

/// What signing in again is checked against.
pub struct OwnCredentials {
    pub password_hash: Option<String>,
    pub two_factor_enabled: bool,
    pub credential_version: i64,
}

/// A secret under an earlier master key.
pub struct OutdatedRow {
    pub user_id: String,
    pub sealed: SealedSecret,
}

/// What became of the wish to check a one-time code.
pub enum TotpTry {
    /// Check it with this secret.
    Check(SealedSecret),
    /// There were too many tries.
    Limited {
        /// When to try again.
        retry_after_secs: u64,
    },
    /// There is no secret.
    Absent,
}

/// The state of a live session's user; `None` once the session has ended.
pub async fn read_state(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<StateRow>, DbError> {
    let row = sqlx::query_as!(
        StateRow,
        r#"select totp as "totp!", recovery_codes_left as "recovery_codes_left!", passkeys as "passkeys!"
             from auth.read_second_factors($1, $2)"#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Keeps a secret that is not in force yet; the outcome, and the user's address.
pub async fn begin_totp(
    connection: &mut PgConnection,
    caller: &Caller,
    sealed: &SealedSecret,
) -> Result<(String, Option<String>), DbError> {
    let row = sqlx::query!(
        r#"select outcome as "outcome!", email from auth.begin_totp($1, $2, $3, $4)"#,
        caller.user_id,
        caller.session_id,
        sealed.bytes,
        sealed.master_key_version,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.outcome, row.email))
}

/// The secret that waits for its first code.
pub async fn find_pending_totp(
    connection: &mut PgConnection,
    user_id: &str,
) -> Result<Option<SealedSecret>, DbError> {
    let row = sqlx::query!(
        r#"select sealed_secret as "sealed_secret!", master_key_version as "master_key_version!"
             from auth.find_pending_totp($1)"#,
        user_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| SealedSecret {
        bytes: row.sealed_secret,
        master_key_version: row.master_key_version,
    }))
}

/// Puts the secret in force.
pub async fn confirm_totp(
    connection: &mut PgConnection,
    caller: &Caller,
    sealed: &[u8],
    step: i64,
    code_hashes: &[Vec<u8>],
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.confirm_totp($1, $2, $3, $4, $5, $6) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        sealed,
        step,
        code_hashes,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Forgets the secret and the recovery codes.
pub async fn disable_totp(
    connection: &mut PgConnection,
    caller: &Caller,
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.disable_totp($1, $2, $3) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// New recovery codes in place of all old ones.
pub async fn replace_recovery_codes(
    connection: &mut PgConnection,
    caller: &Caller,
    code_hashes: &[Vec<u8>],
    request: &Value,
) -> Result<String, DbError> {
    let outcome = sqlx::query_scalar!(
        r#"select auth.replace_recovery_codes($1, $2, $3, $4) as "outcome!""#,
        caller.user_id,
        caller.session_id,
        code_hashes,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome)
}

/// Counts a try and hands out the secret to check it with.
pub async fn draw_totp_try(
    connection: &mut PgConnection,
    user_id: &str,
) -> Result<TotpTry, DbError> {
    let row = sqlx::query!(
        "select sealed_secret, master_key_version, retry_after_secs from auth.draw_totp_try($1)",
        user_id,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(TotpTry::Absent);
    };
    match (row.sealed_secret, row.master_key_version) {
        (Some(bytes), Some(master_key_version)) => Ok(TotpTry::Check(SealedSecret {
            bytes,
            master_key_version,
        })),
        _ => Ok(TotpTry::Limited {
            retry_after_secs: row
                .retry_after_secs
                .and_then(|secs| secs.try_into().ok())
                .unwrap_or(1),
        }),
    }
}

/// Spends a time step; `false` when it or a later one was used before.
pub async fn use_totp(
    connection: &mut PgConnection,
    user_id: &str,
    sealed: &[u8],
    step: i64,
) -> Result<bool, DbError> {
    let used = sqlx::query_scalar!(
        r#"select auth.use_totp($1, $2, $3) as "used!""#,
        user_id,
        sealed,
        step,
    )
    .fetch_one(connection)
    .await?;
    Ok(used)
}

/// Spends a recovery code; `false` when it is none or was used before.
pub async fn use_recovery_code(
    connection: &mut PgConnection,
    user_id: &str,
    hash: &[u8],
    request: &Value,
) -> Result<bool, DbError> {
    let used = sqlx::query_scalar!(
        r#"select auth.use_recovery_code($1, $2, $3) as "used!""#,
        user_id,
        hash,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(used)
}

/// Notes a second factor that was wrong.
pub async fn record_refused(
    connection: &mut PgConnection,
    user_id: &str,
    session_id: Option<&str>,
    method: &str,
    request: &Value,
) -> Result<(), DbError> {
    sqlx::query!(
        "select auth.record_refused_second_factor($1, $2, $3, $4)",
        user_id,
        session_id,
        method,
        request,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Secrets under an earlier master key, a bounded number.
pub async fn find_outdated_totp(
    connection: &mut PgConnection,
    version: i32,
) -> Result<Vec<OutdatedRow>, DbError> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id!", sealed_secret as "sealed_secret!", master_key_version as "master_key_version!"
             from auth.find_outdated_totp($1)"#,
        version,
    )
    .fetch_all(connection)
    .await?;
    let row_of = |user_id, bytes, master_key_version| OutdatedRow {
        user_id,
        sealed: SealedSecret {
            bytes,
            master_key_version,
        },
    };
    Ok(rows
        .into_iter()
        .map(|row| row_of(row.user_id, row.sealed_secret, row.master_key_version))
        .collect())
}

/// Replaces a seal by one under the current master key.
pub async fn reseal_totp(
    connection: &mut PgConnection,
    user_id: &str,
    old: &[u8],
    new: &SealedSecret,
) -> Result<bool, DbError> {
    let resealed = sqlx::query_scalar!(
        r#"select auth.reseal_totp($1, $2, $3, $4) as "resealed!""#,
        user_id,
        old,
        new.bytes,
        new.master_key_version,
    )
    .fetch_one(connection)
    .await?;
    Ok(resealed)
}

/// Remembers a right password; the methods that can follow, `None` when it is out of force.
pub async fn begin_login_challenge(
    connection: &mut PgConnection,
    id: &ChallengeId,
    new: &NewSession<'_>,
    request: &Value,
) -> Result<Option<Vec<String>>, DbError> {
    let methods = sqlx::query_scalar!(
        "select auth.begin_login_challenge($1, $2, $3, $4, $5, $6, $7)",
        id.as_slice(),
        new.user_id,
        new.credential_version,
        new.new_hash,
        new.device_id,
        new.device_name,
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(methods)
}

/// Counts an attempt at a challenge; `None` when it is over.
pub async fn try_login_challenge(
    connection: &mut PgConnection,
    id: &ChallengeId,
) -> Result<Option<ChallengeRow>, DbError> {
    let row = sqlx::query_as!(
        ChallengeRow,
        r#"select user_id as "user_id!", credential_version as "credential_version!",
                  new_password_hash, device_id, device_name
             from auth.try_login_challenge($1)"#,
        id.as_slice(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Spends a challenge; `false` when somebody else has.
pub async fn close_login_challenge(
    connection: &mut PgConnection,
    id: &ChallengeId,
) -> Result<bool, DbError> {
    let closed = sqlx::query_scalar!(
        r#"select auth.close_login_challenge($1) as "closed!""#,
        id.as_slice(),
    )
    .fetch_one(connection)
    .await?;
    Ok(closed)
}

/// What signing in again is checked against; `None` once the session has ended.
pub async fn find_own_credentials(
    connection: &mut PgConnection,
    caller: &Caller,
) -> Result<Option<OwnCredentials>, DbError> {
    let row = sqlx::query_as!(
        OwnCredentials,
        r#"select password_hash, two_factor_enabled as "two_factor_enabled!", credential_version as "credential_version!"
             from auth.find_own_credentials($1, $2)"#,
        caller.user_id,
        caller.session_id,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Notes that a credential was shown now; `false` when it is no longer in force.
pub async fn reauthenticate_session(
    connection: &mut PgConnection,
    caller: &Caller,
    credential_version: i64,
    methods: &[&str],
    request: &Value,
) -> Result<bool, DbError> {
    let noted = sqlx::query_scalar!(
        r#"select auth.reauthenticate_session($1, $2, $3, $4, $5) as "noted!""#,
        caller.user_id,
        caller.session_id,
        credential_version,
        methods as &[&str],
        request,
    )
    .fetch_one(connection)
    .await?;
    Ok(noted)
}

/// Deletes challenges and ceremonies that are over; says how many.
pub async fn sweep(connection: &mut PgConnection) -> Result<i64, DbError> {
    let swept = sqlx::query_scalar!(r#"select auth.sweep_second_factors() as "swept!""#)
        .fetch_one(connection)
        .await?;
    Ok(swept)
}
