//! Changing settings.

use super::model::{AppId, Patch, Settings};
use super::store::{self, ChangeRow};
use crate::app::App;
use crate::db::DbError;
use crate::http::{Caller, IfMatch};

/// What to change.
#[derive(Debug)]
pub enum Change {
    /// Members of the settings for everywhere.
    Global(Patch),
    /// Members of an app's settings.
    App(AppId, Patch),
    /// All of an app's settings, to be removed.
    Reset(AppId),
}

/// Applies a change and answers the settings as they are afterwards.
///
/// # Errors
/// [`ChangeSettingsError`]; nothing has been changed then.
pub async fn change_settings(
    app: &App,
    caller: &Caller,
    change: &Change,
    condition: &IfMatch,
) -> Result<Settings, ChangeSettingsError> {
    let (app_id, patch) = match change {
        Change::Global(patch) => (None, Some(patch)),
        Change::App(app_id, patch) => (Some(app_id), Some(patch)),
        Change::Reset(app_id) => (Some(app_id), None),
    };
    let mut connection = app.db.acquire().await?;
    let row = store::change_settings(
        &mut connection,
        (&caller.user_id, &caller.session_id),
        app_id.map(AppId::as_str),
        patch.map(Patch::as_json),
        condition.versions(),
    )
    .await?;
    match row.outcome.as_str() {
        "saved" => Ok(settings(row).ok_or(DbError::Inconsistent("saved settings are missing"))?),
        "changed" => Err(ChangeSettingsError::Changed),
        "too_large" => Err(ChangeSettingsError::TooLarge),
        "ended" => Err(ChangeSettingsError::SessionEnded),
        _ => Err(DbError::Inconsistent("settings outcome of unknown name").into()),
    }
}

fn settings(row: ChangeRow) -> Option<Settings> {
    Some(Settings {
        version: row.version?,
        global: row.global?,
        apps: row.apps?,
    })
}

/// Why settings were not changed.
#[derive(Debug)]
pub enum ChangeSettingsError {
    /// They are of another version than the caller asked for.
    Changed,
    /// They would be too large as a whole.
    TooLarge,
    /// The session has ended.
    SessionEnded,
    /// The database.
    Db(DbError),
}

impl From<DbError> for ChangeSettingsError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
