//! Telling others how far the chain has come: the log, and a file that is kept elsewhere.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::model::Checkpoint;
use crate::app::App;

/// Writes a committed checkpoint to the log and to `AUDIT_CHECKPOINT_FILE`. A file that cannot
/// be written is reported; the checkpoint is in the database and in the log all the same.
pub async fn announce(app: &App, checkpoint: &Checkpoint) {
    tracing::info!(
        seq = checkpoint.seq,
        mac = checkpoint.mac,
        master_key_version = checkpoint.master_key_version,
        signed_at = checkpoint.signed_at,
        signature = checkpoint.signature,
        "audit checkpoint"
    );
    let Some(path) = app.config.audit.checkpoint_file.clone() else {
        return;
    };
    let line = serde_json::to_string(checkpoint).expect("a checkpoint can be written as JSON");
    let written = tokio::task::spawn_blocking(move || append(&path, &line)).await;
    if !matches!(written, Ok(Ok(()))) {
        tracing::warn!("AUDIT_CHECKPOINT_FILE could not be written");
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write for a whole line: two issuers may share the file.
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// Reads the checkpoints of a file, one JSON object a line.
///
/// # Errors
/// In words: the file cannot be read, or a line is not a checkpoint.
pub fn read_file(path: &PathBuf) -> Result<Vec<Checkpoint>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|_| format!("{}:{number} is not a checkpoint", path.display()))
        })
        .collect()
}
