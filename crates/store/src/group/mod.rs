//! Group commit: a [`LoginStore`] made of an engine that works in batches.
//!
//! Loads, changes, touches and creations of many requests each become one round trip and one fsync. Changes to the
//! same session are merged before they are written, and stale ones are read again and merged again, so that of
//! twenty parallel requests that each set one key twenty survive.

mod batcher;
mod commits;
mod engine;
mod through;

pub(crate) use batcher::{Batcher, Shape};
pub(crate) use engine::{Extended, Found, Insert, Inserted, LoginEngine, Row, Swap, Swapped};
pub(crate) use through::through_group;

use async_trait::async_trait;
use commits::commit_batch;
use sessile_core::login::{
    Absence, DeviceHandle, EndReason, ListedLogin, LoginChange, LoginCount, LoginData, LoginEvent, LoginId,
    LoginStore, Lookup, NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// How each kind of work is batched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shapes {
    pub(crate) reads: Shape,
    pub(crate) writes: Shape,
}

type At<T> = (T, Timestamp);

/// An engine with its batchers.
pub(crate) struct Grouped<E> {
    engine: Arc<E>,
    reads: Batcher<LoginId, Found>,
    commits: Batcher<At<LoginChange>, Arc<Stored>>,
    touches: Batcher<At<(LoginId, Timestamp)>, ()>,
    inserts: Batcher<At<NewLogin>, Arc<Stored>>,
}

impl<E: LoginEngine> Grouped<E> {
    /// Puts the batchers around an engine.
    pub(crate) fn start(engine: E, shapes: Shapes) -> Self {
        let engine = Arc::new(engine);
        let (r, c, t, i) = (engine.clone(), engine.clone(), engine.clone(), engine.clone());
        Self {
            reads: Batcher::new(shapes.reads, move |ids| read_batch(r.clone(), ids)),
            commits: Batcher::new(shapes.writes, move |items| commit_batch(c.clone(), items)),
            touches: Batcher::new(shapes.writes, move |items| touch_batch(t.clone(), items)),
            inserts: Batcher::new(shapes.writes, move |items| insert_batch(i.clone(), items)),
            engine,
        }
    }

    /// The engine itself, for what only it can do.
    pub(crate) fn engine(&self) -> &E {
        &self.engine
    }
}

/// Reads a row's JSON.
fn decode(engine: &impl LoginEngine, id: &LoginId, row: &Row) -> Result<Stored, StoreError> {
    let data = LoginData::parse(&row.json).map_err(|error| {
        let place = engine.place_of(id);
        // Where it broke, but nothing of what it holds.
        tracing::error!(
            place,
            line = error.line(),
            column = error.column(),
            "a stored session cannot be read"
        );
        StoreError::Undecodable { place }
    })?;
    Ok(Stored { data, expires_at: row.expires_at, version: row.version, retires_at: row.retires_at })
}

async fn read_batch<E: LoginEngine>(engine: Arc<E>, ids: Vec<LoginId>) -> Vec<Result<Found, StoreError>> {
    match engine.read(&ids).await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) => for_all(&ids, error),
    }
}

async fn touch_batch<E: LoginEngine>(
    engine: Arc<E>,
    items: Vec<At<(LoginId, Timestamp)>>,
) -> Vec<Result<(), StoreError>> {
    let now = latest(items.iter().map(|(_, now)| *now));
    let mut ends: HashMap<&LoginId, Timestamp> = HashMap::with_capacity(items.len());
    for ((id, end), _) in &items {
        ends.entry(id).and_modify(|known| *known = (*known).max(*end)).or_insert(*end);
    }
    let mut touches: Vec<(LoginId, Timestamp)> =
        ends.into_iter().map(|(id, end)| (id.clone(), end)).collect();
    // One order for everybody, so that two processes never wait for each other's rows.
    touches.sort_unstable();
    match engine.extend(&touches, now).await {
        Ok(extended) => {
            let gone: Vec<&LoginId> = touches
                .iter()
                .zip(extended)
                .filter(|(_, e)| *e == Extended::Gone)
                .map(|((id, _), _)| id)
                .collect();
            let answer = |((id, _), _): &At<(LoginId, Timestamp)>| match gone.contains(&id) {
                true => Err(StoreError::Gone),
                false => Ok(()),
            };
            items.iter().map(answer).collect()
        }
        Err(error) => for_all(&items, error),
    }
}

async fn insert_batch<E: LoginEngine>(
    engine: Arc<E>,
    items: Vec<At<NewLogin>>,
) -> Vec<Result<Arc<Stored>, StoreError>> {
    match insert_all(&*engine, &items).await {
        Err(StoreError::Refused(_)) if items.len() > 1 => {
            // One value that the engine will not take must not fail its neighbours.
            let mut answers = Vec::with_capacity(items.len());
            for item in &items {
                answers.push(insert_all(&*engine, std::slice::from_ref(item)).await.and_then(only));
            }
            answers
        }
        Err(error) => for_all(&items, error),
        Ok(answers) => answers,
    }
}

async fn insert_all<E: LoginEngine>(
    engine: &E,
    items: &[At<NewLogin>],
) -> Result<Vec<Result<Arc<Stored>, StoreError>>, StoreError> {
    let now = latest(items.iter().map(|(_, now)| *now));
    let jsons: Vec<String> = items.iter().map(|(login, _)| login.data.to_json()).collect();
    let mut place: HashMap<&LoginId, usize> = HashMap::with_capacity(items.len());
    let mut inserts: Vec<Insert<'_>> = Vec::with_capacity(items.len());
    for ((login, _), json) in items.iter().zip(&jsons) {
        place.entry(&login.id).or_insert_with(|| {
            inserts.push(Insert { login, json, user: login.data.user(engine.user_key()) });
            inserts.len() - 1
        });
    }
    let inserted = engine.insert(&inserts, now).await?;
    let mut answered = vec![false; inserts.len()];
    let answer = |(login, _): &At<NewLogin>| {
        let at = *place.get(&login.id).ok_or(StoreError::Taken)?;
        // The same id twice in one batch: the first one made it.
        match (inserted[at], std::mem::replace(&mut answered[at], true)) {
            (Inserted::Done(version), false) => Ok(Arc::new(as_stored(login, version))),
            _ => Err(StoreError::Taken),
        }
    };
    Ok(items.iter().map(answer).collect())
}

fn as_stored(login: &NewLogin, version: sessile_core::login::Version) -> Stored {
    Stored { data: login.data.clone(), expires_at: login.expires_at, version, retires_at: None }
}

/// The answer of a batch of one.
fn only<T>(mut answers: Vec<Result<T, StoreError>>) -> Result<T, StoreError> {
    answers.pop().unwrap_or(Err(StoreError::unavailable("the engine gave no answer")))
}

fn latest(times: impl Iterator<Item = Timestamp>) -> Timestamp {
    times.max().unwrap_or(Timestamp::EPOCH)
}

/// The same outcome for everybody who was in the batch: refused, or unknown.
pub(crate) fn for_all<T, R>(items: &[T], error: StoreError) -> Vec<Result<R, StoreError>> {
    let refused = matches!(error, StoreError::Refused(_));
    let cause = Arc::new(error);
    let again = |_| {
        let shared = SharedCause(cause.clone());
        Err(if refused { StoreError::Refused(Box::new(shared)) } else { StoreError::unavailable(shared) })
    };
    items.iter().map(again).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("the batch failed")]
struct SharedCause(#[source] Arc<StoreError>);

#[async_trait]
impl<E: LoginEngine> LoginStore for Grouped<E> {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.inserts.ask((login, now)).await
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        let row = match self.reads.ask(id.clone()).await? {
            Found::Row(row) => row,
            Found::Ended => return Ok(Lookup::Absent(Absence::Ended)),
            Found::Nothing => return Ok(Lookup::Absent(Absence::Unknown)),
        };
        if row.retires_at.is_some_and(|at| at <= now) {
            return Ok(Lookup::Absent(Absence::Ended));
        }
        if row.expires_at <= now {
            return Ok(Lookup::Absent(Absence::Expired));
        }
        match decode(&*self.engine, id, &row) {
            Ok(stored) => Ok(Lookup::Live(Arc::new(stored))),
            Err(StoreError::Undecodable { place }) => Ok(Lookup::Absent(Absence::Undecodable(place))),
            Err(error) => Err(error),
        }
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.commits.ask((change, now)).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.touches.ask(((id.clone(), expires_at), now)).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        let json = login.data.to_json();
        let insert = Insert { login: &login, json: &json, user: login.data.user(self.engine.user_key()) };
        match self.engine.replace(old, retires_at, &insert, now).await? {
            Inserted::Done(version) => Ok(Arc::new(as_stored(&login, version))),
            Inserted::Taken => Err(StoreError::Taken),
        }
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.engine.destroy(id, reason, now).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.engine.list(user, now).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.engine.revoke(user, handle, now).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.engine.revoke_all(user, except, now).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.engine.sweep(now, batch).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.engine.count(now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.engine.events(limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.engine.settle(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ping().await
    }

    fn info(&self) -> StoreInfo {
        self.engine.info()
    }
}
