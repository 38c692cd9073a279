//! SQLite: keyset by `own_id` and by a message's id, one transaction for each batch that comes in.

use super::{After, job, next_event, next_job};
use crate::generation::SqliteGenerations;
use crate::generation::sqlite::write_job;
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sessile_core::generation::{Generation, GenerationKey, KeptEvent, PortableEvent, PortableGeneration};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};

const JOB: &str = "own_id, name, value";
const EVENT: &str = "id, kind, job, body, received_at, attempts, next_at, applied_at";

/// A later revision takes an earlier one's place, its name with it.
const OR_RENEW: &str = "ON CONFLICT (own_id) DO UPDATE SET name = excluded.name, value = excluded.value, \
    revision = excluded.revision, status = excluded.status, due_at = excluded.due_at, \
    expires_at = excluded.expires_at, guest = excluded.guest, payment = excluded.payment, refund = excluded.refund \
    WHERE excluded.revision > t.revision";
const LAND_EVENT: &str = "INSERT INTO sessile_generation_event AS t \
    (id, kind, job, body, received_at, attempts, next_at, applied_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, attempts = excluded.attempts, next_at = excluded.next_at, \
    applied_at = excluded.applied_at WHERE t.applied_at IS NULL \
    AND (excluded.applied_at IS NOT NULL OR excluded.attempts > t.attempts)";

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn event_of(row: &Row<'_>) -> rusqlite::Result<PortableEvent> {
    let time = |at: usize| row.get(at).map(Timestamp::from_unix_ms);
    let key: Option<String> = row.get(2)?;
    Ok(PortableEvent {
        event: KeptEvent {
            id: row.get(0)?,
            kind: row.get(1)?,
            key: key.as_deref().and_then(GenerationKey::parse),
            body: row.get(3)?,
            received_at: time(4)?,
            attempts: row.get(5)?,
            next_at: time(6)?,
        },
        applied_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix_ms),
    })
}

fn land(db: &Connection, row: &PortableGeneration) -> rusqlite::Result<Landed> {
    match row {
        PortableGeneration::Job(job) => land_job(db, job),
        PortableGeneration::Event(event) => land_event(db, event),
    }
}

fn land_job(db: &Connection, job: &Generation) -> rusqlite::Result<Landed> {
    let own = job.own();
    let there = db
        .prepare_cached("SELECT own_id FROM sessile_generation WHERE own_id = ?1 OR name = ?2")?
        .query_row([own.id.as_str(), job.key().as_str()], |row| row.get::<_, String>(0))
        .optional()?;
    // Stripe's name is another job's here: nobody but a person can say which is right.
    if there.as_ref().is_some_and(|id| id != own.id.as_str()) {
        return Ok(Landed::Refused);
    }
    let changed = write_job(db, job, OR_RENEW)?;
    Ok(landed(there.is_some(), changed))
}

fn land_event(db: &Connection, row: &PortableEvent) -> rusqlite::Result<Landed> {
    let event = &row.event;
    let there =
        db.prepare_cached("SELECT 1 FROM sessile_generation_event WHERE id = ?1")?.exists([&event.id])?;
    let changed = db.prepare_cached(LAND_EVENT)?.execute(params![
        event.id,
        event.kind,
        event.key.as_ref().map(GenerationKey::as_str),
        event.body,
        event.received_at.unix_ms(),
        event.attempts,
        event.next_at.unix_ms(),
        row.applied_at.map(Timestamp::unix_ms),
    ])?;
    Ok(landed(there, changed))
}

const fn landed(was_there: bool, changed: usize) -> Landed {
    match (was_there, changed) {
        (_, 0) => Landed::Kept,
        (false, _) => Landed::New,
        (true, _) => Landed::Renewed,
    }
}

fn jobs(
    db: &Connection,
    after: &str,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Batch<PortableGeneration>> {
    let sql = format!(
        "SELECT {JOB} FROM sessile_generation WHERE own_id > ?1 AND expires_at > ?2 ORDER BY own_id LIMIT ?3"
    );
    let mut select = db.prepare_cached(&sql)?;
    let given = params![after, now.unix_ms(), signed(limit as u64)];
    let read = |row: &Row<'_>| {
        let (id, name, json): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((id, job(&name, &json)))
    };
    let met = select.query_map(given, read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let next = next_job(met.len(), limit, met.last().map(|(id, _)| id.as_str()));
    let all = met.len();
    let rows: Vec<_> = met.into_iter().filter_map(|(_, row)| row).collect();
    Ok(Batch { unreadable: (all - rows.len()) as u64, rows, next: Some(next) })
}

fn events(db: &Connection, after: &str, limit: usize) -> rusqlite::Result<Batch<PortableGeneration>> {
    let sql = format!("SELECT {EVENT} FROM sessile_generation_event WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut select = db.prepare_cached(&sql)?;
    let met = select.query_map(params![after, signed(limit as u64)], event_of)?;
    let met = met.collect::<rusqlite::Result<Vec<_>>>()?;
    let next = next_event(met.len(), limit, met.last().map(|row| row.event.id.as_str()));
    Ok(Batch { rows: met.into_iter().map(PortableGeneration::Event).collect(), next, unreadable: 0 })
}

fn held(db: &Connection, like: &PortableGeneration) -> rusqlite::Result<Option<PortableGeneration>> {
    match like {
        PortableGeneration::Job(like) => {
            let sql = "SELECT name, value FROM sessile_generation WHERE own_id = ?1";
            let pair = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let found = db.prepare_cached(sql)?.query_row([like.own().id.as_str()], pair).optional()?;
            Ok(found.and_then(|(name, json)| job(&name, &json)))
        }
        PortableGeneration::Event(like) => {
            let sql = format!("SELECT {EVENT} FROM sessile_generation_event WHERE id = ?1");
            let found = db.prepare_cached(&sql)?.query_row([&like.event.id], event_of).optional()?;
            Ok(found.map(PortableGeneration::Event))
        }
    }
}

#[async_trait]
impl Porter<PortableGeneration> for SqliteGenerations {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM sessile_generation) + (SELECT count(*) FROM sessile_generation_event)";
        let count: i64 = self.file.read_much(move |db| db.query_row(sql, [], |row| row.get(0))).await?;
        Ok(count.unsigned_abs())
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableGeneration>, StoreError> {
        let from = from.cloned();
        self.file
            .read_much(move |db| match After::of(from.as_ref()) {
                After::Job(after) => jobs(db, after, limit, now),
                After::Event(after) => events(db, after, limit),
            })
            .await
    }

    async fn import(&self, rows: &[PortableGeneration], _now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let rows = rows.to_vec();
        self.write(move |db| rows.iter().map(|row| land(db, row)).collect::<rusqlite::Result<_>>().map(Ok))
            .await
    }

    async fn held(
        &self,
        like: &[PortableGeneration],
        _now: Timestamp,
    ) -> Result<Vec<Option<PortableGeneration>>, StoreError> {
        let like = like.to_vec();
        self.file.read_much(move |db| like.iter().map(|row| held(db, row)).collect()).await
    }
}
