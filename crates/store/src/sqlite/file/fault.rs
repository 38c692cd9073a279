//! What SQLite's refusals mean to the person who has to mend them.

use crate::open::OpenError;
use rusqlite::ErrorCode;
use sessile_core::StoreError;
use std::path::Path;

/// Why the file did not take a change or give an answer, with the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}: {what}")]
pub(crate) struct SqliteFault {
    place: String,
    what: String,
}

impl SqliteFault {
    pub(crate) fn new(path: &Path, error: &rusqlite::Error) -> Self {
        let remedy = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "the disk is full; free some space on its volume",
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                "it cannot be written; give this user write access to the file and its folder"
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process holds its lock; stop that process or wait until it is done"
            }
            Some(ErrorCode::CannotOpen) => {
                "it cannot be opened; check that the folder exists and that this user may write to it"
            }
            Some(ErrorCode::NotADatabase) => "it is not a SQLite database; name another file",
            Some(ErrorCode::DatabaseCorrupt) => "it is damaged; stop and restore it from a backup",
            Some(ErrorCode::SystemIoFailure) => {
                "the disk failed to read or write; check the disk and its free space"
            }
            None if matches!(error, rusqlite::Error::StatementChangedRows(_)) => {
                "a row is not what the decision was made on; ask again, and it is decided anew"
            }
            _ => return Self { place: path.display().to_string(), what: error.to_string() },
        };
        Self { place: path.display().to_string(), what: format!("{remedy} ({error})") }
    }
}

impl From<SqliteFault> for OpenError {
    fn from(fault: SqliteFault) -> Self {
        Self::Schema { place: fault.place, what: fault.what }
    }
}

/// Turns a driver's error into the two kinds that leave this module.
pub(crate) trait Unanswered<T> {
    fn unanswered(self, path: &Path) -> Result<T, StoreError>;
    fn unopened(self, path: &Path) -> Result<T, OpenError>;
}

impl<T> Unanswered<T> for rusqlite::Result<T> {
    fn unanswered(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::unavailable(SqliteFault::new(path, &error)))
    }

    fn unopened(self, path: &Path) -> Result<T, OpenError> {
        self.map_err(|error| SqliteFault::new(path, &error).into())
    }
}
