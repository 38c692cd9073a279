//! Users in the embedded SQLite file, beside the sessions or in a file of their own.
//!
//! It stands on the file's one writer, which it shares with the sessions that this process keeps there. Nobody above
//! sees SQL.

use super::check_table;
use crate::open::OpenError;
use crate::options::Choice;
use crate::sqlite::file::{Manners, SqliteFile, Tables, Unanswered};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::user::{Arrival, ProviderId, User, UserDirectory, UserUuid};
use sessile_core::{StoreError, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// The version of the two tables.
const SCHEMA_VERSION: i64 = 1;
/// Arrivals that one round of draining takes.
pub(super) const DRAIN_BATCH: usize = 100;

/// A directory in one SQLite file. Cheap to clone.
#[derive(Clone)]
pub struct SqliteUsers {
    file: Arc<SqliteFile>,
    table: String,
}

impl SqliteUsers {
    /// Opens the file, shared with whatever else of this process lives in it, and creates it (mode 0600) and its
    /// tables where they are missing.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do.
    pub fn open(path: &Path, table: &str) -> Result<Self, OpenError> {
        check_table(table)?;
        let file = SqliteFile::shared(path, Choice::Yes)?;
        create_tables(&file, table)?;
        Ok(Self { file, table: table.to_owned() })
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
        self.file.read(move |db| {
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| {
                let who = ProviderId::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok(who.map(|who| Arrival { who, email: row.get(2).ok(), at: time_of(row, 3) }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    /// Forgets one that the other directory has taken.
    pub(super) async fn forget(&self, who: &ProviderId) -> Result<(), StoreError> {
        let (id, table) = (who.derived_user(), self.table.clone());
        let work = move |db: &Connection| {
            db.execute(&format!("DELETE FROM {table}_identity WHERE user_id = ?1"), [id.as_str()])?;
            db.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id.as_str()]).map(|_| Ok(()))
        };
        self.file.write(Manners::GoOn, work).await
    }
}

/// Makes the tables in `file` where they are missing. `table` is a name that was checked.
pub(crate) fn create_tables(file: &SqliteFile, table: &str) -> Result<(), OpenError> {
    let tables = Tables { name: table, version: SCHEMA_VERSION };
    file.migrate(&tables, Choice::Yes, |db| db.execute_batch(&schema(table)).unopened(file.path()))
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

fn sign_in(db: &Connection, table: &str, arrival: &Arrival) -> rusqlite::Result<User> {
    let who = [arrival.who.provider(), arrival.who.subject()];
    let known = format!("SELECT user_id FROM {table}_identity WHERE provider = ?1 AND subject = ?2");
    let known: Option<String> = db.query_row(&known, who, |row| row.get(0)).optional()?;
    let fresh = arrival.as_new_user();
    let id = known.unwrap_or_else(|| fresh.id.as_str().to_owned());
    let put = format!(
        "INSERT INTO {table} (id, email, tier, created_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (id) DO UPDATE SET email = coalesce(excluded.email, email) \
         RETURNING id, email, tier, created_at"
    );
    let values = params![id, arrival.email, fresh.tier, arrival.at.unix_ms()];
    let user = db.query_row(&put, values, user_of)?;
    let link = format!(
        "INSERT INTO {table}_identity (provider, subject, user_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
    );
    db.execute(&link, params![who[0], who[1], id])?;
    Ok(user.unwrap_or(fresh))
}

#[async_trait]
impl UserDirectory for SqliteUsers {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        let (arrival, table) = (arrival.clone(), self.table.clone());
        self.file.write(Manners::GoOn, move |db| sign_in(db, &table, &arrival).map(Ok)).await
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT id, email, tier, created_at FROM {} WHERE id = ?1", self.table);
        self.file.read(|db| {
            let found = db.prepare_cached(&sql)?.query_row([id.as_str()], user_of).optional()?;
            Ok(found.flatten())
        })
    }
}
