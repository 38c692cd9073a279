//! One SQLite file: one thread that writes, some connections that read, and the versions of what lies in it.
//!
//! Every kind of session that lives in the file stands on the same [`SqliteFile`], so that changes of several kinds
//! share one transaction and one fsync and never wait for each other's lock. It knows no kind and no table.

mod connection;
mod fault;
mod migration;
mod open_files;
mod readers;
mod writer;

pub(crate) use fault::Unanswered;
pub(crate) use migration::Tables;
pub(crate) use writer::Manners;

use crate::open::OpenError;
use crate::options::Choice;
use readers::Readers;
use rusqlite::Connection;
use sessile_core::StoreError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::Writer;

/// One SQLite file. Dropping the last hold of it finishes every write that was accepted.
pub(crate) struct SqliteFile {
    path: PathBuf,
    // Before the writer: the last connection to close folds the log into the file, and has to be one that may write.
    readers: Readers,
    writer: Writer,
}

impl SqliteFile {
    /// Opens the file with a writer of its own, and creates it (mode 0600) where it is missing. Another one on the
    /// same file is like another process: they wait for SQLite's lock.
    pub(crate) fn open(path: &Path, create: Choice) -> Result<Arc<Self>, OpenError> {
        connection::ensure(path, create)?;
        Self::start(path).map(Arc::new)
    }

    /// The same file for everybody in this process who asks for it.
    pub(crate) fn shared(path: &Path, create: Choice) -> Result<Arc<Self>, OpenError> {
        connection::ensure(path, create)?;
        open_files::hold(path, || Self::start(path))
    }

    fn start(path: &Path) -> Result<Self, OpenError> {
        let db = connection::open_writer(path)?;
        let readers = Readers::open(path)?;
        let writer = Writer::start(db, path)?;
        Ok(Self { path: path.to_owned(), readers, writer })
    }

    /// Makes sure that a kind's tables are there; `create` makes them inside one transaction.
    pub(crate) fn migrate(
        &self,
        tables: &Tables<'_>,
        allowed: Choice,
        create: impl FnOnce(&Connection) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let mut db = connection::open_writer(&self.path)?;
        tables.migrate(&mut db, &self.path, allowed, create)
    }

    /// Runs `work` in the writer's next transaction and answers after its commit. It may run twice, so it changes
    /// nothing but the database.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        manners: Manners,
        work: impl Fn(&Connection) -> rusqlite::Result<Result<R, StoreError>> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.writer.ask(work, manners).await
    }

    /// Runs `read` on one of the reading connections, in place: a point read of the page cache takes less than
    /// handing it to another thread and being woken again.
    pub(crate) fn read<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        self.readers.with(read).unanswered(&self.path)
    }

    /// The same on a thread that may block, for reading much.
    pub(crate) async fn read_much<R: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.read(read)).await.map_err(StoreError::unavailable)?
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteFile({})", self.path.display())
    }
}
