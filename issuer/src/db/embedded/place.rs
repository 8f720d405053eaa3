//! Where the cluster lives and which user the server runs as.

use std::fmt;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EmbeddedError;

/// The unprivileged user the server runs as when this process is root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Why there is no place or no user for the server.
#[derive(Debug)]
pub enum PlaceError {
    /// Started by root on a machine that has neither a `postgres` nor a `nobody` user.
    NoAccount,
    /// The server's user cannot reach a folder it needs.
    Unreachable {
        /// The folder.
        folder: PathBuf,
        /// The user.
        user: String,
    },
    /// A path is not valid UTF-8 and so cannot stand in a connection URL.
    NotUtf8(PathBuf),
    /// The folder for the socket exists and is not ours alone.
    UnsafeSocketDir(PathBuf),
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAccount => write!(
                f,
                "PostgreSQL refuses to run as root and there is no user `postgres` or `nobody` to run \
                 it as: start as an ordinary user"
            ),
            Self::Unreachable { folder, user } => write!(
                f,
                "the user `{user}` cannot reach {}: start as an ordinary user, or move it to a place \
                 that user can read",
                folder.display()
            ),
            Self::NotUtf8(path) => {
                let path = path.display();
                write!(
                    f,
                    "the path {path} is not valid UTF-8: choose another data directory"
                )
            }
            Self::UnsafeSocketDir(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path} exists and belongs to somebody else or is open to others: remove it"
                )
            }
        }
    }
}

impl std::error::Error for PlaceError {}

impl Account {
    /// The user to switch to; `None` when this process is unprivileged already.
    pub(super) fn to_switch_to() -> Result<Option<Self>, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd")
            .map_err(EmbeddedError::io("reading", "/etc/passwd"))?;
        PREFERRED_USERS
            .iter()
            .find_map(|user| Self::in_passwd(&passwd, user))
            .map(Some)
            .ok_or(PlaceError::NoAccount.into())
    }

    /// Finds `user` in text of the form `name:password:uid:gid:…` (passwd(5)); never root itself.
    fn in_passwd(passwd: &str, user: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| *name == user)?;
            let uid = fields.nth(1)?.parse().ok().filter(|uid| *uid != 0)?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self {
                name: name.to_owned(),
                uid,
                gid,
            })
        })
    }

    /// Whether this user may pass through a folder with these permissions.
    fn may_enter(&self, folder: &Metadata) -> bool {
        let mode = folder.mode();
        if folder.uid() == self.uid {
            mode & 0o100 != 0
        } else if folder.gid() == self.gid {
            mode & 0o010 != 0
        } else {
            mode & 0o001 != 0
        }
    }

    /// The first folder on the way to `path` that this user cannot enter.
    pub(super) fn obstacle(&self, path: &Path) -> Option<PathBuf> {
        let blocked = |folder: &&Path| !fs::metadata(folder).is_ok_and(|m| self.may_enter(&m));
        path.ancestors().filter(blocked).last().map(Path::to_owned)
    }
}

/// Creates the data directory and returns its absolute path.
///
/// Others may pass through it, so that the server's user reaches the cluster inside; they may not
/// list it, and every file with a secret has mode 0600.
pub(super) fn create_data_dir(data_dir: &Path) -> Result<PathBuf, EmbeddedError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(data_dir)
        .map_err(EmbeddedError::io("creating", data_dir))?;
    data_dir
        .canonicalize()
        .map_err(EmbeddedError::io("resolving", data_dir))
}

/// The folder for the cluster: inside the data directory, or, where the server's user cannot get
/// there (root's home is closed to it), under `/var/lib/tollgate`.
pub(super) fn choose_cluster_dir(data_dir: &Path, account: Option<&Account>) -> PathBuf {
    let inside = data_dir.join("postgres");
    let Some(obstacle) = account.and_then(|account| account.obstacle(data_dir)) else {
        return inside;
    };
    let elsewhere = Path::new(SHARED_STATE_DIR).join(short_hash(data_dir));
    tracing::info!(
        cluster = %elsewhere.display(),
        obstacle = %obstacle.display(),
        "the database's user cannot reach the data directory; its cluster is kept elsewhere"
    );
    elsewhere
}

/// The folder for the socket: inside the cluster's, or a short path where that would not fit.
pub(super) fn choose_socket_dir(cluster_dir: &Path) -> PathBuf {
    let inside = cluster_dir.join("run");
    if inside.join(SOCKET_FILE).as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
        inside
    } else {
        Path::new("/tmp").join(format!("tollgate-{}", short_hash(cluster_dir)))
    }
}

/// Creates `folder` for the server's user alone, or checks that it is so already.
pub(super) fn ensure_private_dir(
    folder: &Path,
    account: Option<&Account>,
) -> Result<(), EmbeddedError> {
    if let Some(parent) = folder.parent() {
        create_data_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => give_to(folder, account),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check_private(folder, account)
        }
        Err(error) => Err(EmbeddedError::io("creating", folder)(error)),
    }
}

/// Makes the server's user the owner of `path`.
pub(super) fn give_to(path: &Path, account: Option<&Account>) -> Result<(), EmbeddedError> {
    let Some(account) = account else {
        return Ok(());
    };
    chown(path, Some(account.uid), Some(account.gid))
        .map_err(EmbeddedError::io("changing the owner of", path))
}

/// In `/tmp` anybody could have made the folder first, to catch our connections.
fn check_private(folder: &Path, account: Option<&Account>) -> Result<(), EmbeddedError> {
    let found = fs::symlink_metadata(folder).map_err(EmbeddedError::io("reading", folder))?;
    let owner = account.map_or_else(|| rustix::process::geteuid().as_raw(), |a| a.uid);
    if found.is_dir() && found.uid() == owner && found.mode().trailing_zeros() >= 6 {
        Ok(())
    } else {
        Err(PlaceError::UnsafeSocketDir(folder.to_owned()).into())
    }
}

fn short_hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest[..HASH_BYTES]
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Debian's package makes the first; every Unix has the second.
const PREFERRED_USERS: [&str; 2] = ["postgres", "nobody"];
/// Where system services keep their state (FHS 3.0, 5.8).
const SHARED_STATE_DIR: &str = "/var/lib/tollgate";
/// The name PostgreSQL gives its socket.
pub(super) const SOCKET_FILE: &str = ".s.PGSQL.5432";
/// `sun_path` has 104 bytes with its final NUL on macOS and 108 on Linux.
const MAX_SOCKET_PATH_BYTES: usize = 103;
/// 64 bits tell the few data directories of one machine apart.
const HASH_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        postgresql:x:7:7::/:/bin/sh\n\
        postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n\
        broken\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        toor:x:0:0::/root:/bin/sh\n";

    #[test]
    fn user_is_found_by_its_whole_name() {
        let account = Account::in_passwd(PASSWD, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert_eq!(Account::in_passwd(PASSWD, "nobody").unwrap().uid, 65534);
    }

    #[test]
    fn absent_malformed_and_root_users_are_refused() {
        for user in ["absent", "broken", "root", "toor", ""] {
            assert_eq!(Account::in_passwd(PASSWD, user), None, "{user}");
        }
    }

    #[test]
    fn long_cluster_path_gets_a_short_socket_folder() {
        let short = choose_socket_dir(Path::new("/srv/tollgate/postgres"));
        assert_eq!(short, Path::new("/srv/tollgate/postgres/run"));
        let long = PathBuf::from(format!("/{}", "x".repeat(90)));
        let chosen = choose_socket_dir(&long);
        assert!(chosen.starts_with("/tmp"), "{chosen:?}");
        assert!(chosen.join(SOCKET_FILE).as_os_str().len() <= MAX_SOCKET_PATH_BYTES);
    }

    #[test]
    fn socket_folder_at_the_limit_stays_and_one_byte_more_moves() {
        let tail = "/run/".len() + SOCKET_FILE.len();
        let fits = PathBuf::from(format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - tail - 1)));
        assert!(choose_socket_dir(&fits).starts_with(&fits));
        let over = PathBuf::from(format!("/{}", "x".repeat(MAX_SOCKET_PATH_BYTES - tail)));
        assert!(!choose_socket_dir(&over).starts_with(&over));
    }
}
