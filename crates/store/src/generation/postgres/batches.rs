//! What many requests want at the same time: messages to keep, and jobs to look up by Stripe's name. Each batch is one
//! statement, and for messages one fsync; who waits for nobody asks alone.

use super::Database;
use crate::group::{Batcher, Shape, for_all};
use crate::postgres::connect::Parameter;
use crate::postgres::wire::Moment;
use sessile_core::generation::{GenerationKey, Kept, KeptEvent};
use sessile_core::{StoreError, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio_postgres::types::Type;

/// Messages are large: a batch of them stays below what a statement may be, whatever Stripe sends.
const MESSAGES: Shape = Shape { batch_max: 128, lanes: 1 };
const LOOKS: Shape = Shape { batch_max: 256, lanes: 1 };

const KEEP: &str = "insert into sessile_generation_event (id, kind, job, body, received_at, attempts, next_at) \
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::int4[], \
     $7::timestamptz[]) on conflict do nothing returning id";
const LOOK: &str = "select name, value::text, expires_at from sessile_generation where name = any($1)";

/// A stored value, and until when it counts.
#[derive(Clone)]
pub(super) struct Raw {
    json: Arc<str>,
    ends: Timestamp,
}

impl Raw {
    /// The value, unless its time is over.
    pub(super) fn at(&self, now: Timestamp) -> Option<&str> {
        (now < self.ends).then_some(&*self.json)
    }
}

/// The gatherers of one database.
pub(super) struct Batches {
    messages: Batcher<KeptEvent, Kept>,
    looks: Batcher<Arc<str>, Option<Raw>>,
}

impl Batches {
    pub(super) fn new(database: &Database) -> Self {
        let (writing, reading) = (database.clone(), database.clone());
        Self {
            messages: Batcher::new(MESSAGES, move |events| keep_batch(writing.clone(), events)),
            looks: Batcher::new(LOOKS, move |names| look_batch(reading.clone(), names)),
        }
    }

    pub(super) async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.messages.ask(event.clone()).await
    }

    /// What is stored under one of Stripe's names.
    pub(super) async fn look(&self, name: &str) -> Result<Option<Raw>, StoreError> {
        self.looks.ask(name.into()).await
    }
}

async fn keep_batch(database: Database, events: Vec<KeptEvent>) -> Vec<Result<Kept, StoreError>> {
    match keep_all(&database, &events).await {
        Ok(kept) => kept.into_iter().map(Ok).collect(),
        Err(StoreError::Refused(_)) if events.len() > 1 => {
            // One message that Postgres will not take must not fail its neighbours.
            let mut answers = Vec::with_capacity(events.len());
            for event in &events {
                let alone = keep_all(&database, std::slice::from_ref(event)).await;
                answers.push(alone.map(|kept| kept.first().copied().unwrap_or(Kept::Known)));
            }
            answers
        }
        Err(error) => for_all(&events, error),
    }
}

async fn keep_all(database: &Database, events: &[KeptEvent]) -> Result<Vec<Kept>, StoreError> {
    let mut rows: Vec<&KeptEvent> = events.iter().collect();
    // One order for everybody, so that two processes never wait for each other's rows.
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let column = |pick: fn(&KeptEvent) -> &str| rows.iter().map(|event| pick(event)).collect::<Vec<_>>();
    let (ids, kinds, bodies) =
        (column(|event| &event.id), column(|event| &event.kind), column(|event| &event.body));
    let jobs: Vec<Option<&str>> =
        rows.iter().map(|event| event.key.as_ref().map(GenerationKey::as_str)).collect();
    let attempts: Vec<i32> =
        rows.iter().map(|event| i32::try_from(event.attempts).unwrap_or(i32::MAX)).collect();
    let received: Vec<Moment> = rows.iter().map(|event| Moment(event.received_at)).collect();
    let next: Vec<Moment> = rows.iter().map(|event| Moment(event.next_at)).collect();
    let parameters: [Parameter<'_>; 7] = [
        (&ids, Type::TEXT_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
        (&jobs, Type::TEXT_ARRAY),
        (&bodies, Type::TEXT_ARRAY),
        (&received, Type::TIMESTAMPTZ_ARRAY),
        (&attempts, Type::INT4_ARRAY),
        (&next, Type::TIMESTAMPTZ_ARRAY),
    ];
    let made = database.query(KEEP, &parameters).await?;
    let mut new: HashSet<String> = made.iter().map(|row| row.get(0)).collect();
    // The same message twice in one batch was new once.
    let kept = |event: &KeptEvent| if new.remove(&event.id) { Kept::New } else { Kept::Known };
    Ok(events.iter().map(kept).collect())
}

async fn look_batch(database: Database, names: Vec<Arc<str>>) -> Vec<Result<Option<Raw>, StoreError>> {
    let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
    let found = match database.query(LOOK, &[(&wanted, Type::TEXT_ARRAY)]).await {
        Ok(found) => found,
        Err(error) => return for_all(&names, error),
    };
    let raw = |row: &tokio_postgres::Row| {
        let (name, json): (String, &str) = (row.get(0), row.get(1));
        (name, Raw { json: json.into(), ends: row.get::<_, Moment>(2).0 })
    };
    let found: HashMap<String, Raw> = found.iter().map(raw).collect();
    names.iter().map(|name| Ok(found.get(&**name).cloned())).collect()
}
