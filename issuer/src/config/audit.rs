//! The audit trail.

use std::path::PathBuf;

use super::Source;

/// Where the audit trail's checkpoints go beside the log and the database.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// `AUDIT_CHECKPOINT_FILE`: one JSON object a line; best on another machine's disk.
    pub checkpoint_file: Option<PathBuf>,
}

impl AuditConfig {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let checkpoint_file = source.text("AUDIT_CHECKPOINT_FILE").map(PathBuf::from);
        let folder = checkpoint_file.as_ref().and_then(|path| path.parent());
        if folder.is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            source.problem(
                "AUDIT_CHECKPOINT_FILE",
                "must be a file in a folder that exists",
            );
        }
        Self { checkpoint_file }
    }
}
