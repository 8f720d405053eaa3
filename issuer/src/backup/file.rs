//! The file: two lines of text, what `pg_dump` wrote, a checksum and a seal.
//!
//! ```text
//! tollgate backup 1
//! {"madeAt":"2026-03-01T12:00:00Z","schemaVersion":28,…}
//! <archive of pg_dump, custom format><SHA-256 of all before><HMAC over it>
//! ```
//! `tail -n +3 FILE | head -c -64` is the archive, should this program ever be lost.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::progress::Progress;
use crate::secret::{MasterKey, Purpose};

/// What a backup says of itself. Nothing here is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The database's time when it was begun.
    pub made_at: String,
    /// The version of the program.
    pub made_by: String,
    /// The newest migration of its schema.
    pub schema_version: i64,
    /// The schemas in it.
    pub schemas: Vec<String>,
    /// The major version of the server.
    pub server_major: u32,
    /// Names the master key, without which it is of no use.
    pub master_key: String,
}

/// The name of a master key: enough to tell two apart, and nothing that leads to it.
pub fn fingerprint(check_value: &[u8]) -> String {
    let mut name = String::new();
    for byte in check_value.iter().take(FINGERPRINT_BYTES) {
        write!(name, "{byte:02x}").expect("a string grows");
    }
    name
}

/// A backup being written, under another name until it is whole; removed when it never is.
pub struct NewBackup {
    file: File,
    hasher: Sha256,
    partial: PathBuf,
    path: PathBuf,
    bytes: u64,
    finished: bool,
}

impl NewBackup {
    /// Begins the file with its header; nobody but its owner may read it.
    ///
    /// # Errors
    /// In words.
    pub fn create(path: &Path, header: &Header) -> Result<Self, String> {
        let shown = path.display();
        if path.exists() {
            return Err(format!("{shown} exists: name another file, or remove it"));
        }
        let mut name = path
            .file_name()
            .ok_or(format!("{shown} names no file"))?
            .to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let told = |error: io::Error| format!("cannot write {}: {error}", partial.display());
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&partial)
            .map_err(told)?;
        let mut backup = Self {
            file,
            hasher: Sha256::new(),
            partial: partial.clone(),
            path: path.to_owned(),
            bytes: 0,
            finished: false,
        };
        let header = serde_json::to_string(header).expect("a header can be written as JSON");
        backup.append(format!("{MAGIC}\n{header}\n").as_bytes())?;
        Ok(backup)
    }

    /// Takes a part of the archive.
    ///
    /// # Errors
    /// In words: a full disk, for example.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.hasher.update(bytes);
        self.write(bytes)
    }

    /// Seals the file and gives it its name; says how long it is.
    ///
    /// # Errors
    /// In words.
    pub fn finish(mut self, master_key: &MasterKey) -> Result<u64, String> {
        let digest: [u8; 32] = self.hasher.clone().finalize().into();
        self.write(&digest)?;
        self.write(&seal(master_key, &digest))?;
        let named = self.file.sync_all();
        let named = named.and_then(|()| fs::rename(&self.partial, &self.path));
        named.map_err(|error| format!("cannot write {}: {error}", self.path.display()))?;
        self.finished = true;
        Ok(self.bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.bytes += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(|error| format!("cannot write {}: {error}", self.partial.display()))
    }
}

impl Drop for NewBackup {
    fn drop(&mut self) {
        if !self.finished {
            // Half a backup is worth nothing; that it stays is not worth another error.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// A backup that lies there.
#[derive(Debug)]
pub struct BackupFile {
    path: PathBuf,
    /// What it says of itself; true only once [`Self::verify`] has agreed.
    pub header: Header,
    archive_at: u64,
    archive_end: u64,
}

impl BackupFile {
    /// Reads what the file says of itself.
    ///
    /// # Errors
    /// In words, when it is no backup, too short for one, or of a form this program does not know.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let told = |error: io::Error| format!("cannot read {shown}: {error}");
        let file = File::open(path).map_err(told)?;
        let length = file.metadata().map_err(told)?.len();
        let mut reader = BufReader::new(file);
        let magic = read_line(&mut reader, MAX_MAGIC_BYTES).map_err(told)?;
        match magic.strip_prefix(FAMILY) {
            Some(VERSION) => {}
            Some(version) if version.trim().parse::<u32>().is_ok() => {
                let version = version.trim();
                return Err(format!(
                    "{shown} has form {version}, this program reads form {VERSION}: use the version that made it, or newer"
                ));
            }
            _ => return Err(format!("{shown} is no backup of Tollgate")),
        }
        let line = read_line(&mut reader, MAX_HEADER_BYTES).map_err(told)?;
        let archive_at = reader.stream_position().map_err(told)?;
        let damaged =
            || format!("{shown} is damaged: its second line cannot be read. Take another copy");
        let header = serde_json::from_str(&line).map_err(|_| damaged())?;
        let archive_end = length
            .checked_sub(TRAILER_BYTES)
            .filter(|end| *end > archive_at)
            .ok_or_else(|| format!("{shown} is cut off: take another copy"))?;
        Ok(Self {
            path: path.to_owned(),
            header,
            archive_at,
            archive_end,
        })
    }

    /// Reads the whole file and compares it with its checksum and its seal.
    ///
    /// # Errors
    /// In words: damaged or cut off, or not made with this master key.
    pub fn verify(&self, master_key: &MasterKey) -> Result<(), String> {
        let shown = self.path.display();
        let told = |error: io::Error| format!("cannot read {shown}: {error}");
        let mut file = File::open(&self.path).map_err(told)?;
        let mut hasher = Sha256::new();
        let mut progress = Progress::new("checking", Some(self.archive_end));
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = self.archive_end;
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = file.read(&mut buffer[..most]).map_err(told)?;
            if n == 0 {
                return Err(format!("{shown} changed while it was read"));
            }
            hasher.update(&buffer[..n]);
            left -= n as u64;
            progress.advance(n);
        }
        let mut trailer = [0; 64];
        file.read_exact(&mut trailer).map_err(told)?;
        let digest: [u8; 32] = hasher.finalize().into();
        if trailer[..32] != digest {
            return Err(format!(
                "{shown} is damaged or cut off: its checksum does not fit. Nothing was changed. Take another copy"
            ));
        }
        let genuine = master_key
            .derive(Purpose::Backups)
            .verify(&[SEAL_LABEL, &digest], &trailer[32..]);
        genuine.then_some(()).ok_or_else(|| {
            format!("{shown} was not sealed with this master key: somebody else has written it. Nothing was changed")
        })
    }

    /// The archive, for `pg_restore`.
    ///
    /// # Errors
    /// In words.
    pub fn archive(&self) -> Result<(impl Read + use<>, u64), String> {
        let opened = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.archive_at))?;
            Ok(file)
        });
        let file =
            opened.map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        let length = self.archive_end - self.archive_at;
        Ok((file.take(length), length))
    }
}

fn seal(master_key: &MasterKey, digest: &[u8; 32]) -> [u8; 32] {
    let key = master_key.derive(Purpose::Backups);
    key.mac(&[SEAL_LABEL, digest])
}

/// A line without its end; what is longer than `limit` or no text is no line of ours.
fn read_line(reader: &mut impl BufRead, limit: u64) -> io::Result<String> {
    let mut line = Vec::new();
    reader.take(limit).read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

const FAMILY: &str = "tollgate backup ";
const VERSION: &str = "1";
const MAGIC: &str = "tollgate backup 1";
const SEAL_LABEL: &[u8] = b"tollgate backup 1\n";
/// Room for versions of a few digits.
const MAX_MAGIC_BYTES: u64 = 32;
/// A header has some 200 bytes and grows by the name of a schema now and then.
const MAX_HEADER_BYTES: u64 = 64 * 1024;
/// Checksum and seal.
const TRAILER_BYTES: u64 = 64;
/// Large enough that the disk decides, small enough for any machine.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// 64 bits: nobody keeps so many master keys that two would share a name.
const FINGERPRINT_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            made_at: "2026-03-01T12:00:00Z".into(),
            made_by: "0.1.0".into(),
            schema_version: 28,
            schemas: vec!["auth".into()],
            server_major: 15,
            master_key: fingerprint(&key(1).check_value()),
        }
    }

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    /// A folder of this test, emptied first.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("backup");
        let mut new = NewBackup::create(&path, &header()).unwrap();
        new.append(b"PGDMP and what follows").unwrap();
        new.finish(&key(1)).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_again_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("backup-round");
        let path = written(&folder);
        let backup = BackupFile::open(&path).unwrap();
        assert_eq!(backup.header, header());
        backup.verify(&key(1)).unwrap();
        let mut archive = Vec::new();
        backup
            .archive()
            .unwrap()
            .0
            .read_to_end(&mut archive)
            .unwrap();
        assert_eq!(archive, b"PGDMP and what follows");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = NewBackup::create(&path, &header()).err().unwrap();
        assert!(again.contains("exists"), "{again}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_changed_byte_and_every_shorter_file_is_noticed() {
        let folder = folder("backup-damage");
        let path = written(&folder);
        let whole = fs::read(&path).unwrap();
        let accepted = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            BackupFile::open(&path).and_then(|backup| backup.verify(&key(1)))
        };
        accepted(&whole).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(accepted(&changed).is_err(), "byte {at}");
            assert!(accepted(&whole[..at]).is_err(), "cut at {at}");
        }
        assert!(accepted(&[whole.as_slice(), b"x"].concat()).is_err());
        let other = fs::write(&path, &whole).map(|()| BackupFile::open(&path).unwrap());
        let refused = other.unwrap().verify(&key(2)).unwrap_err();
        assert!(refused.contains("somebody else"), "{refused}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let folder = folder("backup-other");
        let path = folder.join("file");
        for (text, words) in [
            ("", "no backup of Tollgate"),
            ("PGDMP\n", "no backup of Tollgate"),
            ("tollgate backup 2\n{}\n", "has form 2"),
            ("tollgate backup 1\n{}\n", "second line"),
            ("tollgate backup 1\n", "second line"),
        ] {
            fs::write(&path, text).unwrap();
            let refused = BackupFile::open(&path).unwrap_err();
            assert!(refused.contains(words), "{text:?}: {refused}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn backup_that_is_not_finished_leaves_nothing() {
        let folder = folder("backup-unfinished");
        drop(NewBackup::create(&folder.join("backup"), &header()).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(folder).unwrap();
    }
}
