//! How the database is reached.

use std::path::PathBuf;

use super::{Mode, Source};
use crate::secret::SecretText;

/// Connections to PostgreSQL.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: the issuer's login. None in development means the embedded server.
    pub url: Option<SecretText>,
    /// `DATABASE_OWNER_URL`: the login that may migrate, when it is not the issuer's.
    pub owner_url: Option<SecretText>,
    /// `DATABASE_REPLICA_URL`: a hot standby, for reads that may be a moment old.
    pub replica_url: Option<SecretText>,
    /// `DATABASE_MAX_CONNECTIONS`.
    pub max_connections: u32,
    /// `TOLLGATE_POSTGRES_BIN`: where the programs of the embedded server are.
    pub embedded_binaries: Option<PathBuf>,
}

impl DatabaseConfig {
    pub(super) fn read(source: &mut Source<'_>, mode: Mode) -> Self {
        let url = read_url(source, "DATABASE_URL");
        if url.is_none() && mode == Mode::Production {
            source.problem(
                "DATABASE_URL",
                "is required, for example postgres://user:password@host:5432/tollgate (or start with --dev)",
            );
        }
        let max = source.number(
            "DATABASE_MAX_CONNECTIONS",
            default_max_connections(),
            2..=1000,
        );
        Self {
            url,
            owner_url: read_url(source, "DATABASE_OWNER_URL"),
            replica_url: read_url(source, "DATABASE_REPLICA_URL"),
            embedded_binaries: source.text("TOLLGATE_POSTGRES_BIN").map(PathBuf::from),
            max_connections: u32::try_from(max).unwrap_or(2),
        }
    }
}

fn read_url(source: &mut Source<'_>, name: &'static str) -> Option<SecretText> {
    let url = source.secret(name)?;
    let known = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.expose().starts_with(scheme));
    if !known {
        source.problem(
            name,
            "must be a PostgreSQL URL: postgres://user:password@host:5432/database",
        );
    }
    Some(url)
}

/// Enough to keep a PostgreSQL of a few cores busy; more only queue inside the server.
fn default_max_connections() -> i64 {
    20
}
