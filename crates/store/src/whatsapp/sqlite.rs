//! WhatsApp devices in SQLite: one row for each device, one for each of its keys, all values sealed.
//!
//! A step is one piece of work for the file's writer, so steps of several devices share one fsync. Leases run by the
//! machine's clock, as SQLite reads it. Times are unix milliseconds.

use super::failpoint;
use super::rules::{self, Verdict};
use crate::open::OpenError;
use crate::options::Choice;
use crate::sqlite::file::{Manners, SqliteFile, Tables, Unanswered};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore, DeviceStoreError, Epoch,
    KeyHash, KeyKind, OwnerId, RowKey, Step, StepId, StoreInfo, StoreMode, Version, Wanted,
};
use sessile_core::{StoreError, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What `sessile_schema` says of our tables.
const SCHEMA_VERSION: i64 = 1;

/// The tables.
const SCHEMA: &str = "\
CREATE TABLE whatsapp_sessions (
  id INTEGER PRIMARY KEY,
  client_id TEXT NOT NULL UNIQUE,
  -- Sealed.
  credentials BLOB,
  wrapped_key TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  -- Who owns the device, until when, and how often that changed.
  owner TEXT,
  epoch INTEGER NOT NULL,
  lease_until INTEGER,
  -- Steps so far, and which one was the last.
  version INTEGER NOT NULL,
  last_step BLOB,
  wanted TEXT NOT NULL CHECK (wanted IN ('running', 'stopped')),
  -- Where the keys went: a tombstone.
  moved_to TEXT,
  -- Bytes of this device's rows in whatsapp_keys.
  size INTEGER NOT NULL
) STRICT;
CREATE TABLE whatsapp_keys (
  session_id INTEGER NOT NULL REFERENCES whatsapp_sessions (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  key_hash BLOB NOT NULL,
  value BLOB NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (session_id, kind, key_hash)
) STRICT, WITHOUT ROWID;
";

const HEAD: &str = "client_id, epoch, version, last_step, lease_until, wanted, wrapped_key, \
                    credentials IS NOT NULL, moved_to, created_at, updated_at";
/// Now, by the engine's own clock.
const NOW: &str = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// WhatsApp devices in one SQLite file. Dropping it finishes every write that was accepted.
pub struct SqliteDevices {
    file: Arc<SqliteFile>,
}

/// What SQLite answered, and what the contract says about it.
type Refusable<T> = rusqlite::Result<Result<T, DeviceStoreError>>;

/// Leaves with what the contract refuses.
macro_rules! allowed {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}

impl SqliteDevices {
    /// Opens the file, shared with whatever else of this process lives in it, and creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(path: &Path, create: Choice) -> Result<Self, OpenError> {
        let file = SqliteFile::shared(path, create)?;
        let tables = Tables { name: "whatsapp", version: SCHEMA_VERSION };
        file.migrate(&tables, create, |db| db.execute_batch(SCHEMA).unopened(path))?;
        Ok(Self { file })
    }

    /// The SQL of the tables.
    #[must_use]
    pub const fn sql() -> &'static str {
        SCHEMA
    }

    async fn write<R: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Refusable<R> + Send + 'static,
    ) -> Result<R, DeviceStoreError> {
        self.file.write(Manners::GoOn, move |db| work(db).map(Ok)).await.map_err(unanswered)?
    }

    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Refusable<R> + Send + 'static,
    ) -> Result<R, DeviceStoreError> {
        self.file.read_much(read).await.map_err(unanswered)?
    }
}

fn unanswered(error: StoreError) -> DeviceStoreError {
    match error {
        StoreError::Unavailable(cause) => DeviceStoreError::Unavailable(cause),
        other => DeviceStoreError::unavailable(other),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn now(db: &Connection) -> rusqlite::Result<Timestamp> {
    db.prepare_cached(NOW)?.query_row([], |row| row.get(0)).map(Timestamp::from_unix_ms)
}

const fn wanted_text(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => "running",
        Wanted::Stopped => "stopped",
    }
}

/// A row of [`HEAD`]; `None`: it holds something that no program of ours has written.
fn head_of(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Option<DeviceHead>> {
    let last_step: Option<Vec<u8>> = row.get(3)?;
    let last_step = last_step.map(|bytes| <[u8; 16]>::try_from(bytes).map(StepId));
    let device = DeviceId::parse(&row.get::<_, String>(0)?);
    let (Some(device), Ok(last_step)) = (device, last_step.transpose()) else { return Ok(None) };
    let held_until = row.get::<_, Option<i64>>(4)?.map(Timestamp::from_unix_ms);
    let wanted = match row.get::<_, String>(5)?.as_str() {
        "stopped" => Wanted::Stopped,
        _ => Wanted::Running,
    };
    Ok(Some(DeviceHead {
        device,
        epoch: Epoch(unsigned(row.get(1)?)),
        version: Version(unsigned(row.get(2)?)),
        last_step,
        held_until: held_until.filter(|until| *until > now),
        wanted,
        wrapped_key: row.get(6)?,
        has_credentials: row.get(7)?,
        moved_to: row.get(8)?,
        created_at: Timestamp::from_unix_ms(row.get(9)?),
        updated_at: Timestamp::from_unix_ms(row.get(10)?),
    }))
}

/// What is known of a device, and what engines know beside it.
struct Found {
    id: i64,
    owner: Option<String>,
    size: usize,
    head: DeviceHead,
}

impl Found {
    fn held_by_another(&self, owner: &OwnerId) -> Option<Timestamp> {
        self.head.held_until.filter(|_| self.owner.as_deref() != Some(owner.as_str()))
    }
}

fn find(db: &Connection, device: &DeviceId) -> Refusable<Option<Found>> {
    let now = now(db)?;
    let sql = format!("SELECT {HEAD}, id, owner, size FROM whatsapp_sessions WHERE client_id = ?1");
    let found = db
        .prepare_cached(&sql)?
        .query_row([device.as_str()], |row| {
            let head = head_of(row, now)?;
            let size = usize::try_from(row.get::<_, i64>(13)?).unwrap_or(0);
            Ok(head.map(|head| (head, row.get(11), row.get(12), size)))
        })
        .optional()?;
    Ok(match found {
        None => Ok(None),
        Some(None) => Err(damaged(device)),
        Some(Some((head, id, owner, size))) => Ok(Some(Found { id: id?, owner: owner?, size, head })),
    })
}

fn damaged(device: &DeviceId) -> DeviceStoreError {
    DeviceStoreError::Damaged(format!(
        "the row of {device} in whatsapp_sessions was not written by this program"
    ))
}

/// The device, if `epoch` is its owner's.
fn owned(db: &Connection, device: &DeviceId, epoch: Epoch) -> Refusable<Found> {
    let found = allowed!(find(db, device)?);
    allowed!(rules::fence(found.as_ref().map(|found| &found.head), epoch));
    Ok(found.ok_or(DeviceStoreError::Fenced { ours: epoch.0, now: 0 }))
}

fn acquire(db: &Connection, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Refusable<Acquired> {
    let now = now(db)?;
    let until = now.plus(ttl).unix_ms();
    match allowed!(find(db, device)?) {
        Some(found) => {
            allowed!(rules::here(&found.head));
            if let Some(until) = found.held_by_another(owner) {
                return Ok(Err(DeviceStoreError::Held { until }));
            }
            let sql =
                "UPDATE whatsapp_sessions SET epoch = epoch + 1, owner = ?2, lease_until = ?3 WHERE id = ?1";
            db.prepare_cached(sql)?.execute(params![found.id, owner.as_str(), until])?;
        }
        None => {
            let sql = "INSERT INTO whatsapp_sessions (client_id, created_at, updated_at, owner, epoch, lease_until, \
                       version, wanted, size) VALUES (?1, ?4, ?4, ?2, 1, ?3, 0, 'running', 0)";
            db.prepare_cached(sql)?.execute(params![
                device.as_str(),
                owner.as_str(),
                until,
                now.unix_ms()
            ])?;
        }
    }
    acquired(db, device)
}

/// How it stands, right after it was given away.
fn acquired(db: &Connection, device: &DeviceId) -> Refusable<Acquired> {
    let found = allowed!(find(db, device)?);
    Ok(found
        .ok_or_else(|| damaged(device))
        .map(|found| Acquired { epoch: found.head.epoch, head: found.head }))
}

fn commit(db: &Connection, device: &DeviceId, step: &Step) -> Refusable<Committed> {
    let found = allowed!(find(db, device)?);
    if allowed!(rules::judge(found.as_ref().map(|found| &found.head), step)) == Verdict::Again {
        return Ok(Ok(Committed::Again));
    }
    let Some(found) = found else { return Ok(Err(damaged(device))) };
    let mut freed = 0;
    let touched = step.puts.iter().map(|row| row.key).chain(step.deletes.iter().copied());
    let length =
        "SELECT length(value) FROM whatsapp_keys WHERE session_id = ?1 AND kind = ?2 AND key_hash = ?3";
    let mut length = db.prepare_cached(length)?;
    for key in touched {
        let named = params![found.id, key.kind.as_str(), key.hash.0];
        freed += length.query_row(named, |row| row.get::<_, i64>(0)).optional()?.unwrap_or(0);
    }
    let freed = usize::try_from(freed).unwrap_or(0);
    let size = found.size.saturating_sub(freed) + rules::bytes_of(step);
    allowed!(rules::fits(size));
    let sql = "UPDATE whatsapp_sessions SET version = ?2, last_step = ?3, updated_at = ?4, size = ?5, \
               wrapped_key = coalesce(?6, wrapped_key), credentials = coalesce(?7, credentials) WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![
        found.id,
        signed(step.version.0),
        step.id.0,
        step.at.unix_ms(),
        signed_size(size),
        step.wrapped_key,
        step.credentials.as_deref(),
    ])?;
    put(db, found.id, &step.puts, step.version)?;
    let sql = "DELETE FROM whatsapp_keys WHERE session_id = ?1 AND kind = ?2 AND key_hash = ?3";
    let mut delete = db.prepare_cached(sql)?;
    for key in &step.deletes {
        delete.execute(params![found.id, key.kind.as_str(), key.hash.0])?;
    }
    failpoint::reach("a step, before SQLite's commit");
    Ok(Ok(Committed::Applied))
}

fn put(db: &Connection, id: i64, rows: &[DeviceRow], version: Version) -> rusqlite::Result<()> {
    let sql = "INSERT INTO whatsapp_keys (session_id, kind, key_hash, value, version) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version";
    let mut insert = db.prepare_cached(sql)?;
    for row in rows {
        let (kind, hash) = (row.key.kind.as_str(), row.key.hash.0);
        insert.execute(params![id, kind, hash, &*row.value, signed(version.0)])?;
    }
    Ok(())
}

fn load(db: &Connection, device: &DeviceId) -> Refusable<Option<DeviceState>> {
    // One transaction, so that head and rows are of one moment.
    let db = db.unchecked_transaction()?;
    let Some(found) = allowed!(find(&db, device)?) else { return Ok(Ok(None)) };
    allowed!(rules::here(&found.head));
    let credentials: Option<Vec<u8>> = db
        .prepare_cached("SELECT credentials FROM whatsapp_sessions WHERE id = ?1")?
        .query_row([found.id], |row| row.get(0))?;
    let sql = "SELECT kind, key_hash, value FROM whatsapp_keys WHERE session_id = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut stored = statement.query([found.id])?;
    let mut rows = Vec::new();
    while let Some(row) = stored.next()? {
        let (kind, hash, value): (String, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (Some(kind), Ok(hash)) = (KeyKind::parse(&kind), <[u8; 32]>::try_from(hash)) else {
            return Ok(Err(DeviceStoreError::Damaged(format!(
                "{device} has a key of the kind {kind:?}, which this program does not know; start the newer one"
            ))));
        };
        rows.push(DeviceRow { key: RowKey { kind, hash: KeyHash(hash) }, value: value.into() });
    }
    Ok(Ok(Some(DeviceState { head: found.head, credentials: credentials.map(Into::into), rows })))
}

fn adopt(db: &Connection, state: &DeviceState, owner: &OwnerId, ttl: Duration) -> Refusable<Acquired> {
    let (head, now) = (&state.head, now(db)?);
    let found = allowed!(find(db, &head.device)?);
    let (mut epoch, mut version) = (head.epoch, head.version);
    if let Some(found) = &found {
        allowed!(rules::may_adopt(&found.head, state));
        if let Some(until) = found.held_by_another(owner) {
            return Ok(Err(DeviceStoreError::Held { until }));
        }
        (epoch, version) = (epoch.max(found.head.epoch), version.max(found.head.version));
        db.prepare_cached("DELETE FROM whatsapp_sessions WHERE id = ?1")?.execute([found.id])?;
    }
    let sql = "INSERT INTO whatsapp_sessions (client_id, credentials, wrapped_key, created_at, updated_at, owner, epoch, \
               lease_until, version, last_step, wanted, size) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    db.prepare_cached(sql)?.execute(params![
        head.device.as_str(),
        state.credentials.as_deref(),
        head.wrapped_key,
        head.created_at.unix_ms(),
        head.updated_at.unix_ms(),
        owner.as_str(),
        signed(epoch.0 + 1),
        now.plus(ttl).unix_ms(),
        signed(version.0),
        head.last_step.map(|step| step.0),
        wanted_text(head.wanted),
        signed_size(rules::bytes_of_state(state)),
    ])?;
    put(db, db.last_insert_rowid(), &state.rows, version)?;
    acquired(db, &head.device)
}

fn forget(db: &Connection, id: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE whatsapp_sessions SET credentials = NULL, wrapped_key = NULL, size = 0 WHERE id = ?1";
    db.prepare_cached(sql)?.execute([id])?;
    db.prepare_cached("DELETE FROM whatsapp_keys WHERE session_id = ?1")?.execute([id])?;
    Ok(())
}

fn retire(db: &Connection, device: &DeviceId, epoch: Epoch, to: &str) -> Refusable<()> {
    let found = allowed!(find(db, device)?);
    let is_again = found
        .as_ref()
        .is_some_and(|found| found.head.epoch == epoch && found.head.moved_to.as_deref() == Some(to));
    if is_again {
        return Ok(Ok(()));
    }
    let found = allowed!(owned(db, device, epoch)?);
    forget(db, found.id)?;
    let sql = "UPDATE whatsapp_sessions SET moved_to = ?2, lease_until = NULL WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![found.id, to])?;
    Ok(Ok(()))
}

#[async_trait]
impl DeviceStore for SqliteDevices {
    fn info(&self) -> StoreInfo {
        StoreInfo { engine: "sqlite", mode: StoreMode::Direct, place: self.file.path().display().to_string() }
    }

    async fn ping(&self) -> Result<(), DeviceStoreError> {
        self.write(|_| Ok(Ok(()))).await
    }

    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        let (device, owner) = (device.clone(), owner.clone());
        self.write(move |db| acquire(db, &device, &owner, ttl)).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        let device = device.clone();
        self.write(move |db| {
            let found = allowed!(owned(db, &device, epoch)?);
            let until = now(db)?.plus(ttl).unix_ms();
            let sql = "UPDATE whatsapp_sessions SET lease_until = ?2 WHERE id = ?1";
            db.prepare_cached(sql)?.execute([found.id, until]).map(|_| Ok(()))
        })
        .await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        let device = device.clone();
        self.write(move |db| {
            let Some(found) = allowed!(find(db, &device)?) else { return Ok(Ok(())) };
            allowed!(rules::here(&found.head));
            let sql = "UPDATE whatsapp_sessions SET lease_until = NULL WHERE id = ?1 AND epoch = ?2";
            db.prepare_cached(sql)?.execute([found.id, signed(epoch.0)]).map(|_| Ok(()))
        })
        .await
    }

    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        let device = device.clone();
        self.read(move |db| Ok(find(db, &device)?.map(|found| found.map(|found| found.head)))).await
    }

    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        let device = device.clone();
        self.read(move |db| load(db, &device)).await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        rules::fits_a_step(step)?;
        let (device, step) = (device.clone(), step.clone());
        failpoint::reach("a step, before SQLite's transaction");
        let committed = self.write(move |db| commit(db, &device, &step)).await;
        failpoint::reach("a step, after SQLite's commit, before it is acknowledged");
        committed
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        let device = device.clone();
        self.write(move |db| {
            let Some(found) = allowed!(find(db, &device)?) else { return Ok(Ok(())) };
            allowed!(rules::here(&found.head));
            let sql = "UPDATE whatsapp_sessions SET wanted = ?2 WHERE id = ?1";
            db.prepare_cached(sql)?.execute(params![found.id, wanted_text(wanted)]).map(|_| Ok(()))
        })
        .await
    }

    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        rules::fits(rules::bytes_of_state(state))?;
        let (state, owner) = (state.clone(), owner.clone());
        self.write(move |db| adopt(db, &state, &owner, ttl)).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        let (device, to) = (device.clone(), to.to_owned());
        self.write(move |db| retire(db, &device, epoch, &to)).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        let device = device.clone();
        self.write(move |db| {
            let found = allowed!(owned(db, &device, epoch)?);
            forget(db, found.id).map(Ok)
        })
        .await
    }

    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        self.read(|db| {
            let now = now(db)?;
            let sql = format!("SELECT {HEAD} FROM whatsapp_sessions ORDER BY client_id");
            let mut statement = db.prepare_cached(&sql)?;
            let heads = statement.query_map([], |row| head_of(row, now))?;
            let heads = heads.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Ok(heads.into_iter().flatten().collect()))
        })
        .await
    }

    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        let sql = "DELETE FROM whatsapp_sessions WHERE (credentials IS NULL OR wanted = 'stopped') \
                   AND coalesce(lease_until, 0) <= ?2 AND moved_to IS NULL AND updated_at < ?1";
        self.write(move |db| {
            let now = now(db)?;
            let removed = db.prepare_cached(sql)?.execute([before.unix_ms(), now.unix_ms()])?;
            Ok(Ok(removed as u64))
        })
        .await
    }
}

impl std::fmt::Debug for SqliteDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteDevices({:?})", self.file)
    }
}
