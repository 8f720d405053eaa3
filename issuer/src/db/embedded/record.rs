//! The file beside the cluster that says where it is and how to log in: `postgres.json`, mode 0600.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::EmbeddedError;
use super::place::PlaceError;
use crate::ids::Entropy;
use crate::secret::SecretText;

/// How to reach the server, for each of its two users.
#[derive(Clone, Debug)]
pub struct Logins {
    /// The superuser: creates databases and roles, runs migrations.
    pub owner: SecretText,
    /// The login the issuer works with, a member of `tollgate_app`; owns nothing.
    pub issuer: SecretText,
}

/// The content of `postgres.json`. It is written once, before the cluster is created.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    /// The folder that holds the cluster, the socket and the server's log.
    pub(super) cluster_dir: PathBuf,
    pub(super) socket_dir: PathBuf,
    owner_password: Password,
    issuer_password: Password,
}

#[derive(Deserialize, Serialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
struct Password(String);

impl Password {
    fn generate() -> Self {
        let bytes = Zeroizing::new(Entropy::system().bytes::<PASSWORD_BYTES>());
        Self(Base64UrlUnpadded::encode_string(bytes.as_slice()))
    }
}

impl Record {
    /// Reads the record of `data_dir`; `None` when no cluster was ever made there.
    pub(super) fn find(data_dir: &Path) -> Result<Option<Self>, EmbeddedError> {
        let file = data_dir.join(FILE_NAME);
        let text = match fs::read(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EmbeddedError::io("reading", file)(error)),
        };
        // The parser's own message may quote what it read, so it is dropped.
        let record: Self = serde_json::from_slice(&text).map_err(|_| EmbeddedError::Record {
            file: file.clone(),
            problem: "not the expected JSON",
        })?;
        if record.cluster_dir.is_absolute() && record.socket_dir.to_str().is_some() {
            Ok(Some(record))
        } else {
            Err(EmbeddedError::Record {
                file,
                problem: "a path in it cannot be used",
            })
        }
    }

    /// Makes a record with new passwords and saves it.
    pub(super) fn create(
        data_dir: &Path,
        cluster_dir: PathBuf,
        socket_dir: PathBuf,
    ) -> Result<Self, EmbeddedError> {
        if socket_dir.to_str().is_none() {
            return Err(PlaceError::NotUtf8(socket_dir).into());
        }
        let record = Self {
            cluster_dir,
            socket_dir,
            owner_password: Password::generate(),
            issuer_password: Password::generate(),
        };
        let json = Zeroizing::new(
            serde_json::to_vec_pretty(&record).expect("paths were checked to be UTF-8"),
        );
        let file = data_dir.join(FILE_NAME);
        write_secret(&file, &json).map_err(EmbeddedError::io("writing", file))?;
        Ok(record)
    }

    pub(super) fn logins(&self) -> Logins {
        Logins {
            owner: self.url(OWNER_LOGIN, &self.owner_password),
            issuer: self.url(ISSUER_LOGIN, &self.issuer_password),
        }
    }

    pub(super) fn owner_password(&self) -> &str {
        &self.owner_password.0
    }

    fn url(&self, user: &str, password: &Password) -> SecretText {
        let socket_dir = self
            .socket_dir
            .to_str()
            .expect("checked when the record was made");
        let mut url = Url::parse("postgres://localhost").expect("a constant URL");
        url.set_path(DATABASE);
        url.set_username(user)
            .expect("a URL with a host takes a user");
        url.set_password(Some(&password.0))
            .expect("a URL with a host takes a password");
        url.query_pairs_mut()
            .append_pair("host", socket_dir)
            .append_pair("port", PORT)
            // The socket's folder is private, and a Unix socket has no TLS.
            .append_pair("sslmode", "disable");
        SecretText::new(url.into())
    }
}

/// Writes `bytes` so that the file is never seen half-written or open to others.
fn write_secret(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = file.with_extension("partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut writer = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&partial)?;
    writer.write_all(bytes)?;
    writer.sync_all()?;
    fs::rename(&partial, file)
}

/// The superuser that `initdb` creates.
pub(super) const OWNER_LOGIN: &str = "tollgate_admin";
/// The issuer's login.
pub(super) const ISSUER_LOGIN: &str = "tollgate_issuer";
/// The database both URLs name.
pub(super) const DATABASE: &str = "tollgate";
/// Only part of the socket's file name: nothing listens on TCP.
pub(super) const PORT: &str = "5432";
/// 256 bits, as every generated secret here.
const PASSWORD_BYTES: usize = 32;
const FILE_NAME: &str = "postgres.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_logins_shows_no_password_and_no_url() {
        let record = Record {
            cluster_dir: "/data".into(),
            socket_dir: "/data/run".into(),
            owner_password: Password("owner-secret".into()),
            issuer_password: Password("issuer-secret".into()),
        };
        let logins = record.logins();
        assert!(logins.owner.expose().contains("owner-secret"));
        let shown = format!("{logins:?}");
        assert!(
            !shown.contains("secret") && !shown.contains("postgres://"),
            "{shown}"
        );
    }

    #[test]
    fn socket_folder_with_special_characters_survives_the_url() {
        let record = Record {
            cluster_dir: "/data".into(),
            socket_dir: "/data dir/100%&?=ü/run".into(),
            owner_password: Password("a".into()),
            issuer_password: Password("b".into()),
        };
        let options: sqlx::postgres::PgConnectOptions =
            record.logins().issuer.expose().parse().unwrap();
        let socket = options.get_socket().map(PathBuf::as_path);
        assert_eq!(socket, Some(Path::new("/data dir/100%&?=ü/run")));
        assert_eq!(options.get_username(), ISSUER_LOGIN);
        assert_eq!(options.get_database(), Some(DATABASE));
    }
}
