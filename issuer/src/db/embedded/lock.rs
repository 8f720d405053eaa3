//! One owner per data directory, by a lock that the kernel releases when the owner dies.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;

use rustix::fs::{FlockOperation, flock};

use super::EmbeddedError;

/// Held as long as this process owns the data directory.
#[derive(Debug)]
pub(super) struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock or says who has it.
    pub(super) fn try_acquire(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let mut file = open(data_dir)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                note_owner(&mut file)
                    .map_err(EmbeddedError::io("writing", data_dir.join(FILE_NAME)))?;
                Ok(Self { _file: file })
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(EmbeddedError::InUse {
                data_dir: data_dir.to_owned(),
                pid: read_owner(&file),
            }),
            Err(error) => Err(EmbeddedError::io("locking", data_dir.join(FILE_NAME))(
                error.into(),
            )),
        }
    }

    /// Waits for the lock; for tests, where the holder is another test that starts the server.
    pub(super) async fn acquire(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let file = open(data_dir)?;
        let path = data_dir.join(FILE_NAME);
        tokio::task::spawn_blocking(move || {
            flock(&file, FlockOperation::LockExclusive).map(|()| Self { _file: file })
        })
        .await
        .expect("taking a file lock does not panic")
        .map_err(|error| EmbeddedError::io("locking", path)(error.into()))
    }
}

fn open(data_dir: &Path) -> Result<File, EmbeddedError> {
    let path = data_dir.join(FILE_NAME);
    fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(EmbeddedError::io("opening", path))
}

/// The process id is for the message only; the lock itself decides.
fn note_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

fn read_owner(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const FILE_NAME: &str = "serve.lock";
/// A process id has at most ten digits; the file may hold anything if somebody wrote to it.
const MAX_PID_BYTES: u64 = 16;
