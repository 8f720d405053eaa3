//! `tollgate openapi`.

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, OnConnect};
use crate::http;
use crate::ids::Entropy;
use crate::secret::{MasterKey, SecretText};
use crate::signing_keys::MasterKeys;

/// Prints the OpenAPI document. Needs no database: nothing is asked of it.
#[expect(clippy::print_stdout, reason = "the answer to the command")]
pub fn run(config: Config) -> Result<(), String> {
    let nowhere = SecretText::new("postgres://localhost/none".into());
    let db = Db::open(&nowhere, 1, OnConnect::Limit).map_err(|error| error.to_string())?;
    let master_keys = MasterKeys::unchecked(MasterKey::from_bytes([0; 32]));
    let app = App::new(config, db, Clock::System, Entropy::system(), master_keys);
    print!("{}", http::openapi(&app));
    Ok(())
}
