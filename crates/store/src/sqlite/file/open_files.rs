//! The files that this process has open for sharing, so that kinds which are opened by address, each without knowing
//! of the other, meet on one writer. Nothing here keeps a file open.

use super::SqliteFile;
use crate::open::OpenError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};

static OPEN: LazyLock<Mutex<HashMap<Name, Weak<SqliteFile>>>> = LazyLock::new(Mutex::default);

/// What makes two paths one file. The inode too: a file that was deleted and made again is another one.
#[derive(PartialEq, Eq, Hash)]
struct Name {
    path: PathBuf,
    inode: u64,
}

impl Name {
    fn of(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&path.metadata()?);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self { path, inode })
    }
}

/// The file at `path`, opened by `open` unless somebody has it open already.
pub(super) fn hold(
    path: &Path,
    open: impl FnOnce() -> Result<SqliteFile, OpenError>,
) -> Result<Arc<SqliteFile>, OpenError> {
    // Where there is no file, SQLite's own words say so.
    let Ok(name) = Name::of(path) else { return open().map(Arc::new) };
    let mut files = OPEN.lock();
    files.retain(|_, file| file.strong_count() > 0);
    if let Some(file) = files.get(&name).and_then(Weak::upgrade) {
        return Ok(file);
    }
    let file = Arc::new(open()?);
    files.insert(name, Arc::downgrade(&file));
    Ok(file)
}
