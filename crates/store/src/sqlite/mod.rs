//! Login sessions in one SQLite file: the embedded default, for one machine and any number of its processes.
//!
//! Writes go to the file's one thread that commits whatever waits in one transaction (`synchronous=FULL`) and answers
//! after it. Reads run in place on the calling thread: a point read of the page cache takes 3 to 5 microseconds, less
//! than handing it to another thread and being woken again. Only a hash of each id is stored, since nobody shares the
//! file with an Express application. Nothing above this module sees SQL.

mod changes;
pub(crate) mod file;
mod keys;
mod portable;
mod reads;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use changes::{Desk, Insert};
pub(crate) use keys::Keys;
pub use schema::{SCHEMA, SCHEMA_VERSION};

use crate::open::OpenError;
use crate::options::{Choice, LoginOptions};
use async_trait::async_trait;
use changes::Setup;
use file::{Manners, SqliteFile, Tables, Unanswered};
use schema::Sql;
use sessile_core::login::{
    DeviceHandle, EVENTS_MAX, EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginEventKind,
    LoginId, LoginStore, Lookup, NewLogin, Persistence, Revoked, StoreInfo, Stored, Swept, UserId, Version,
};
use sessile_core::{StoreError, Timestamp};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The version of every new row.
const FIRST: Version = Version(1);

/// Login sessions in one SQLite file. Dropping it finishes every write that was accepted.
pub struct SqliteLogins {
    file: Arc<SqliteFile>,
    setup: Arc<Setup>,
}

impl SqliteLogins {
    /// Opens the file for itself alone, and creates it (mode 0600) and its tables where they are missing.
    /// [`crate::open_logins`] shares it with the other kinds of session in this process.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sessile_store::{LoginOptions, sqlite::SqliteLogins};
    /// let folder = tempfile::tempdir()?;
    /// let store = SqliteLogins::open(&folder.path().join("sessile.db"), &LoginOptions::default())?;
    /// store.close();
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(path: &Path, options: &LoginOptions) -> Result<Self, OpenError> {
        Self::open_keyed(path, options, Keys::Hashed)
    }

    pub(crate) fn open_shared(path: &Path, options: &LoginOptions) -> Result<Self, OpenError> {
        Self::opened(path, options, Keys::Hashed, SqliteFile::shared)
    }

    pub(crate) fn open_keyed(path: &Path, options: &LoginOptions, keys: Keys) -> Result<Self, OpenError> {
        Self::opened(path, options, keys, SqliteFile::open)
    }

    fn opened(
        path: &Path,
        options: &LoginOptions,
        keys: Keys,
        open: impl FnOnce(&Path, Choice) -> Result<Arc<SqliteFile>, OpenError>,
    ) -> Result<Self, OpenError> {
        let sql = Sql::for_table(options.table.as_deref())?;
        let file = open(path, options.create)?;
        let tables = Tables { name: &sql.table, version: SCHEMA_VERSION };
        file.migrate(&tables, options.create, |db| db.execute_batch(&sql.create).unopened(path))?;
        let setup = Arc::new(Setup { sql, keys, user_key: options.user_key.clone(), events: options.events });
        Ok(Self { file, setup })
    }

    /// Finishes every write that was accepted and closes the file, as dropping it does.
    pub fn close(self) {
        drop(self);
    }

    /// Runs `work` in the writer's next transaction. It may run twice, so it changes nothing but the database.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        work: impl Fn(&Desk<'_>) -> rusqlite::Result<Result<R, StoreError>> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.write_with(Manners::GoOn, work).await
    }

    async fn write_with<R: Send + 'static>(
        &self,
        manners: Manners,
        work: impl Fn(&Desk<'_>) -> rusqlite::Result<Result<R, StoreError>> + Send + 'static,
    ) -> Result<R, StoreError> {
        let setup = self.setup.clone();
        self.file.write(manners, move |db| work(&Desk { db, setup: &setup })).await
    }

    /// Runs `read` on one of the reading connections.
    pub(crate) fn read<R>(&self, read: impl Fn(&Desk<'_>) -> rusqlite::Result<R>) -> Result<R, StoreError> {
        self.file.read(|db| read(&Desk { db, setup: &self.setup }))
    }

    /// A row made ready for the writer.
    pub(crate) fn insert_of(&self, login: &NewLogin, kind: LoginEventKind) -> Insert {
        Insert {
            key: self.setup.keys.key(&login.id),
            json: login.data.to_json(),
            user: login.data.user(&self.setup.user_key),
            handle: login.id.handle(),
            expires_at: login.expires_at,
            kind,
        }
    }
}

pub(crate) fn stored(login: NewLogin, version: Version) -> Arc<Stored> {
    Arc::new(Stored { data: login.data, expires_at: login.expires_at, version, retires_at: None })
}

#[async_trait]
impl LoginStore for SqliteLogins {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        let insert = self.insert_of(&login, LoginEventKind::Created);
        let version = self.write(move |desk| desk.insert(&insert, now)).await?;
        Ok(stored(login, version))
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        let key = self.setup.keys.key(id);
        self.read(|desk| desk.look_up(&key, id, now))
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        let key = self.setup.keys.key(&change.id);
        self.write(move |desk| desk.update(&key, &change, now)).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let key = self.setup.keys.key(id);
        self.write(move |desk| desk.extend(&key, expires_at, now)).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        let insert = self.insert_of(&login, LoginEventKind::Regenerated);
        let old = self.setup.keys.key(old);
        let version = self.write(move |desk| desk.replace(&old, retires_at, &insert, now)).await?;
        Ok(stored(login, version))
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        let key = self.setup.keys.key(id);
        self.write(move |desk| desk.end(&key, reason, now).map(Ok)).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.read(|desk| desk.list(user, now))
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let (user, handle) = (user.clone(), handle.clone());
        self.write(move |desk| desk.revoke(&user, &handle, now).map(Ok)).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (user, except) = (user.clone(), except.map(|id| self.setup.keys.key(id)));
        self.write(move |desk| desk.revoke_all(&user, except.as_deref(), now).map(Ok)).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.write_with(Manners::GiveWay, move |desk| desk.sweep(now, batch).map(Ok)).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.read(|desk| desk.count(now))
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.read(|desk| desk.oldest_events(limit.min(EVENTS_MAX)))
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        let ids: Vec<i64> = events.iter().filter_map(|event| event.id.parse().ok()).collect();
        self.write(move |desk| desk.forget_events(&ids).map(Ok)).await
    }

    /// Goes through the writer: a file that can be read only does not count as answering.
    async fn ping(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(Ok(()))).await
    }

    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "sqlite",
            place: self.file.path().display().to_string(),
            persistence: Persistence::Durable,
            degraded: None,
        }
    }
}

impl fmt::Debug for SqliteLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLogins({})", self.file.path().display())
    }
}
