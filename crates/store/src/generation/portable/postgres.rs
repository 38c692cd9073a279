//! Postgres: keyset by `own_id` and by a message's id, one statement for each batch of jobs or messages that comes in.

use super::{After, job, next_event, next_job};
use crate::generation::PostgresGenerations;
use crate::generation::postgres::{Marks, event_of};
use crate::postgres::connect::Parameter;
use crate::postgres::wire::Moment;
use async_trait::async_trait;
use sessile_core::generation::{Generation, GenerationKey, PortableEvent, PortableGeneration};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const EVENT: &str = "id, kind, job, body, (extract(epoch from received_at) * 1000)::bigint, attempts, \
    (extract(epoch from next_at) * 1000)::bigint, (extract(epoch from applied_at) * 1000)::bigint";

/// A later revision takes an earlier one's place, its name with it. Stripe's name of another job is left alone.
const LAND_JOBS: &str = "\
    with given as (
      select * from unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::timestamptz[],
                           $8::timestamptz[], $9::text[], $10::text[], $11::text[])
        as v(name, own_id, value, revision, status, created_at, due_at, expires_at, guest, payment, refund)
    ), there as (
      select given.own_id, bool_or(g.own_id = given.own_id) as same, bool_or(g.own_id <> given.own_id) as other
      from given join sessile_generation g on g.own_id = given.own_id or g.name = given.name group by given.own_id
    ), put as (
      insert into sessile_generation as t
        (name, own_id, value, revision, status, created_at, due_at, expires_at, guest, payment, refund)
      select v.name, v.own_id, v.value::json, v.revision, v.status, v.created_at::timestamptz, v.due_at, v.expires_at,
             v.guest, v.payment, v.refund
      from given v left join there using (own_id) where there.other is not true
      on conflict (own_id) do update set name = excluded.name, value = excluded.value, revision = excluded.revision,
        status = excluded.status, due_at = excluded.due_at, expires_at = excluded.expires_at, guest = excluded.guest,
        payment = excluded.payment, refund = excluded.refund
      where excluded.revision > t.revision
      returning own_id
    )
    select given.own_id, there.same is true, there.other is true, put.own_id is not null
    from given left join there using (own_id) left join put using (own_id)";

const LAND_EVENTS: &str = "\
    with given as (
      select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int8[],
                           $7::timestamptz[], $8::timestamptz[])
        as v(id, kind, job, body, received_at, attempts, next_at, applied_at)
    ), there as (
      select id from sessile_generation_event where id = any($1::text[])
    ), put as (
      insert into sessile_generation_event as t (id, kind, job, body, received_at, attempts, next_at, applied_at)
      select v.id, v.kind, v.job, v.body, v.received_at, v.attempts::int, v.next_at, v.applied_at from given v
      on conflict (id) do update set body = excluded.body, attempts = excluded.attempts, next_at = excluded.next_at,
        applied_at = excluded.applied_at
      where t.applied_at is null and (excluded.applied_at is not null or excluded.attempts > t.attempts)
      returning id
    )
    select given.id, there.id is not null, false, put.id is not null
    from given left join there using (id) left join put using (id)";

/// What a statement says of each row: whether it was there, whether its name is another's, whether it was written.
fn landed(rows: &[Row]) -> HashMap<String, Landed> {
    let one = |row: &Row| match (row.get(1), row.get(2), row.get(3)) {
        (_, true, _) => Landed::Refused,
        (_, _, false) => Landed::Kept,
        (false, _, true) => Landed::New,
        (true, _, true) => Landed::Renewed,
    };
    rows.iter().map(|row| (row.get(0), one(row))).collect()
}

impl PostgresGenerations {
    /// Host and database.
    pub(super) fn place(&self) -> &str {
        &self.database.place
    }

    async fn land_jobs(&self, jobs: &[&Generation]) -> Result<HashMap<String, Landed>, StoreError> {
        if jobs.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<GenerationKey> = jobs.iter().map(|job| job.key()).collect();
        let names: Vec<&str> = keys.iter().map(GenerationKey::as_str).collect();
        let ids: Vec<&str> = jobs.iter().map(|job| job.own().id.as_str()).collect();
        let values: Vec<String> = jobs.iter().map(|job| job.to_json()).collect();
        let revisions: Vec<i64> =
            jobs.iter().map(|job| i64::try_from(job.own().revision).unwrap_or(i64::MAX)).collect();
        let statuses: Vec<&str> = jobs.iter().map(|job| job.status.name()).collect();
        let made: Vec<&str> = jobs.iter().map(|job| job.created_at.as_str()).collect();
        let due: Vec<Option<Moment>> = jobs.iter().map(|job| job.due_at().map(Moment)).collect();
        let ends: Vec<Moment> = jobs.iter().map(|job| Moment(job.expires_at())).collect();
        let marks: Vec<Marks> = jobs.iter().map(|job| Marks::of(job)).collect();
        let guests: Vec<Option<&str>> = marks.iter().map(|marks| marks.guest.as_deref()).collect();
        let payments: Vec<Option<&str>> = marks.iter().map(|marks| marks.payment.as_deref()).collect();
        let refunds: Vec<&str> = jobs.iter().map(|job| job.own().refund.name()).collect();
        let parameters: [Parameter<'_>; 11] = [
            (&names, Type::TEXT_ARRAY),
            (&ids, Type::TEXT_ARRAY),
            (&values, Type::TEXT_ARRAY),
            (&revisions, Type::INT8_ARRAY),
            (&statuses, Type::TEXT_ARRAY),
            (&made, Type::TEXT_ARRAY),
            (&due, Type::TIMESTAMPTZ_ARRAY),
            (&ends, Type::TIMESTAMPTZ_ARRAY),
            (&guests, Type::TEXT_ARRAY),
            (&payments, Type::TEXT_ARRAY),
            (&refunds, Type::TEXT_ARRAY),
        ];
        Ok(landed(&self.database.query(LAND_JOBS, &parameters).await?))
    }

    async fn land_events(&self, rows: &[&PortableEvent]) -> Result<HashMap<String, Landed>, StoreError> {
        if rows.is_empty() {
            return Ok(HashMap::new());
        }
        let events = || rows.iter().map(|row| &row.event);
        let ids: Vec<&str> = events().map(|event| event.id.as_str()).collect();
        let kinds: Vec<&str> = events().map(|event| event.kind.as_str()).collect();
        let jobs: Vec<Option<&str>> = events().map(|e| e.key.as_ref().map(GenerationKey::as_str)).collect();
        let bodies: Vec<&str> = events().map(|event| event.body.as_str()).collect();
        let received: Vec<Moment> = events().map(|event| Moment(event.received_at)).collect();
        let attempts: Vec<i64> = events().map(|event| i64::from(event.attempts)).collect();
        let next: Vec<Moment> = events().map(|event| Moment(event.next_at)).collect();
        let applied: Vec<Option<Moment>> = rows.iter().map(|row| row.applied_at.map(Moment)).collect();
        let parameters: [Parameter<'_>; 8] = [
            (&ids, Type::TEXT_ARRAY),
            (&kinds, Type::TEXT_ARRAY),
            (&jobs, Type::TEXT_ARRAY),
            (&bodies, Type::TEXT_ARRAY),
            (&received, Type::TIMESTAMPTZ_ARRAY),
            (&attempts, Type::INT8_ARRAY),
            (&next, Type::TIMESTAMPTZ_ARRAY),
            (&applied, Type::TIMESTAMPTZ_ARRAY),
        ];
        Ok(landed(&self.database.query(LAND_EVENTS, &parameters).await?))
    }
}

fn portable_event(row: &Row) -> PortableEvent {
    let applied: Option<i64> = row.get(7);
    PortableEvent { event: event_of(row), applied_at: applied.map(Timestamp::from_unix_ms) }
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[async_trait]
impl Porter<PortableGeneration> for PostgresGenerations {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let sql = "select (select count(*) from sessile_generation) + (select count(*) from sessile_generation_event)";
        let rows = self.database.query(sql, &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableGeneration>, StoreError> {
        let some = bounded(limit);
        match After::of(from) {
            After::Job(after) => {
                let sql = "select own_id, name, value::text from sessile_generation \
                           where own_id > $1 and expires_at > $2 order by own_id limit $3";
                let now = Moment(now);
                let parameters: [Parameter<'_>; 3] =
                    [(&after, Type::TEXT), (&now, Type::TIMESTAMPTZ), (&some, Type::INT8)];
                let met = self.database.query(sql, &parameters).await?;
                let next = next_job(met.len(), limit, met.last().map(|row| row.get(0)));
                let rows: Vec<_> = met.iter().filter_map(|row| job(row.get(1), row.get(2))).collect();
                Ok(Batch { unreadable: (met.len() - rows.len()) as u64, rows, next: Some(next) })
            }
            After::Event(after) => {
                let sql = format!(
                    "select {EVENT} from sessile_generation_event where id > $1 order by id limit $2"
                );
                let met = self.database.query(&sql, &[(&after, Type::TEXT), (&some, Type::INT8)]).await?;
                let next = next_event(met.len(), limit, met.last().map(|row| row.get(0)));
                let rows = met.iter().map(|row| PortableGeneration::Event(portable_event(row))).collect();
                Ok(Batch { rows, next, unreadable: 0 })
            }
        }
    }

    async fn import(&self, rows: &[PortableGeneration], _now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let (mut jobs, mut events) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                PortableGeneration::Job(job) => jobs.push(&**job),
                PortableGeneration::Event(event) => events.push(event),
            }
        }
        let (jobs, events) = (self.land_jobs(&jobs).await?, self.land_events(&events).await?);
        let answer = |row: &PortableGeneration| match row {
            PortableGeneration::Job(job) => jobs.get(job.own().id.as_str()),
            PortableGeneration::Event(event) => events.get(&event.event.id),
        };
        Ok(rows.iter().map(|row| answer(row).copied().unwrap_or(Landed::Kept)).collect())
    }

    async fn held(
        &self,
        like: &[PortableGeneration],
        _now: Timestamp,
    ) -> Result<Vec<Option<PortableGeneration>>, StoreError> {
        let (mut jobs, mut events) = (Vec::new(), Vec::new());
        for row in like {
            match row {
                PortableGeneration::Job(job) => jobs.push(job.own().id.as_str()),
                PortableGeneration::Event(event) => events.push(event.event.id.as_str()),
            }
        }
        let sql = "select own_id, name, value::text from sessile_generation where own_id = any($1)";
        let rows = self.database.query(sql, &[(&jobs, Type::TEXT_ARRAY)]).await?;
        let mut found: HashMap<String, Option<PortableGeneration>> =
            rows.iter().map(|row| (row.get(0), job(row.get(1), row.get(2)))).collect();
        let sql = format!("select {EVENT} from sessile_generation_event where id = any($1)");
        let rows = self.database.query(&sql, &[(&events, Type::TEXT_ARRAY)]).await?;
        let mut messages: HashMap<String, PortableEvent> =
            rows.iter().map(|row| (row.get(0), portable_event(row))).collect();
        let mut held = |row: &PortableGeneration| match row {
            PortableGeneration::Job(job) => found.remove(job.own().id.as_str()).flatten(),
            PortableGeneration::Event(event) => {
                messages.remove(&event.event.id).map(PortableGeneration::Event)
            }
        };
        Ok(like.iter().map(&mut held).collect())
    }
}
