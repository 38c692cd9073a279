//! Whose spool file is whose: one process owns one file, held by a lock that the operating system lets go of when
//! the process ends, however it ends. A second process beside it takes the next number.

use crate::open::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Spool files side by side: processes on one data folder at most.
const FILES_MAX: usize = 64;

/// A spool file that no other process uses while this lives.
#[derive(Debug)]
pub(super) struct Claim {
    file: PathBuf,
    // SQLite's own locks are per process and fall with any handle on its file, so the claim is on a file beside it.
    _lock: File,
}

impl Claim {
    /// The first free file of the row that `path` begins, and those of processes that are gone.
    pub(super) fn first_free(path: &Path) -> Result<(Self, Vec<Self>), OpenError> {
        let mut claims = Vec::new();
        for file in (1..=FILES_MAX).map(|number| numbered(path, number)) {
            let wanted = claims.is_empty() || file.exists();
            if let Some(claim) = wanted.then(|| Self::try_new(file)).transpose()?.flatten() {
                claims.push(claim);
            }
        }
        if claims.is_empty() {
            let what = format!(
                "all {FILES_MAX} spool files at {} are in use; give each process its own data folder",
                path.display()
            );
            return Err(OpenError::Unusable { what });
        }
        let own = claims.remove(0);
        Ok((own, claims))
    }

    fn try_new(file: PathBuf) -> Result<Option<Self>, OpenError> {
        let lock = open_lock(&file).map_err(|error| OpenError::Schema {
            place: file.display().to_string(),
            what: format!(
                "the spool cannot be claimed ({error}); check that this user may write to its folder"
            ),
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { file, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(OpenError::Schema {
                place: file.display().to_string(),
                what: format!(
                    "its folder does not support file locks ({error}); put the data folder on a local disk"
                ),
            }),
        }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Removes the file once everything in it lives elsewhere.
    pub(super) fn remove_file(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let companion = with_suffix(&self.file, suffix);
            if let Err(error) = std::fs::remove_file(&companion)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(file = %companion.display(), %error, "an emptied spool file could not be removed");
            }
        }
    }
}

fn open_lock(file: &Path) -> io::Result<File> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(with_suffix(file, ".lock"))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `spool.db`, `spool-2.db`, `spool-3.db` …
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number}{extension}"))
}
