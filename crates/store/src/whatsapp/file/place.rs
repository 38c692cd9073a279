//! Names of a device's files, and the few things that are done to files.

use super::fault::{Fault, Io as _};
use crate::whatsapp::failpoint;
use sessile_core::whatsapp::DeviceId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a file that cannot be read is called from then on; a number follows when there is one already.
pub(super) const CORRUPTED: &str = ".corrupted";
/// What the journal of an owner is called whose device somebody else had taken over meanwhile.
pub(super) const FENCED: &str = ".fenced";
/// Behind the name of a device: its metadata, its journal, its locks; and what is not yet in place.
pub(super) const METADATA: &str = ".json";
pub(super) const JOURNAL: &str = ".journal";
pub(super) const LOCK: &str = ".lock";
/// Locked for as long as the process lives that owns the device.
pub(super) const OWNER: &str = ".owner";
pub(super) const NEW: &str = ".new";
/// Files put aside under one name; more is a disk that fails all the time.
const ASIDE_MAX: u32 = 1000;

/// Where one device's files are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
    device: DeviceId,
}

impl Place {
    pub(super) fn new(folder: &Path, device: DeviceId) -> Self {
        Self { folder: folder.to_owned(), device }
    }

    pub(super) fn device(&self) -> &DeviceId {
        &self.device
    }

    pub(super) fn metadata(&self) -> PathBuf {
        self.named(METADATA)
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.named(JOURNAL)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.named(LOCK)
    }

    pub(super) fn owner(&self) -> PathBuf {
        self.named(OWNER)
    }

    fn named(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}{ending}", self.device))
    }

    /// Whether there is anything of the device, were it only a lock.
    pub(super) fn exists(&self) -> bool {
        [self.metadata(), self.journal(), self.lock()].iter().any(|path| path.symlink_metadata().is_ok())
    }

    /// The file's name as an operator sees it.
    pub(super) fn name(path: &Path) -> String {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Files of the device that were put aside.
    pub(super) fn corrupted(&self) -> Vec<String> {
        let begins = [METADATA, JOURNAL].map(|ending| format!("{}{ending}{CORRUPTED}", self.device));
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| begins.iter().any(|begin| name.starts_with(begin.as_str())));
        names.sort();
        names
    }

    /// Puts a file aside under a name that is free, and answers that name.
    pub(super) fn quarantine(&self, path: &Path, ending: &str) -> Result<String, Fault> {
        let free = (1..=ASIDE_MAX)
            .map(|number| match number {
                1 => format!("{}{ending}", Self::name(path)),
                number => format!("{}{ending}.{number}", Self::name(path)),
            })
            .find(|name| self.folder.join(name).symlink_metadata().is_err());
        let name = free.ok_or_else(|| io::Error::other("too many files were put aside already"));
        let name = name.fault("put aside", path)?;
        fs::rename(path, self.folder.join(&name)).fault("put aside", path)?;
        self.sync_folder()?;
        Ok(name)
    }

    /// Replaces a file by one with this content: all of it or nothing, and on the disk when this answers.
    pub(super) fn replace(&self, path: &Path, content: &[u8]) -> Result<File, Fault> {
        let mut new = path.as_os_str().to_owned();
        new.push(NEW);
        let new = PathBuf::from(new);
        let mut file =
            open_private(OpenOptions::new().read(true).write(true).create(true).truncate(true), &new)
                .fault("create", &new)?;
        failpoint::reach("a new file, empty");
        file.write_all(content).fault("write", &new)?;
        failpoint::reach("a new file, written");
        file.sync_all().fault("write", &new)?;
        failpoint::reach("a new file, synced");
        fs::rename(&new, path).fault("replace", path)?;
        failpoint::reach("a new file, in place");
        self.sync_folder()?;
        failpoint::reach("a new file, its folder synced");
        Ok(file)
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), Fault> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.fault("remove", path),
        }
    }

    pub(super) fn sync_folder(&self) -> Result<(), Fault> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).fault("sync", &self.folder)
    }
}

/// Opens a file that only its owner may read.
pub(super) fn open_private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}
