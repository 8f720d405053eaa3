//! Brings a backup back into an empty database.

use serde_json::json;
use sqlx::PgConnection;

use super::file::{BackupFile, fingerprint};
use super::programs::Programs;
use super::progress::tell;
use super::store;
use crate::db::{self, DbError};
use crate::secret::MasterKey;
use crate::sessions;

/// A file that has been looked at from every side but the database's.
#[derive(Debug)]
pub struct Plan {
    file: BackupFile,
}

impl Plan {
    /// Verifies the file: what it is, whether this program and one of these master keys fit, and
    /// every byte. Touches no database.
    ///
    /// # Errors
    /// In words.
    pub async fn make(file: BackupFile, keys: Vec<MasterKey>) -> Result<Self, String> {
        let (needed, newest) = (file.header.schema_version, db::newest_version());
        if needed > newest {
            return Err(format!(
                "the backup's schema is version {needed}, this program knows versions up to {newest}. Nothing was changed. Use the version of tollgate that made it ({}), or newer",
                file.header.made_by
            ));
        }
        let fits = |key: &MasterKey| fingerprint(&key.check_value()) == file.header.master_key;
        let Some(key) = keys.iter().find(|key| fits(key)).cloned() else {
            let at_hand: Vec<_> = keys
                .iter()
                .map(|key| fingerprint(&key.check_value()))
                .collect();
            return Err(format!(
                "the backup needs master key {}, at hand is {}. Nothing was changed. Set the right one as MASTER_KEY; if it was changed since, set the new one as MASTER_KEY and the one the backup needs as MASTER_KEY_PREVIOUS",
                file.header.master_key,
                at_hand.join(" and ")
            ));
        };
        let verified = tokio::task::spawn_blocking(move || file.verify(&key).map(|()| file));
        let file = verified
            .await
            .map_err(|_| "reading the backup was interrupted".to_owned())??;
        Ok(Self { file })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &super::Header {
        &self.file.header
    }
}

/// What a restore did beside bringing everything back.
#[derive(Debug)]
pub struct Restored {
    /// Migrations that the backup did not have yet.
    pub migrated: Vec<i64>,
    /// Sessions that were ended.
    pub sessions_ended: i64,
}

/// Brings everything back. `nothing_since` keeps people signed in: right only when no issuer has run
/// since the backup was made.
///
/// # Errors
/// In words. The database is as it was, unless the text says that it has to be made anew.
pub async fn restore(
    programs: &Programs,
    plan: Plan,
    nothing_since: bool,
) -> Result<Restored, String> {
    let words = |error: DbError| error.to_string();
    let mut connection = db::connect(&programs.url).await.map_err(words)?;
    let server = store::server(&mut connection).await.map_err(words)?;
    check_target(&mut connection, &server).await?;
    db::make_roles(&mut connection).await.map_err(words)?;
    store::begin(&mut connection).await.map_err(words)?;
    let made_at = plan.file.header.made_at.clone();
    let loading = programs.clone();
    let loaded = tokio::task::spawn_blocking(move || loading.load(server.major, &plan.file));
    let loaded = loaded
        .await
        .unwrap_or_else(|_| Err("restoring was interrupted".into()));
    if let Err(error) = loaded {
        store::give_up(&mut connection).await.map_err(words)?;
        return Err(format!(
            "{error}\nNothing was restored: the database is empty still"
        ));
    }
    let finished = make_current(&mut connection, nothing_since, &made_at).await;
    finished.map_err(|error| {
        format!("{error}\nThe restore is not finished, and no issuer starts on this database: drop it, create it again and restore once more")
    })
}

async fn check_target(connection: &mut PgConnection, server: &store::Server) -> Result<(), String> {
    let words = |error: DbError| error.to_string();
    if !server.sees_all {
        return Err("this login may not restore: set DATABASE_OWNER_URL to a superuser's, or give its login BYPASSRLS and CREATEROLE".into());
    }
    if store::is_unfinished(connection).await.map_err(words)? {
        return Err("a restore into this database was cut off: drop it, create it again and restore once more".into());
    }
    let occupants = store::occupants(connection).await.map_err(words)?;
    if !occupants.is_empty() {
        return Err(format!(
            "the database is not empty ({}). Nothing was changed. Restore into a new one (`createdb NAME`) and set DATABASE_URL and DATABASE_OWNER_URL to it",
            occupants.join(", ")
        ));
    }
    match db::n_issuer_connections(connection).await.map_err(words)? {
        0 => Ok(()),
        n => Err(format!(
            "{n} connections of an issuer are open to this database. Nothing was changed. Stop every issuer first"
        )),
    }
}

async fn make_current(
    connection: &mut PgConnection,
    nothing_since: bool,
    made_at: &str,
) -> Result<Restored, String> {
    let migrated = db::migrate(connection)
        .await
        .map_err(|error| error.to_string())?;
    let sessions_ended = match nothing_since {
        true => 0,
        false => {
            tell("ending the sessions of before");
            sessions::end_every_quietly(connection)
                .await
                .map_err(|error| error.to_string())?
        }
    };
    let event = json!({ "madeAt": made_at, "sessionsEnded": sessions_ended, "nothingSince": nothing_since });
    store::finish(connection, !nothing_since, &event)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Restored {
        migrated,
        sessions_ended,
    })
}
