//! The ledger in one SQLite file, beside login sessions or alone, for one machine and any number of its processes.
//!
//! A piece of work goes to the file's one writer, which loads what it names, lets it decide and writes what came of
//! it; whatever waits shares one transaction and one fsync, and each sees the results of the one before. Lists and
//! looks run on reading connections. Nothing above this module sees SQL.

mod audit;
mod desk;
mod due;
mod lists;
mod load;
mod outbox;
mod rows;
mod schema;
mod sheet;
mod tables;
mod takeover;
#[cfg(test)]
mod tests;

use super::LedgerOptions;
use crate::open::OpenError;
use crate::options::Choice;
use crate::sqlite::file::{Manners, SqliteFile};
use crate::users::{SqliteUsers, create_tables};
use async_trait::async_trait;
use desk::{Desk, Setup};
use rusqlite::{Connection, OptionalExtension};
use sessile_core::checkout::{CheckoutId, GuestHash, Owner};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Work,
};
use sessile_core::login::UserId;
use sessile_core::{StoreError, Timestamp};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Checkouts, payments, coupons, grants and refunds in one SQLite file. Dropping it finishes every write that was
/// accepted.
pub struct SqliteLedger {
    pub(super) file: Arc<SqliteFile>,
    setup: Arc<Setup>,
    /// The users' table.
    pub(super) users: String,
}

impl SqliteLedger {
    /// Opens the file for itself alone, creates it (mode 0600) and its tables where they are missing, and takes over
    /// an older application's tables. [`super::open_ledger`] shares the file with the other kinds in this process.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file and what to do.
    pub fn open(path: &Path, options: &LedgerOptions) -> Result<Self, OpenError> {
        Self::on(SqliteFile::open(path, options.create)?, options)
    }

    pub(super) fn open_shared(path: &Path, options: &LedgerOptions) -> Result<Self, OpenError> {
        Self::on(SqliteFile::shared(path, options.create)?, options)
    }

    fn on(file: Arc<SqliteFile>, options: &LedgerOptions) -> Result<Self, OpenError> {
        let setup = Arc::new(Setup::new(&options.users_table)?);
        schema::prepare(&file, options.create)?;
        if options.create == Choice::Yes {
            create_tables(&file, &options.users_table)?;
        }
        Ok(Self { file, setup, users: options.users_table.clone() })
    }

    /// The tables, to be read or created by hand.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for a users' table whose name is no plain one.
    pub fn sql(options: &LedgerOptions) -> Result<String, OpenError> {
        Ok(SqliteUsers::sql(&options.users_table)? + schema::SCHEMA)
    }

    /// Finishes every write that was accepted and closes the file, as dropping it does.
    pub fn close(self) {
        drop(self);
    }

    async fn write<R: Send + 'static>(
        &self,
        work: impl Fn(Desk<'_>) -> rusqlite::Result<Result<R, StoreError>> + Send + 'static,
    ) -> Result<R, StoreError> {
        let setup = self.setup.clone();
        self.file.write(Manners::GoOn, move |db| work(Desk { db, setup: &setup })).await
    }

    /// A few rows by their keys.
    fn read<R>(&self, read: impl FnOnce(Desk<'_>) -> rusqlite::Result<R>) -> Result<R, StoreError> {
        self.file.read(|db| read(Desk { db, setup: &self.setup }))
    }

    /// Many rows, on a thread that may block.
    async fn read_much<R: Send + 'static>(
        &self,
        read: impl FnOnce(Desk<'_>) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        let setup = self.setup.clone();
        self.file.read_much(move |db| read(Desk { db, setup: &setup })).await
    }
}

/// Whose the row is that `sql` finds by its name.
fn owner(desk: Desk<'_>, sql: &str, name: &str) -> rusqlite::Result<Option<Owner>> {
    let mut select = desk.db.prepare_cached(sql)?;
    let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found: Option<(Option<String>, Option<String>)> = select.query_row([name], pair).optional()?;
    Ok(found.map(|(user, guest)| Owner {
        user: user.and_then(UserId::parse),
        guest: guest.as_deref().and_then(GuestHash::parse),
    }))
}

/// Runs `read` so that all of its statements see the same moment.
fn at_one_moment<R>(db: &Connection, read: impl FnOnce() -> rusqlite::Result<R>) -> rusqlite::Result<R> {
    db.prepare_cached("BEGIN")?.execute([])?;
    let done = read();
    let ended = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    if !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    let value = done?;
    ended.map(|_| value)
}

#[async_trait]
impl LedgerStore for SqliteLedger {
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        self.write(move |desk| sheet::carry_out(desk, &work)).await
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        self.read(|desk| at_one_moment(desk.db, || load::load(desk, reads)))
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        let sql = "SELECT user_id, guest_hash FROM checkout_sessions WHERE id = ?1";
        self.read(|desk| owner(desk, sql, checkout.as_str()))
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        let (sql, name) = match payment {
            PaymentKey::Id(id) => {
                ("SELECT coalesce(user_id, 'unknown'), NULL FROM payment_sessions WHERE id = ?1", id.as_str())
            }
            PaymentKey::Order(order) => (
                "SELECT coalesce(user_id, 'unknown'), NULL FROM payment_sessions WHERE merchant_trans_id = ?1",
                order.as_str(),
            ),
            PaymentKey::Idempotency(key) => (
                "SELECT coalesce(user_id, 'unknown'), NULL FROM payment_sessions WHERE idempotency_key = ?1",
                key.as_str(),
            ),
        };
        self.read(|desk| owner(desk, sql, name))
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.read_much(move |desk| due::due(desk, due, now, limit)).await
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.read_much(move |desk| lists::page(desk, kind, &filter, after.as_ref(), limit)).await
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        self.read_much(move |desk| at_one_moment(desk.db, || lists::census(desk, now))).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        if !self.read(|desk| outbox::any_due(desk, now))? {
            return Ok(Vec::new());
        }
        self.write(move |desk| outbox::claim(desk, now, lease_until, limit).map(Ok)).await
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |desk| outbox::done(desk, &id).map(Ok)).await
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        let (id, error) = (id.to_owned(), error.to_owned());
        self.write(move |desk| outbox::undone(desk, &id, retry, &error).map(Ok)).await
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.read_much(move |desk| outbox::effects(desk, state, limit)).await
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |desk| outbox::requeue(desk, &id, now).map(Ok)).await
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.read_much(move |desk| audit::after(desk, after, limit)).await
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.read(|desk| desk.audit_head())
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let about = about.clone();
        self.read_much(move |desk| audit::history(desk, &about, limit)).await
    }

    /// Goes through the writer: a file that can be read only does not count as answering.
    async fn ping(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(Ok(()))).await
    }
}

impl fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteLedger({})", self.file.path().display())
    }
}
