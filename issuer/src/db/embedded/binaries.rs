//! Finds the server's programs: `initdb` and `postgres`, side by side in one folder.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;

/// The programs of one installed PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

/// Why there are no programs to run.
#[derive(Debug)]
pub enum BinariesError {
    /// No `initdb` and `postgres` were found.
    NoneFound {
        /// Every folder that was looked at.
        searched: Vec<PathBuf>,
    },
    /// The only ones found are older than the schema needs.
    TooOld {
        /// The newest major version found.
        found: u32,
        /// Where it is.
        folder: PathBuf,
    },
    /// The cluster was made by a major version whose programs are gone.
    WrongVersion {
        /// The cluster.
        cluster: PathBuf,
        /// The version that made it.
        made_by: u32,
        /// The versions found on this machine.
        found: Vec<u32>,
    },
    /// A client program is missing, or older than the server it would talk to.
    NoClient {
        /// `pg_dump` or `pg_restore`.
        name: &'static str,
        /// The oldest version that would do.
        at_least: u32,
        /// Every folder that was looked at.
        searched: Vec<PathBuf>,
    },
}

impl Display for BinariesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneFound { searched } => {
                let folders: Vec<_> = searched.iter().map(|folder| folder.display()).collect();
                write!(
                    f,
                    "no PostgreSQL was found: install it (Debian: apt-get install postgresql) or set \
                     TOLLGATE_POSTGRES_BIN to the folder with initdb and postgres; looked in {}",
                    list(&folders)
                )
            }
            Self::TooOld { found, folder } => {
                let folder = folder.display();
                write!(
                    f,
                    "PostgreSQL {found} in {folder} is too old: {MIN_MAJOR} or newer is needed"
                )
            }
            Self::WrongVersion {
                cluster,
                made_by,
                found,
            } => write!(
                f,
                "the database in {} was made by PostgreSQL {made_by}, which is not installed: install \
                 it again, or move that folder away to start afresh; found versions {}",
                cluster.display(),
                list(found)
            ),
            Self::NoClient {
                name,
                at_least,
                searched,
            } => {
                let folders: Vec<_> = searched.iter().map(|folder| folder.display()).collect();
                write!(
                    f,
                    "no {name} of PostgreSQL {at_least} or newer was found: install it (Debian: apt-get install \
                     postgresql-client-{at_least}) or set TOLLGATE_POSTGRES_BIN to its folder; looked in {}",
                    list(&folders)
                )
            }
        }
    }
}

impl std::error::Error for BinariesError {}

fn list(items: &[impl Display]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    if items.is_empty() {
        "no folder".to_owned()
    } else {
        items.join(", ")
    }
}

impl Binaries {
    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// Picks the programs for a new cluster, or for the existing one at a path with its major
    /// version: data files are readable only by the version that made them.
    pub(super) fn find(
        options: &Options,
        existing: Option<(&Path, u32)>,
    ) -> Result<Self, BinariesError> {
        let searched = candidate_folders(options);
        let found: Vec<_> = searched
            .iter()
            .filter_map(|folder| inspect(folder))
            .collect();
        let suits = |b: &&Self| existing.map_or(b.major >= MIN_MAJOR, |(_, made)| b.major == made);
        match (
            found.iter().find(suits),
            existing,
            found.iter().max_by_key(|b| b.major),
        ) {
            (Some(binaries), ..) => Ok(binaries.clone()),
            (None, _, None) => Err(BinariesError::NoneFound { searched }),
            (None, None, Some(newest)) => Err(BinariesError::TooOld {
                found: newest.major,
                folder: newest.folder.clone(),
            }),
            (None, Some((cluster, made_by)), Some(_)) => Err(BinariesError::WrongVersion {
                cluster: cluster.to_owned(),
                made_by,
                found: found.iter().map(|b| b.major).collect(),
            }),
        }
    }
}

/// The oldest client program that is new enough for a server: a newer one may write what that server
/// does not understand.
///
/// # Errors
/// [`BinariesError::NoClient`].
pub fn find_client(
    options: &Options,
    name: &'static str,
    at_least: u32,
) -> Result<PathBuf, BinariesError> {
    let searched = candidate_folders(options);
    let mut found: Vec<(u32, PathBuf)> = searched
        .iter()
        .filter_map(|folder| inspect_client(folder, name))
        .filter(|(major, _)| *major >= at_least)
        .collect();
    found.sort_by_key(|(major, _)| *major);
    match found.into_iter().next() {
        Some((_, program)) => Ok(program),
        None => Err(BinariesError::NoClient {
            name,
            at_least,
            searched,
        }),
    }
}

/// What stands under the name on Debian's `PATH` is a script that picks a version by rules of its own.
fn inspect_client(folder: &Path, name: &str) -> Option<(u32, PathBuf)> {
    let program = folder.join(name).canonicalize().ok()?;
    if program.file_name()? != name {
        return None;
    }
    let output = Command::new(&program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some((parse_major(&text, name)?, program))
}

/// A folder that was named counts alone; otherwise `PATH` comes first, then where packages put the
/// programs, the newest version first.
fn candidate_folders(options: &Options) -> Vec<PathBuf> {
    if let Some(folder) = &options.binaries {
        return vec![folder.clone()];
    }
    let on_path = options.search_path.iter().flat_map(std::env::split_paths);
    let mut folders: Vec<_> = on_path.filter(|folder| folder.is_absolute()).collect();
    for (parent, prefix) in PACKAGE_FOLDERS {
        folders.extend(versioned_folders(Path::new(parent), prefix));
    }
    folders
}

/// Every `<parent>/<prefix><version>/bin`, newest first.
fn versioned_folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Follows links, because `initdb` looks for its data files beside its real place.
fn inspect(folder: &Path) -> Option<Binaries> {
    let postgres = folder.join("postgres").canonicalize().ok()?;
    let folder = postgres.parent()?.to_owned();
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout), "postgres")?;
    Some(Binaries { folder, major })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)`, `postgres (PostgreSQL) 18beta1`.
fn parse_major(version: &str, program: &str) -> Option<u32> {
    let number = version
        .strip_prefix(program)?
        .strip_prefix(" (PostgreSQL) ")?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

/// The schema uses what version 15 brought: `security_invoker` views, `nulls not distinct`.
pub(super) const MIN_MAJOR: u32 = 15;
/// Debian and Ubuntu; postgresql.org for Red Hat; Homebrew on both kinds of Mac.
const PACKAGE_FOLDERS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_from_every_form() {
        for (text, major) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 17\n", Some(17)),
            ("postgres (PostgreSQL) devel\n", None),
            ("mysqld 8.0\n", None),
            ("", None),
        ] {
            assert_eq!(parse_major(text, "postgres"), major, "{text}");
        }
    }

    #[test]
    fn client_that_is_too_old_or_missing_is_refused_with_what_to_install() {
        let options = Options {
            binaries: Some("/nonexistent".into()),
            search_path: None,
            durability: super::super::Durability::None,
        };
        let error = find_client(&options, "pg_dump", 99)
            .unwrap_err()
            .to_string();
        assert!(error.contains("postgresql-client-99"), "{error}");
        assert!(error.contains("looked in /nonexistent"), "{error}");
    }

    #[test]
    fn named_folder_without_programs_is_refused_with_the_folder() {
        let options = Options {
            binaries: Some("/nonexistent".into()),
            search_path: None,
            durability: super::super::Durability::None,
        };
        let error = Binaries::find(&options, None).unwrap_err().to_string();
        assert!(error.contains("looked in /nonexistent"), "{error}");
    }
}
