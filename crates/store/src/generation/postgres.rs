//! Generation sessions in Postgres: the value as it would lie in Redis, as `json` so that it stays byte for byte, and
//! the columns by which it is found. Works behind a transaction-mode pooler: every step is one statement.

mod batches;

use crate::open::OpenError;
use crate::options::Choice;
use crate::postgres::connect::{Database, Parameter};
use async_trait::async_trait;
use batches::Batches;
use sessile_core::generation::{
    GENERATION_LIFETIME, Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark,
    Status, StripeSessionId, Tally, Tidied,
};
use sessile_core::{StoreError, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Any number that nobody else uses: "sessgen1" as a big-endian integer.
const LOCK: i64 = 0x7365_7373_6765_6e31;

const SCHEMA: &str = "\
create table if not exists sessile_generation (
  name text primary key,
  own_id text not null unique,
  value json not null,
  revision bigint not null,
  status text not null check (status in ('pending', 'processing', 'completed', 'error')),
  created_at timestamptz not null,
  due_at timestamptz,
  expires_at timestamptz not null
);
create index if not exists sessile_generation_due_at on sessile_generation (due_at) where due_at is not null;
create index if not exists sessile_generation_expires_at on sessile_generation (expires_at);
create index if not exists sessile_generation_created_at on sessile_generation (created_at);
alter table sessile_generation add column if not exists guest text;
alter table sessile_generation add column if not exists payment text;
alter table sessile_generation add column if not exists refund text not null default 'none';
create index if not exists sessile_generation_guest on sessile_generation (guest) where guest is not null;
create index if not exists sessile_generation_payment on sessile_generation (payment) where payment is not null;
create index if not exists sessile_generation_refund on sessile_generation (refund) where refund in ('due', 'ordered');
create table if not exists sessile_generation_event (
  id text primary key,
  kind text not null,
  job text,
  body text not null,
  received_at timestamptz not null,
  attempts integer not null,
  next_at timestamptz not null,
  applied_at timestamptz
) with (toast_tuple_target = 8160);
create index if not exists sessile_generation_event_next_at on sessile_generation_event (next_at)
  where applied_at is null;
create index if not exists sessile_generation_event_received_at on sessile_generation_event (received_at);
alter table sessile_generation enable row level security;
alter table sessile_generation_event enable row level security;
";

/// A moment as a parameter of unix milliseconds; exact, and independent of every time zone.
macro_rules! at {
    ($n:literal) => {
        concat!("(timestamptz 'epoch' + $", $n, "::bigint * interval '1 millisecond')")
    };
}

const EVENT: &str = "id, kind, job, body, (extract(epoch from received_at) * 1000)::bigint, attempts, \
                     (extract(epoch from next_at) * 1000)::bigint";

/// Generation sessions in a Postgres database.
pub struct PostgresGenerations {
    pub(super) database: Database,
    batches: Batches,
}

impl PostgresGenerations {
    /// The tables, to be pasted into an editor by somebody who owns the schema. Running it again is safe.
    pub const SCHEMA: &str = SCHEMA;

    /// Connects and, unless told otherwise, creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, create: Choice) -> Result<Self, OpenError> {
        let database = Database::new(url)?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        let is_there = is_current(&database).await.map_err(unreachable)?;
        if !is_there && create == Choice::No {
            let what = "the tables of generation sessions are missing or older than this program; run `sessile migrate`";
            return Err(OpenError::Schema { place: database.place.clone(), what: what.to_owned() });
        }
        if !is_there {
            let script = format!("begin;\nselect pg_advisory_xact_lock({LOCK});\n{SCHEMA}commit;\n");
            database.script(&script).await.map_err(unreachable)?;
        }
        Ok(Self { batches: Batches::new(&database), database })
    }

    /// Where a database is, and whether everything that this program needs is there.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn inspect(url: &str) -> Result<(String, bool), OpenError> {
        let database = Database::new(url)?;
        let current = is_current(&database).await;
        let current = current.map_err(|error| OpenError::unreachable(&database.place, &error))?;
        Ok((database.place, current))
    }

    /// Writes the next revision over the one under `name` that it was decided on.
    async fn put(&self, job: &Generation, name: &GenerationKey) -> Result<bool, StoreError> {
        let own = job.own();
        let sql = concat!(
            "update sessile_generation set name = $2, value = $3::text::json, revision = $4, status = $5, \
             guest = $9, payment = $10, refund = $11, due_at = ",
            at!(6),
            ", expires_at = ",
            at!(7),
            " where own_id = $1 and name = $8 and revision = $4 - 1 returning 1"
        );
        let marks = Marks::of(job);
        let (key, json, revision) = (job.key(), job.to_json(), signed(own.revision));
        let due = job.due_at().map(Timestamp::unix_ms);
        let ends = job.expires_at().unix_ms();
        let parameters: [Parameter<'_>; 11] = [
            (&own.id.as_str(), Type::TEXT),
            (&key.as_str(), Type::TEXT),
            (&json, Type::TEXT),
            (&revision, Type::INT8),
            (&job.status.name(), Type::TEXT),
            (&due, Type::INT8),
            (&ends, Type::INT8),
            (&name.as_str(), Type::TEXT),
            (&marks.guest, Type::TEXT),
            (&marks.payment, Type::TEXT),
            (&own.refund.name(), Type::TEXT),
        ];
        Ok(!self.database.query(sql, &parameters).await?.is_empty())
    }

    fn decode(&self, row: &Row, now: Timestamp) -> Result<Generation, StoreError> {
        self.read(row.get(0), row.get(1), now)
    }

    fn read(&self, name: &str, json: &str, now: Timestamp) -> Result<Generation, StoreError> {
        let key = GenerationKey::parse(name);
        let read = key.as_ref().map(|key| Generation::read(json, key, now));
        match read {
            Some(Ok(job)) => Ok(job),
            other => {
                let print = key.map_or_else(|| "?".to_owned(), |key| key.fingerprint());
                let place = format!("sessile_generation at {}, {print}", self.database.place);
                let why = other.and_then(Result::err).map(|unreadable| unreadable.what);
                tracing::error!(place, why, "a generation session cannot be read; it is kept as it is");
                Err(StoreError::Undecodable { place })
            }
        }
    }
}

/// Whether the tables are there, with the columns that were added last.
async fn is_current(database: &Database) -> Result<bool, StoreError> {
    let sql = "select to_regclass('sessile_generation_event') is not null and exists (\
               select 1 from pg_attribute where attrelid = to_regclass('sessile_generation') \
               and attname = 'refund' and not attisdropped)";
    let rows = database.query(sql, &[]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// A job's marks, each in its column.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) guest: Option<String>,
    pub(super) payment: Option<String>,
}

impl Marks {
    pub(super) fn of(job: &Generation) -> Self {
        let mut marks = Self::default();
        for mark in job.marks() {
            match mark {
                Mark::Guest(guest) => marks.guest = Some(guest.as_str().to_owned()),
                Mark::Payment(payment) => marks.payment = Some(payment),
            }
        }
        marks
    }
}

fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn event_of(row: &Row) -> KeptEvent {
    KeptEvent {
        id: row.get(0),
        kind: row.get(1),
        key: row.get::<_, Option<String>>(2).as_deref().and_then(GenerationKey::parse),
        body: row.get(3),
        received_at: Timestamp::from_unix_ms(row.get(4)),
        attempts: u32::try_from(row.get::<_, i32>(5)).unwrap_or(0),
        next_at: Timestamp::from_unix_ms(row.get(6)),
    }
}

fn oldest_first(mut events: Vec<KeptEvent>) -> Vec<KeptEvent> {
    events.sort_by(|a, b| (a.received_at, &a.id).cmp(&(b.received_at, &b.id)));
    events
}

#[async_trait]
impl GenerationStore for PostgresGenerations {
    async fn create(&self, job: &Generation, _now: Timestamp) -> Result<(), StoreError> {
        let own = job.own();
        let sql = concat!(
            "insert into sessile_generation \
             (name, own_id, value, revision, status, created_at, due_at, expires_at, guest, payment, refund) \
             values ($1, $2, $3::text::json, $4, $5, $6::text::timestamptz, ",
            at!(7),
            ", ",
            at!(8),
            ", $9, $10, $11) \
             on conflict do nothing returning 1"
        );
        let marks = Marks::of(job);
        let (key, json, revision) = (job.key(), job.to_json(), signed(own.revision));
        let due = job.due_at().map(Timestamp::unix_ms);
        let ends = job.expires_at().unix_ms();
        let parameters: [Parameter<'_>; 11] = [
            (&key.as_str(), Type::TEXT),
            (&own.id.as_str(), Type::TEXT),
            (&json, Type::TEXT),
            (&revision, Type::INT8),
            (&job.status.name(), Type::TEXT),
            (&job.created_at, Type::TEXT),
            (&due, Type::INT8),
            (&ends, Type::INT8),
            (&marks.guest, Type::TEXT),
            (&marks.payment, Type::TEXT),
            (&own.refund.name(), Type::TEXT),
        ];
        let made = self.database.query(sql, &parameters).await?;
        if made.is_empty() { Err(StoreError::Taken) } else { Ok(()) }
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        if let GenerationKey::Stripe(name) = key {
            let found = self.batches.look(name.as_str()).await?;
            let json = found.as_ref().and_then(|raw| raw.at(now));
            return json.map(|json| self.read(name.as_str(), json, now)).transpose();
        }
        let sql = concat!(
            "select name, value::text from sessile_generation where own_id = $1 and expires_at > ",
            at!(2)
        );
        let ms = now.unix_ms();
        let rows = self.database.query(sql, &[(&key.as_str(), Type::TEXT), (&ms, Type::INT8)]).await?;
        rows.first().map(|row| self.decode(row, now)).transpose()
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        if self.put(job, &job.key()).await? {
            return Ok(());
        }
        match self.load(&job.key(), now).await {
            Ok(None) => Err(StoreError::Gone),
            Ok(Some(_)) | Err(StoreError::Undecodable { .. }) => Err(StoreError::Conflict),
            Err(other) => Err(other),
        }
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        let (own, key) = (GenerationKey::Own(own.clone()), GenerationKey::Stripe(stripe.clone()));
        loop {
            let Some(job) = self.load(&own, now).await? else { return Ok(None) };
            match &job.own().stripe {
                Some(bound) if bound == stripe => return Ok(Some(job)),
                Some(_) => return Err(StoreError::Conflict),
                None => {}
            }
            if let Some(there) = self.load(&key, now).await? {
                // Another binder was faster, or the name is another job's.
                return if there.own().id == job.own().id {
                    Ok(Some(there))
                } else {
                    Err(StoreError::Conflict)
                };
            }
            let bound = job.bound_to(stripe, now);
            if self.put(&bound, &own).await? {
                return Ok(Some(bound));
            }
            // Somebody else has just bound it: what they made of it is read.
        }
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        // The row's own due moment is moved first, so that no two workers read the same value; then lease and fence are
        // written into the value. Whoever dies in between leaves the job due again when the lease is over.
        let sql = concat!(
            "update sessile_generation g set due_at = ",
            at!(2),
            " from (
               select own_id from sessile_generation where due_at <= ",
            at!(1),
            " and expires_at > ",
            at!(1),
            "
               order by due_at limit $3 for update skip locked
             ) due where g.own_id = due.own_id returning g.name, g.value::text"
        );
        let (ms, until, some) = (now.unix_ms(), lease_until.unix_ms(), count(limit));
        let parameters: [Parameter<'_>; 3] = [(&ms, Type::INT8), (&until, Type::INT8), (&some, Type::INT8)];
        let mut held = Vec::new();
        for row in self.database.query(sql, &parameters).await? {
            let Ok(job) = self.decode(&row, now) else { continue };
            let job = job.leased(lease_until, now);
            if self.put(&job, &job.key()).await? {
                held.push(job);
            }
        }
        Ok(held)
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.batches.keep(event).await
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let sql = format!(
            "with due as (
               select id as due_id from sessile_generation_event where applied_at is null and next_at <= {}
               order by received_at limit $3 for update skip locked
             )
             update sessile_generation_event set attempts = attempts + 1, next_at = {} from due where id = due_id
             returning {EVENT}",
            at!(1),
            at!(2)
        );
        let (ms, until, some) = (now.unix_ms(), lease_until.unix_ms(), count(limit));
        let parameters: [Parameter<'_>; 3] = [(&ms, Type::INT8), (&until, Type::INT8), (&some, Type::INT8)];
        let rows = self.database.query(&sql, &parameters).await?;
        Ok(oldest_first(rows.iter().map(event_of).collect()))
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            concat!("update sessile_generation_event set applied_at = ", at!(2), ", body = '' where id = $1");
        let ms = now.unix_ms();
        self.database.query(sql, &[(&id, Type::TEXT), (&ms, Type::INT8)]).await.map(drop)
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        let sql = concat!(
            "update sessile_generation_event set next_at = ",
            at!(2),
            " where id = $1 and applied_at is null"
        );
        let ms = next_at.unix_ms();
        self.database.query(sql, &[(&id, Type::TEXT), (&ms, Type::INT8)]).await.map(drop)
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        let sql = format!(
            "select {EVENT} from sessile_generation_event where applied_at is null order by received_at, id limit $1"
        );
        let rows = self.database.query(&sql, &[(&count(limit), Type::INT8)]).await?;
        Ok(rows.iter().map(event_of).collect())
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let sql = "select name, value::text from sessile_generation where $1::text is null or status = $1 \
                   order by created_at desc limit $2";
        let rows = self.database.query(sql, &[(&status, Type::TEXT), (&count(limit), Type::INT8)]).await?;
        Ok(rows.iter().filter_map(|row| self.decode(row, Timestamp::EPOCH).ok()).collect())
    }

    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let (column, text) = match mark {
            Mark::Guest(guest) => ("guest", guest.as_str()),
            Mark::Payment(payment) => ("payment", payment.as_str()),
        };
        let sql = format!(
            "select name, value::text from sessile_generation where {column} = $1 and expires_at > {} \
             order by created_at desc limit $3",
            at!(2)
        );
        let (ms, some) = (now.unix_ms(), count(limit));
        let parameters: [Parameter<'_>; 3] = [(&text, Type::TEXT), (&ms, Type::INT8), (&some, Type::INT8)];
        let rows = self.database.query(&sql, &parameters).await?;
        Ok(rows.iter().filter_map(|row| self.decode(row, now).ok()).collect())
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        let by_status = "select status, count(*) from sessile_generation group by status";
        let by_status = self.database.query(by_status, &[]).await?;
        let others = concat!(
            "select (select count(*) from sessile_generation where refund = 'due'), \
             (select count(*) from sessile_generation where refund = 'ordered'), \
             (select (extract(epoch from min(due_at)) * 1000)::bigint from sessile_generation where due_at <= ",
            at!(1),
            "), \
             (select count(*) from sessile_generation_event where applied_at is null), \
             (select (extract(epoch from min(received_at)) * 1000)::bigint from sessile_generation_event \
              where applied_at is null)"
        );
        let ms = now.unix_ms();
        let rows = self.database.query(others, &[(&ms, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Ok(Tally::default()) };
        let number = |at: usize| row.get::<_, i64>(at).unsigned_abs();
        let moment = |at: usize| row.get::<_, Option<i64>>(at).map(Timestamp::from_unix_ms);
        let jobs = by_status.iter().filter_map(|row| {
            let (name, count): (String, i64) = (row.get(0), row.get(1));
            let status = Status::ALL.into_iter().find(|status| status.name() == name)?;
            Some((status, count.unsigned_abs()))
        });
        Ok(Tally {
            jobs: jobs.collect(),
            refunds_due: number(0),
            refunds_ordered: number(1),
            work_since: moment(2),
            waiting: number(3),
            waiting_since: moment(4),
        })
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        let jobs = concat!(
            "delete from sessile_generation where own_id in (select own_id from sessile_generation \
             where expires_at <= ",
            at!(1),
            " limit $2 for update skip locked) returning 1"
        );
        let events = concat!(
            "delete from sessile_generation_event where id in (select id from sessile_generation_event \
             where received_at <= ",
            at!(1),
            " limit $2 for update skip locked)"
        );
        let (ms, some) = (now.unix_ms(), count(batch));
        let removed = self.database.query(jobs, &[(&ms, Type::INT8), (&some, Type::INT8)]).await?.len();
        let forget = now.minus(GENERATION_LIFETIME).unix_ms();
        self.database.query(events, &[(&forget, Type::INT8), (&some, Type::INT8)]).await?;
        Ok(Tidied { removed: removed as u64, found: 0, more: removed >= batch })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.database.query("select 1", &[]).await.map(drop)
    }
}

impl std::fmt::Debug for PostgresGenerations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresGenerations({})", self.database.place)
    }
}
