//! Generation sessions in one SQLite file, beside whatever else lives there: the value as it would lie in Redis, and
//! the columns by which it is found.

use crate::open::OpenError;
use crate::options::Choice;
use crate::sqlite::file::{Manners, SqliteFile, Tables, Unanswered};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::generation::{
    GENERATION_LIFETIME, Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark,
    Status, StripeSessionId, Tally, Tidied,
};
use sessile_core::{StoreError, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// The version of the tables.
const SCHEMA_VERSION: i64 = 1;

/// The tables. Times are unix milliseconds.
const SCHEMA: &str = "\
-- One row per job. `name` is Stripe's name of it once there is one, ours before; `own_id` is always ours.
CREATE TABLE sessile_generation (
  name TEXT PRIMARY KEY,
  own_id TEXT NOT NULL UNIQUE,
  value TEXT NOT NULL,
  revision INTEGER NOT NULL,
  status TEXT NOT NULL,
  created_at TEXT NOT NULL,
  due_at INTEGER,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessile_generation_due_at ON sessile_generation (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX sessile_generation_expires_at ON sessile_generation (expires_at);
CREATE INDEX sessile_generation_created_at ON sessile_generation (created_at);
-- Stripe's messages. The body goes when it was applied.
CREATE TABLE sessile_generation_event (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  job TEXT,
  body TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  applied_at INTEGER
) STRICT;
CREATE INDEX sessile_generation_event_next_at ON sessile_generation_event (next_at) WHERE applied_at IS NULL;
CREATE INDEX sessile_generation_event_received_at ON sessile_generation_event (received_at);
";

/// What a job is found by beside its names, and what an operator counts; added to the tables above.
const MARKS: &str = "\
ALTER TABLE sessile_generation ADD COLUMN guest TEXT;
ALTER TABLE sessile_generation ADD COLUMN payment TEXT;
ALTER TABLE sessile_generation ADD COLUMN refund TEXT NOT NULL DEFAULT 'none';
CREATE INDEX sessile_generation_guest ON sessile_generation (guest) WHERE guest IS NOT NULL;
CREATE INDEX sessile_generation_payment ON sessile_generation (payment) WHERE payment IS NOT NULL;
CREATE INDEX sessile_generation_refund ON sessile_generation (refund) WHERE refund IN ('due', 'ordered');
";

const EVENT: &str = "id, kind, job, body, received_at, attempts, next_at";

/// Generation sessions in one SQLite file. Dropping it finishes every write that was accepted.
pub struct SqliteGenerations {
    pub(super) file: Arc<SqliteFile>,
}

type Refusable<T> = rusqlite::Result<Result<T, StoreError>>;

impl SqliteGenerations {
    /// The tables, to be read or created by hand.
    #[must_use]
    pub fn schema() -> String {
        format!("{SCHEMA}{MARKS}")
    }

    /// Opens the file, shared with whatever else of this process lives in it, and creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(path: &Path, create: Choice) -> Result<Self, OpenError> {
        let file = SqliteFile::shared(path, create)?;
        let tables = Tables { name: "generation", version: SCHEMA_VERSION };
        file.migrate(&tables, create, |db| db.execute_batch(SCHEMA).unopened(path))?;
        let marks = Tables { name: "generation_marks", version: SCHEMA_VERSION };
        file.migrate(&marks, create, |db| db.execute_batch(MARKS).unopened(path))?;
        Ok(Self { file })
    }

    pub(super) async fn write<R: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Refusable<R> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.file.write(Manners::GoOn, work).await
    }
}

/// A job by either name, if its time is not over.
fn find(db: &Connection, key: &GenerationKey, now: Timestamp) -> Refusable<Option<Generation>> {
    let sql = "SELECT value FROM sessile_generation WHERE (name = ?1 OR own_id = ?1) AND expires_at > ?2";
    let json: Option<String> = db
        .prepare_cached(sql)?
        .query_row(params![key.as_str(), now.unix_ms()], |row| row.get(0))
        .optional()?;
    Ok(json.map(|json| decode(&json, key, now)).transpose())
}

fn decode(json: &str, key: &GenerationKey, now: Timestamp) -> Result<Generation, StoreError> {
    Generation::read(json, key, now).map_err(|unreadable| {
        let place = format!("sessile_generation, {}", key.fingerprint());
        tracing::error!(place, %unreadable, "a generation session cannot be read; it is kept as it is");
        StoreError::Undecodable { place }
    })
}

/// Writes the next revision over the one that it was decided on; how many rows that were.
fn put(db: &Connection, job: &Generation) -> rusqlite::Result<usize> {
    let own = job.own();
    let sql = "UPDATE sessile_generation SET value = ?3, revision = ?4, status = ?5, due_at = ?6, expires_at = ?7, \
               guest = ?8, payment = ?9, refund = ?10 WHERE own_id = ?1 AND name = ?2 AND revision = ?4 - 1";
    let [guest, payment] = marks(job);
    db.prepare_cached(sql)?.execute(params![
        own.id.as_str(),
        job.key().as_str(),
        job.to_json(),
        signed(own.revision),
        job.status.name(),
        job.due_at().map(Timestamp::unix_ms),
        job.expires_at().unix_ms(),
        guest,
        payment,
        own.refund.name(),
    ])
}

/// A job's marks, each for its column.
pub(super) fn marks(job: &Generation) -> [Option<String>; 2] {
    let (mut guest, mut payment) = (None, None);
    for mark in job.marks() {
        match mark {
            Mark::Guest(hash) => guest = Some(hash.as_str().to_owned()),
            Mark::Payment(intent) => payment = Some(intent),
        }
    }
    [guest, payment]
}

fn insert(db: &Connection, job: &Generation) -> rusqlite::Result<usize> {
    write_job(db, job, "ON CONFLICT DO NOTHING")
}

/// Writes a job's row; `otherwise` says what happens where there is one of this name. Says how many rows it changed.
pub(super) fn write_job(db: &Connection, job: &Generation, otherwise: &str) -> rusqlite::Result<usize> {
    let own = job.own();
    let sql = format!(
        "INSERT INTO sessile_generation AS t \
         (name, own_id, value, revision, status, created_at, due_at, expires_at, guest, payment, refund) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) {otherwise}"
    );
    let [guest, payment] = marks(job);
    db.prepare_cached(&sql)?.execute(params![
        job.key().as_str(),
        own.id.as_str(),
        job.to_json(),
        signed(own.revision),
        job.status.name(),
        job.created_at,
        job.due_at().map(Timestamp::unix_ms),
        job.expires_at().unix_ms(),
        guest,
        payment,
        own.refund.name(),
    ])
}

fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn signed_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn bind(
    db: &Connection,
    own: &GenerationId,
    stripe: &StripeSessionId,
    now: Timestamp,
) -> Refusable<Option<Generation>> {
    let job = match find(db, &GenerationKey::Own(own.clone()), now)? {
        Ok(Some(job)) => job,
        other => return Ok(other),
    };
    match &job.own().stripe {
        Some(bound) if bound == stripe => return Ok(Ok(Some(job))),
        Some(_) => return Ok(Err(StoreError::Conflict)),
        None => {}
    }
    let taken = "SELECT 1 FROM sessile_generation WHERE name = ?1";
    if db.prepare_cached(taken)?.exists([stripe.as_str()])? {
        return Ok(Err(StoreError::Conflict));
    }
    let rename = "UPDATE sessile_generation SET name = ?2 WHERE own_id = ?1";
    db.prepare_cached(rename)?.execute([own.as_str(), stripe.as_str()])?;
    let bound = job.bound_to(stripe, now);
    put(db, &bound)?;
    Ok(Ok(Some(bound)))
}

fn claim(
    db: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
) -> Refusable<Vec<Generation>> {
    let sql = "SELECT name, value FROM sessile_generation WHERE due_at <= ?1 AND expires_at > ?1 \
               ORDER BY due_at LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![now.unix_ms(), signed_count(limit)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut held = Vec::new();
    for row in rows {
        let (name, json) = row?;
        let Some(job) = GenerationKey::parse(&name).and_then(|key| decode(&json, &key, now).ok()) else {
            continue;
        };
        let job = job.leased(lease_until, now);
        if put(db, &job)? == 1 {
            held.push(job);
        }
    }
    Ok(Ok(held))
}

fn tally(db: &Connection, now: Timestamp) -> rusqlite::Result<Tally> {
    let mut jobs = Vec::new();
    let mut by_status =
        db.prepare_cached("SELECT status, count(*) FROM sessile_generation GROUP BY status")?;
    for row in by_status.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))? {
        let (name, count) = row?;
        jobs.extend(
            Status::ALL
                .into_iter()
                .find(|status| status.name() == name)
                .map(|status| (status, count.unsigned_abs())),
        );
    }
    let count = |refund: &str| -> rusqlite::Result<u64> {
        let sql =
            "SELECT count(*) FROM sessile_generation WHERE refund IN ('due', 'ordered') AND refund = ?1";
        let count: i64 = db.prepare_cached(sql)?.query_row([refund], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    };
    let due = "SELECT min(due_at) FROM sessile_generation WHERE due_at <= ?1";
    let work_since: Option<i64> = db.prepare_cached(due)?.query_row([now.unix_ms()], |row| row.get(0))?;
    let events = "SELECT count(*), min(received_at) FROM sessile_generation_event WHERE applied_at IS NULL";
    let (waiting, waiting_since): (i64, Option<i64>) =
        db.prepare_cached(events)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Tally {
        jobs,
        refunds_due: count("due")?,
        refunds_ordered: count("ordered")?,
        work_since: work_since.map(Timestamp::from_unix_ms),
        waiting: waiting.unsigned_abs(),
        waiting_since: waiting_since.map(Timestamp::from_unix_ms),
    })
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<KeptEvent> {
    Ok(KeptEvent {
        id: row.get(0)?,
        kind: row.get(1)?,
        key: row.get::<_, Option<String>>(2)?.as_deref().and_then(GenerationKey::parse),
        body: row.get(3)?,
        received_at: Timestamp::from_unix_ms(row.get(4)?),
        attempts: row.get(5)?,
        next_at: Timestamp::from_unix_ms(row.get(6)?),
    })
}

#[async_trait]
impl GenerationStore for SqliteGenerations {
    async fn create(&self, job: &Generation, _now: Timestamp) -> Result<(), StoreError> {
        let job = job.clone();
        self.write(move |db| Ok(if insert(db, &job)? == 1 { Ok(()) } else { Err(StoreError::Taken) })).await
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.file.read(|db| find(db, key, now))?
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        let job = job.clone();
        self.write(move |db| {
            if put(db, &job)? == 1 {
                return Ok(Ok(()));
            }
            Ok(match find(db, &job.key(), now)? {
                Ok(None) => Err(StoreError::Gone),
                _ => Err(StoreError::Conflict),
            })
        })
        .await
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        let (own, stripe) = (own.clone(), stripe.clone());
        self.write(move |db| bind(db, &own, &stripe, now)).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        // Nothing due, nothing to write.
        let any = "SELECT 1 FROM sessile_generation WHERE due_at <= ?1 LIMIT 1";
        if !self.file.read(|db| db.prepare_cached(any)?.exists([now.unix_ms()]))? {
            return Ok(Vec::new());
        }
        self.write(move |db| claim(db, now, lease_until, limit)).await
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        let event = event.clone();
        let sql = "INSERT INTO sessile_generation_event (id, kind, job, body, received_at, attempts, next_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
        self.write(move |db| {
            let new = db.prepare_cached(sql)?.execute(params![
                event.id,
                event.kind,
                event.key.as_ref().map(GenerationKey::as_str),
                event.body,
                event.received_at.unix_ms(),
                event.attempts,
                event.next_at.unix_ms(),
            ])?;
            Ok(Ok(if new == 1 { Kept::New } else { Kept::Known }))
        })
        .await
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let any = "SELECT 1 FROM sessile_generation_event WHERE applied_at IS NULL AND next_at <= ?1 LIMIT 1";
        if !self.file.read(|db| db.prepare_cached(any)?.exists([now.unix_ms()]))? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "UPDATE sessile_generation_event SET attempts = attempts + 1, next_at = ?2 WHERE id IN \
             (SELECT id FROM sessile_generation_event WHERE applied_at IS NULL AND next_at <= ?1 \
              ORDER BY received_at LIMIT ?3) RETURNING {EVENT}"
        );
        self.write(move |db| {
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement
                .query_map(params![now.unix_ms(), lease_until.unix_ms(), signed_count(limit)], event_of)?;
            let mut events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            events.sort_by(|a, b| (a.received_at, &a.id).cmp(&(b.received_at, &b.id)));
            Ok(Ok(events))
        })
        .await
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        let sql = "UPDATE sessile_generation_event SET applied_at = ?2, body = '' WHERE id = ?1";
        self.write(move |db| db.prepare_cached(sql)?.execute(params![id, now.unix_ms()]).map(|_| Ok(())))
            .await
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        let id = id.to_owned();
        let sql = "UPDATE sessile_generation_event SET next_at = ?2 WHERE id = ?1 AND applied_at IS NULL";
        self.write(move |db| db.prepare_cached(sql)?.execute(params![id, next_at.unix_ms()]).map(|_| Ok(())))
            .await
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        let sql = format!(
            "SELECT {EVENT} FROM sessile_generation_event WHERE applied_at IS NULL ORDER BY received_at, id LIMIT ?1"
        );
        self.file
            .read_much(move |db| {
                db.prepare_cached(&sql)?.query_map([signed_count(limit)], event_of)?.collect()
            })
            .await
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let status = status.map(str::to_owned);
        let sql = "SELECT name, value FROM sessile_generation WHERE ?1 IS NULL OR status = ?1 \
                   ORDER BY created_at DESC LIMIT ?2";
        let rows: Vec<(String, String)> = self
            .file
            .read_much(move |db| {
                let mut statement = db.prepare_cached(sql)?;
                let rows = statement
                    .query_map(params![status, signed_count(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .await?;
        let read = |(name, json): (String, String)| {
            decode(&json, &GenerationKey::parse(&name)?, Timestamp::EPOCH).ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let (column, text) = match mark {
            Mark::Guest(guest) => ("guest", guest.as_str()),
            Mark::Payment(payment) => ("payment", payment.as_str()),
        };
        let sql = format!(
            "SELECT name, value FROM sessile_generation WHERE {column} = ?1 AND expires_at > ?2 \
             ORDER BY created_at DESC LIMIT ?3"
        );
        let rows: Vec<(String, String)> = self.file.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let given = params![text, now.unix_ms(), signed_count(limit)];
            statement.query_map(given, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let read = |(name, json): (String, String)| decode(&json, &GenerationKey::parse(&name)?, now).ok();
        Ok(rows.into_iter().filter_map(read).collect())
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.file.read_much(move |db| tally(db, now)).await
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        let jobs = "DELETE FROM sessile_generation WHERE own_id IN \
                    (SELECT own_id FROM sessile_generation WHERE expires_at <= ?1 LIMIT ?2)";
        let events = "DELETE FROM sessile_generation_event WHERE id IN \
                      (SELECT id FROM sessile_generation_event WHERE received_at <= ?1 LIMIT ?2)";
        let forget = now.minus(GENERATION_LIFETIME).unix_ms();
        let work = move |db: &Connection| {
            let removed = db.prepare_cached(jobs)?.execute(params![now.unix_ms(), signed_count(batch)])?;
            db.prepare_cached(events)?.execute(params![forget, signed_count(batch)])?;
            Ok(Ok(Tidied { removed: removed as u64, found: 0, more: removed >= batch }))
        };
        self.file.write(Manners::GiveWay, work).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(Ok(()))).await
    }
}

impl std::fmt::Debug for SqliteGenerations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteGenerations({:?})", self.file)
    }
}
