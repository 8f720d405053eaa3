//! `tollgate migrate`.

use super::start::{attach_database, refuse_shared_backends};
use crate::config::Config;
use crate::db;

/// Makes the roles, applies what is missing and says what it did.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub async fn run(config: Config) -> Result<(), String> {
    let database = attach_database(&config).await?;
    let mut owner = db::connect(&database.owner_url)
        .await
        .map_err(|error| error.to_string())?;
    refuse_shared_backends(&database.owner_url, &mut owner).await?;
    let applied = db::migrate(&mut owner)
        .await
        .map_err(|error| error.to_string())?;
    if applied.is_empty() {
        println!("The schema is up to date.");
    }
    for version in applied {
        println!("applied migration {version:04}");
    }
    Ok(())
}
