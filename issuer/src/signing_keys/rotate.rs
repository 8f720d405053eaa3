//! Promotes the standby on request.

use std::fmt;

use time::Duration;

use super::maintain::{change, load_locked, promote};
use super::model::{KeyState, Purpose, SigningKeysError};
use crate::app::App;
use crate::db::{AsRetry, DbError};

/// Retires the active key and promotes the standby; says which now signs.
///
/// # Errors
/// [`RotateError::TooYoung`] while verifiers may not know the standby yet.
pub async fn rotate(app: &App, purpose: Purpose) -> Result<String, RotateError> {
    app.db
        .retry("rotate_signing_key", || async {
            let mut tx = app.db.begin().await?;
            let (keys, now) = load_locked(app, &mut tx).await.map_err(RotateError::Keys)?;
            let find = |state| {
                keys.iter()
                    .find(move |key| key.purpose == purpose && key.state == state)
            };
            let (Some(active), Some(pending)) = (find(KeyState::Active), find(KeyState::Pending))
            else {
                return Err(RotateError::NoStandby);
            };
            let left = pending.promotable_in(app.config.tokens.key_publish_ahead, now);
            if left > Duration::ZERO {
                return Err(RotateError::TooYoung {
                    kid: pending.kid.clone(),
                    left,
                });
            }
            change(app, &mut tx, active, KeyState::Retiring)
                .await
                .map_err(RotateError::Keys)?;
            promote(app, &mut tx, pending)
                .await
                .map_err(RotateError::Keys)?;
            tx.commit().await?;
            Ok(pending.kid.clone())
        })
        .await
}

/// Why a rotation was refused.
#[derive(Debug)]
pub enum RotateError {
    /// Keys could not be read or written.
    Keys(SigningKeysError),
    /// There is no standby: the issuer has never run on this database.
    NoStandby,
    /// Verifiers may not have seen the standby yet.
    TooYoung {
        /// The standby.
        kid: String,
        /// When it may be promoted.
        left: Duration,
    },
}

impl From<DbError> for RotateError {
    fn from(error: DbError) -> Self {
        Self::Keys(error.into())
    }
}

impl AsRetry for RotateError {
    fn is_retryable(&self) -> bool {
        matches!(self, Self::Keys(error) if error.is_retryable())
    }
}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(error) => error.fmt(f),
            Self::NoStandby => {
                f.write_str("there is no standby key yet: start `tollgate serve` once")
            }
            Self::TooYoung { kid, left } => write!(
                f,
                "the standby key {kid} has not been published long enough: try again in {} s. \
                 Verifiers that cached the key set before it would refuse its tokens. If the active key leaked, \
                 use `tollgate keys revoke`",
                left.whole_seconds() + i64::from(left.subsec_nanoseconds() > 0)
            ),
        }
    }
}

impl std::error::Error for RotateError {}
