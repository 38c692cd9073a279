//! Opening connections: permissions and pragmas, by any number of processes at the same moment.

use super::fault::Unanswered;
use crate::open::OpenError;
use crate::options::Choice;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long a write waits for another process's write, in tries. SQLite's own timeout soon tries only ten times a
/// second, and so misses every moment in which a busy process lets go.
const BUSY_TRIES_MAX: i32 = 5_000;
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// How long a read waits; it runs on a thread that others need.
const READ_BUSY_TIMEOUT: Duration = Duration::from_millis(250);
/// Tries to turn on the write-ahead log, which SQLite refuses while another process does the same.
const WAL_ATTEMPTS_MAX: usize = 500;
const WAL_PAUSE: Duration = Duration::from_millis(10);
/// Pages in the log before it is folded into the file (64 MiB): rarely enough not to be felt, and a page that was
/// written many times meanwhile is folded once.
const CHECKPOINT_PAGES: i64 = 16_384;
/// Pages of one large batch stay in memory until its commit (16 MiB; a negative size is in KiB).
const WRITER_CACHE_KIB: i64 = -16 * 1024;
const MMAP_BYTES: i64 = 256 * 1024 * 1024;
/// Statements that stay prepared, of all kinds together.
const STATEMENTS_MAX: usize = 160;

/// Makes the file where it is missing.
pub(super) fn ensure(path: &Path, create: Choice) -> Result<(), OpenError> {
    match create {
        Choice::Yes => create_file(path).map_err(|error| unreachable(path, &error)),
        Choice::No => Ok(()),
    }
}

/// A connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).unopened(path)?;
    db.busy_handler(Some(try_again)).unopened(path)?;
    write_ahead(&db).unopened(path)?;
    db.pragma_update(None, "synchronous", "FULL").unopened(path)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).unopened(path)?;
    db.pragma_update(None, "cache_size", WRITER_CACHE_KIB).unopened(path)?;
    db.pragma_update(None, "foreign_keys", true).unopened(path)?;
    common(&db).unopened(path)?;
    Ok(db)
}

/// What a write does while another process writes: it waits a moment, unless it has waited for long enough.
fn try_again(tries: i32) -> bool {
    std::thread::park_timeout(BUSY_PAUSE);
    tries < BUSY_TRIES_MAX
}

/// One of the connections that read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).unopened(path)?;
    db.busy_timeout(READ_BUSY_TIMEOUT).unopened(path)?;
    common(&db).unopened(path)?;
    Ok(db)
}

fn common(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "mmap_size", MMAP_BYTES)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// Sessions are secrets: the file is its owner's alone. SQLite gives its companions the same mode.
fn create_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn unreachable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Schema {
        place: path.display().to_string(),
        what: format!(
            "it cannot be created ({error}); check that the folder exists and that this user may write to it"
        ),
    }
}

fn write_ahead(db: &Connection) -> rusqlite::Result<()> {
    for _ in 0..WAL_ATTEMPTS_MAX {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::park_timeout(WAL_PAUSE);
            }
            other => return other,
        }
    }
    db.pragma_update(None, "journal_mode", "WAL")
}
