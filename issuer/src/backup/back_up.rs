//! Writes a backup while the issuer goes on.

use std::path::Path;

use time::format_description::well_known::Rfc3339;

use super::file::{Header, NewBackup, fingerprint};
use super::programs::Programs;
use super::store;
use crate::db;
use crate::secret::MasterKey;

/// A backup that was written.
#[derive(Debug)]
pub struct BackedUp {
    /// What it says of itself.
    pub header: Header,
    /// How long the file is.
    pub bytes: u64,
}

/// Writes everything that is committed at this moment into a new file, readable by its owner alone.
///
/// # Errors
/// In words; no file is left then.
pub async fn back_up(
    programs: &Programs,
    master_key: &MasterKey,
    path: &Path,
) -> Result<BackedUp, String> {
    let header = describe(programs, master_key).await?;
    let (programs, master_key, path) = (programs.clone(), master_key.clone(), path.to_owned());
    // Reading and writing block: not on a thread of the runtime.
    let written = tokio::task::spawn_blocking(move || {
        let mut file = NewBackup::create(&path, &header)?;
        programs.dump(header.server_major, &header.schemas, &mut file)?;
        let bytes = file.finish(&master_key)?;
        Ok(BackedUp { header, bytes })
    });
    written
        .await
        .map_err(|_| "writing the backup was interrupted".to_owned())?
}

async fn describe(programs: &Programs, master_key: &MasterKey) -> Result<Header, String> {
    let words = |error: db::DbError| error.to_string();
    let mut connection = db::connect(&programs.url).await.map_err(words)?;
    let server = store::server(&mut connection).await.map_err(words)?;
    if !server.sees_all {
        return Err("this login does not see every row: set DATABASE_OWNER_URL to a superuser's, or give its login BYPASSRLS and the role tollgate_owner".into());
    }
    let schemas = store::schemas(&mut connection).await.map_err(words)?;
    if schemas.is_empty() {
        return Err("there is nothing to back up: this database was never migrated".into());
    }
    let known = store::newest_key_check(&mut connection).await;
    let check = known
        .map_err(words)?
        .ok_or("this database has no master key yet: start the issuer once, then back it up")?;
    if check != master_key.check_value() {
        return Err(format!(
            "the database is sealed with master key {}, MASTER_KEY is {}. Set the right one: the backup is sealed with it",
            fingerprint(&check),
            fingerprint(&master_key.check_value())
        ));
    }
    let version = store::schema_version(&mut connection).await;
    Ok(Header {
        made_at: server.now.format(&Rfc3339).unwrap_or_default(),
        made_by: env!("CARGO_PKG_VERSION").into(),
        schema_version: version.map_err(words)?,
        schemas,
        server_major: server.major,
        master_key: fingerprint(&check),
    })
}
