//! Users of another system, such as a Better Auth database, brought here with their passwords.
//!
//! A file is read and checked as a whole before anything is written. Each user is then written
//! in a transaction of its own together with the credit account: running the import again goes
//! on where it stopped, and changes nothing for users who are here already.

mod lines;

use std::fmt;

pub use lines::{ImportFile, LineProblem, read as read_import};

use self::lines::ForeignUser;
use super::store::{self, ImportedUser};
use crate::app::App;
use crate::config::CreditsConfig;
use crate::credits;
use crate::db::{AsRetry, DbError};
use crate::secret::SecretText;

/// What became of a file.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Users who are new here.
    pub imported: Vec<Mapping>,
    /// Users whose address was here already; nothing about them has been changed.
    pub existing: Vec<Mapping>,
}

/// A user's id there and here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// In the system the user comes from.
    pub from: String,
    /// Here.
    pub to: String,
}

/// Writes the users of a file; `progress` is told how many are done.
///
/// # Errors
/// [`ImportError`]; users written before stay.
pub async fn import_users(
    app: &App,
    file: &ImportFile,
    with_bonus: bool,
    mut progress: impl FnMut(usize),
) -> Result<ImportReport, ImportError> {
    let credits = match with_bonus {
        true => app.config.credits,
        false => CreditsConfig {
            signup_bonus: 0,
            ..app.config.credits
        },
    };
    let mut report = ImportReport::default();
    for (n_done, user) in (1..).zip(file.users()) {
        let (is_new, to) = import_one(app, user, &credits).await?;
        let mapping = Mapping {
            from: user.id.clone(),
            to,
        };
        if is_new {
            report.imported.push(mapping);
        } else {
            report.existing.push(mapping);
        }
        progress(n_done);
    }
    Ok(report)
}

/// The user's id here, and whether it is new.
async fn import_one(
    app: &App,
    user: &ForeignUser,
    credits: &CreditsConfig,
) -> Result<(bool, String), ImportError> {
    let mut id = match user.has_id_of_our_form() {
        true => user.id.clone(),
        false => app.entropy.user_id(),
    };
    for _ in 0..MAX_ID_ATTEMPTS {
        match write(app, user, &id, credits).await? {
            Written::Imported => return Ok((true, id)),
            Written::Exists(existing) => return Ok((false, existing)),
            Written::IdTaken => id = app.entropy.user_id(),
        }
    }
    Err(DbError::Inconsistent("random user ids are taken").into())
}

enum Written {
    Imported,
    Exists(String),
    IdTaken,
}

async fn write(
    app: &App,
    user: &ForeignUser,
    id: &str,
    credits_config: &CreditsConfig,
) -> Result<Written, ImportError> {
    let bonus_digest = app.address_digest(&user.email.canonical());
    let request = serde_json::json!({ "actorKind": "system", "actorId": "import" });
    let new = ImportedUser {
        id,
        email: &user.email,
        name: user.name.as_deref(),
        password_hash: user.hash.as_ref().map(SecretText::expose),
        email_verified: user.email_verified,
        created_at: user.created_at,
    };
    app.db
        .retry("import_user", || async {
            let mut tx = app.db.begin().await?;
            let row = store::import_user(&mut tx, &new, &request).await?;
            match (row.outcome.as_str(), row.user_id) {
                ("imported", _) => {
                    credits::open_account(&mut tx, id, credits_config, &bonus_digest).await?;
                    tx.commit().await?;
                    Ok(Written::Imported)
                }
                ("exists", Some(existing)) => Ok(Written::Exists(existing)),
                ("id_taken", _) => Ok(Written::IdTaken),
                _ => Err(DbError::Inconsistent("import outcome of unknown name").into()),
            }
        })
        .await
}

/// Why an import stopped.
#[derive(Debug)]
pub enum ImportError {
    /// The database.
    Db(DbError),
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl AsRetry for ImportError {
    fn is_retryable(&self) -> bool {
        let Self::Db(error) = self;
        error.is_retryable()
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Db(error) = self;
        error.fmt(f)
    }
}

impl std::error::Error for ImportError {}

/// Ids are 126 random bits: a second attempt is one too many already.
const MAX_ID_ATTEMPTS: u32 = 3;
