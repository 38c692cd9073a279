//! Users in the embedded SQLite file, beside the sessions or in a file of their own.
//!
//! One connection behind a lock, used from blocking threads: signing in is rare. Writes wait for the session
//! writer's short transactions by SQLite's own busy timeout.

use super::check_table;
use crate::open::OpenError;
use crate::sqlite::SqliteFault;
use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::user::{Arrival, ProviderId, User, UserDirectory, UserUuid};
use sessile_core::{StoreError, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long one call waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Arrivals that one round of draining takes.
pub(super) const DRAIN_BATCH: usize = 100;

/// A directory in one SQLite file. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct SqliteUsers {
    db: Arc<Mutex<Connection>>,
    path: PathBuf,
    table: String,
}

impl SqliteUsers {
    /// Opens the file, and creates it (mode 0600) and its tables where they are missing.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do.
    pub fn open(path: &Path, table: &str) -> Result<Self, OpenError> {
        check_table(table)?;
        let place = path.display().to_string();
        create_file(path).map_err(|error| OpenError::Unreachable { place, what: error.to_string() })?;
        let opened = || -> rusqlite::Result<Connection> {
            let db = Connection::open(path)?;
            db.busy_timeout(BUSY_TIMEOUT)?;
            db.pragma_update(None, "journal_mode", "WAL")?;
            db.pragma_update(None, "synchronous", "FULL")?;
            db.execute_batch(&schema(table))?;
            Ok(db)
        };
        let db = opened().map_err(|error| SqliteFault::new(path, &error))?;
        Ok(Self { db: Arc::new(Mutex::new(db)), path: path.to_owned(), table: table.to_owned() })
    }

    /// The tables, to be read or created by hand.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for a name that is no plain one.
    pub fn sql(table: &str) -> Result<String, OpenError> {
        check_table(table).map(|()| schema(table))
    }

    /// Who came while this file stood in for another directory, oldest first.
    pub(super) async fn arrivals(&self) -> Result<Vec<Arrival>, StoreError> {
        let sql = format!(
            "SELECT i.provider, i.subject, u.email, u.created_at FROM {table} u \
             JOIN {table}_identity i ON i.user_id = u.id ORDER BY u.created_at LIMIT {DRAIN_BATCH}",
            table = self.table
        );
        self.run(move |db| {
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| {
                let who = ProviderId::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok(who.map(|who| Arrival { who, email: row.get(2).ok(), at: time_of(row, 3) }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// Forgets one that the other directory has taken.
    pub(super) async fn forget(&self, who: &ProviderId) -> Result<(), StoreError> {
        let id = who.derived_user();
        let sql = format!(
            "DELETE FROM {table}_identity WHERE user_id = ?1; DELETE FROM {table} WHERE id = ?1;",
            table = self.table
        );
        self.run(move |db| {
            let step = db.transaction()?;
            for statement in sql.split_inclusive(';') {
                step.execute(statement, [id.as_str()])?;
            }
            step.commit()
        })
        .await
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut this.db.lock())
                .map_err(|error| StoreError::unavailable(SqliteFault::new(&this.path, &error)))
        });
        done.await.map_err(StoreError::unavailable)?
    }
}

fn schema(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (
  id TEXT PRIMARY KEY, email TEXT, tier TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS {table}_identity (
  provider TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL REFERENCES {table} (id),
  PRIMARY KEY (provider, subject)
) STRICT;
"
    )
}

fn time_of(row: &Row<'_>, at: usize) -> Timestamp {
    Timestamp::from_unix_ms(row.get(at).unwrap_or_default())
}

fn user_of(row: &Row<'_>) -> rusqlite::Result<Option<User>> {
    let id: String = row.get(0)?;
    let Some(id) = UserUuid::parse(&id) else { return Ok(None) };
    Ok(Some(User { id, email: row.get(1)?, tier: row.get(2)?, created_at: time_of(row, 3) }))
}

fn create_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[async_trait]
impl UserDirectory for SqliteUsers {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        let (arrival, table) = (arrival.clone(), self.table.clone());
        self.run(move |db| {
            let step = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let who = [arrival.who.provider(), arrival.who.subject()];
            let known = format!("SELECT user_id FROM {table}_identity WHERE provider = ?1 AND subject = ?2");
            let known: Option<String> = step.query_row(&known, who, |row| row.get(0)).optional()?;
            let fresh = arrival.as_new_user();
            let id = known.unwrap_or_else(|| fresh.id.as_str().to_owned());
            let put = format!(
                "INSERT INTO {table} (id, email, tier, created_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO UPDATE SET email = coalesce(excluded.email, email) \
                 RETURNING id, email, tier, created_at"
            );
            let values = params![id, arrival.email, fresh.tier, arrival.at.unix_ms()];
            let user = step.query_row(&put, values, user_of)?;
            let link = format!(
                "INSERT INTO {table}_identity (provider, subject, user_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            );
            step.execute(&link, params![who[0], who[1], id])?;
            step.commit()?;
            Ok(user.unwrap_or(fresh))
        })
        .await
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        let id = id.clone();
        let sql = format!("SELECT id, email, tier, created_at FROM {} WHERE id = ?1", self.table);
        self.run(move |db| {
            let found = db.prepare_cached(&sql)?.query_row([id.as_str()], user_of).optional()?;
            Ok(found.flatten())
        })
        .await
    }
}
