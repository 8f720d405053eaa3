//! Setting limits: by the user, by an admin.

use std::fmt;

use super::model::{AppLimits, NewLimits};
use super::store;
use crate::admin::Refused;
use crate::app::App;
use crate::credits::model::AppId;
use crate::db::DbError;
use crate::http::{Caller, RequestInfo};

/// Sets what the user allows an app, and answers what is in force then.
///
/// # Errors
/// [`SetSpendLimitsError`].
pub async fn set_spend_limits(
    app: &App,
    user_id: &str,
    app_id: &AppId,
    new: NewLimits,
) -> Result<AppLimits, SetSpendLimitsError> {
    let answer = app
        .db
        .retry("set_spend_limits", || async {
            let mut connection = app.db.acquire().await?;
            store::set_spend_limits(&mut connection, user_id, app_id, new).await
        })
        .await?;
    only(answer)
}

/// Reads, or sets, what an admin allows an app for a user; the sign-in must be recent to set.
///
/// # Errors
/// [`SetSpendLimitsError`].
pub async fn administer_spend_limits(
    app: &App,
    admin: &Caller,
    user_id: &str,
    app_id: &AppId,
    new: Option<NewLimits>,
    request: &RequestInfo,
) -> Result<AppLimits, SetSpendLimitsError> {
    let request = request.to_json();
    let answer = app
        .db
        .retry("administer_spend_limits", || async {
            let mut connection = app.db.acquire().await?;
            let connection = &mut connection;
            store::administer_spend_limits(connection, admin, user_id, app_id, new, &request).await
        })
        .await?;
    only(answer)
}

fn only(answer: Result<Vec<AppLimits>, String>) -> Result<AppLimits, SetSpendLimitsError> {
    match answer {
        Ok(limits) => limits.into_iter().next().ok_or_else(|| {
            SetSpendLimitsError::Refused(Refused::Db(DbError::Inconsistent("no limits")))
        }),
        Err(outcome) if outcome == "too_many_limits" => Err(SetSpendLimitsError::TooManyLimits),
        Err(outcome) => match Refused::unless_done(&outcome) {
            Err(refused) => Err(SetSpendLimitsError::Refused(refused)),
            Ok(()) => Err(DbError::Inconsistent("done without limits").into()),
        },
    }
}

/// Why no limit was set.
#[derive(Debug)]
pub enum SetSpendLimitsError {
    /// As many apps have limits as may.
    TooManyLimits,
    /// There is no such user, or the admin may not.
    Refused(Refused),
}

impl From<DbError> for SetSpendLimitsError {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

impl fmt::Display for SetSpendLimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLimits => f.write_str("too many apps have limits"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SetSpendLimitsError {}
