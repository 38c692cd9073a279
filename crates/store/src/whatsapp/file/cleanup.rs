//! Session files as an operator sees them, and their cleanup with true counts.
//!
//! In use is a device that somebody holds, one that has credentials and should run, and one that moved elsewhere: its
//! tombstone keeps older keys from ever being used. Files that were put aside are for a person to look at; a cleanup that a
//! person asks for removes them.

use super::fault::Io as _;
use super::place::{CORRUPTED, FENCED, JOURNAL, LOCK, METADATA, NEW, OWNER};
use super::{Answer, FileDevices};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceId, DeviceStore as _, DeviceStoreError};
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

/// Files of a device that is not in use are removed when they are older.
pub const SESSION_FILE_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// One file of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFile {
    /// Its name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// When it changed last.
    pub modified: Timestamp,
    /// How long ago that is.
    pub age: Duration,
}

/// What a cleanup removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleanedUp {
    /// Devices that were not in use, with all their files.
    pub devices: u64,
    /// Files that had been put aside, and what was left of devices that cannot be read.
    pub corrupted_files: u64,
}

impl FileDevices {
    /// The files that belong to sessions, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn session_files(&self, now: Timestamp) -> Result<Vec<SessionFile>, DeviceStoreError> {
        let folder = self.folder();
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).fault("list", folder)? {
            let entry = entry.fault("list", folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // One that went away meanwhile is not there.
            let Ok(found) = entry.metadata() else { continue };
            if !found.is_file() || device_of(&name).is_none() {
                continue;
            }
            let modified = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let ms = modified.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0);
            let modified = Timestamp::from_unix_ms(ms);
            files.push(SessionFile { name, size: found.len(), modified, age: now.since(modified) });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Removes devices that are not in use and older than [`SESSION_FILE_AGE_MAX`], files that were put aside, and what is
    /// left of devices that cannot be read. After that a damaged device can be paired anew.
    ///
    /// # Errors
    /// When the folder cannot be read or a file cannot be removed; what was removed until then is gone.
    pub async fn clean_up(&self, now: Timestamp) -> Result<CleanedUp, DeviceStoreError> {
        let mut done = CleanedUp::default();
        // Looking at each puts aside what is damaged.
        let mut damaged = Vec::new();
        for device in self.names()? {
            if let Err(DeviceStoreError::Damaged(_)) = self.head(&device).await {
                damaged.push(device);
            }
        }
        done.devices = self.remove_unused(now.minus(SESSION_FILE_AGE_MAX)).await?;
        for file in self.session_files(now)? {
            if file.name.contains(CORRUPTED) || file.name.contains(FENCED) {
                fs::remove_file(self.folder().join(&file.name)).fault("remove", self.folder())?;
                done.corrupted_files += 1;
            }
        }
        for device in damaged {
            done.corrupted_files += self.forget(&device).await?;
        }
        Ok(done)
    }

    /// Removes what is left of a device that cannot be read; answers how many files that were, its lock apart.
    async fn forget(&self, device: &DeviceId) -> Answer<u64> {
        let open = self.open_desk(device);
        let removed = tokio::task::spawn_blocking(move || open.desk.forget()).await;
        removed.unwrap_or_else(|_| Err(super::interrupted()))
    }
}

/// Whose file it is; `None` for one that is not ours.
pub(super) fn device_of(name: &str) -> Option<DeviceId> {
    let aside = [CORRUPTED, FENCED].iter().find_map(|ending| name.find(ending));
    let name = &name[..aside.unwrap_or(name.len())];
    let name = name.strip_suffix(NEW).unwrap_or(name);
    [METADATA, JOURNAL, LOCK, OWNER]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .and_then(DeviceId::parse)
}
