//! What an operating system's refusal means to the person who has to mend it.

use sessile_core::whatsapp::DeviceStoreError;
use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be touched.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {}", path.display(), remedy(source))]
pub(super) struct Fault {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "its disk is full; free some space",
        io::ErrorKind::ReadOnlyFilesystem => "its disk is read-only; mount it for writing",
        io::ErrorKind::PermissionDenied => "this user may not; give it the folder",
        io::ErrorKind::NotFound => "it is not there; was the folder removed?",
        _ => "check the disk",
    }
}

impl From<Fault> for DeviceStoreError {
    fn from(fault: Fault) -> Self {
        match fault.source.kind() {
            // Keys that we may not read are not keys that do not exist.
            io::ErrorKind::PermissionDenied => Self::Denied(fault.to_string()),
            _ => Self::unavailable(fault),
        }
    }
}

/// Names what was attempted.
pub(super) trait Io<T> {
    fn fault(self, what: &'static str, path: &Path) -> Result<T, Fault>;
}

impl<T> Io<T> for io::Result<T> {
    fn fault(self, what: &'static str, path: &Path) -> Result<T, Fault> {
        self.map_err(|source| Fault { what, path: path.to_owned(), source })
    }
}
