//! Generation sessions in memory: for tests, and the plainest statement of the contract. Values are kept as text, as
//! every other engine keeps them.

use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::generation::{
    GENERATION_LIFETIME, Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark,
    Refund, Status, StripeSessionId, Tally, Tidied,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::BTreeMap;

/// Generation sessions of one process.
#[derive(Default)]
pub struct MemoryGenerations(Mutex<Rooms>);

#[derive(Default)]
struct Rooms {
    jobs: BTreeMap<String, String>,
    bound: BTreeMap<GenerationId, StripeSessionId>,
    events: BTreeMap<String, Event>,
}

struct Event {
    event: KeptEvent,
    applied_at: Option<Timestamp>,
}

impl Rooms {
    fn live(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        let bound = match key {
            GenerationKey::Own(id) => self.bound.get(id).cloned().map(GenerationKey::Stripe),
            GenerationKey::Stripe(_) => None,
        };
        let key = bound.as_ref().unwrap_or(key);
        let Some(json) = self.jobs.get(key.as_str()) else { return Ok(None) };
        let job = Generation::read(json, key, now).map_err(|_| StoreError::Undecodable {
            place: format!("memory, session {}", key.fingerprint()),
        })?;
        Ok(Some(job).filter(|job| now < job.expires_at()))
    }

    /// Every job that can be read and is not over.
    fn all(&self, now: Timestamp) -> Vec<Generation> {
        let keys = self.jobs.keys().filter_map(|key| GenerationKey::parse(key));
        keys.filter_map(|key| self.live(&key, now).ok().flatten()).collect()
    }

    fn put(&mut self, job: &Generation) {
        self.jobs.insert(job.key().as_str().to_owned(), job.to_json());
    }
}

impl MemoryGenerations {
    /// Stores any text under any key, as an older application would.
    pub fn plant(&self, key: &str, json: &str) {
        self.0.lock().jobs.insert(key.to_owned(), json.to_owned());
    }
}

#[async_trait]
impl GenerationStore for MemoryGenerations {
    async fn create(&self, job: &Generation, _now: Timestamp) -> Result<(), StoreError> {
        let mut rooms = self.0.lock();
        if rooms.jobs.contains_key(job.key().as_str()) || rooms.bound.contains_key(&job.own().id) {
            return Err(StoreError::Taken);
        }
        rooms.put(job);
        Ok(())
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.0.lock().live(key, now)
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        let mut rooms = self.0.lock();
        let there = rooms.live(&job.key(), now)?.ok_or(StoreError::Gone)?;
        if there.key() != job.key() || there.own().revision + 1 != job.own().revision {
            return Err(StoreError::Conflict);
        }
        rooms.put(job);
        Ok(())
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        let mut rooms = self.0.lock();
        match rooms.bound.get(own) {
            Some(bound) if bound == stripe => return rooms.live(&GenerationKey::Stripe(stripe.clone()), now),
            Some(_) => return Err(StoreError::Conflict),
            None => {}
        }
        let key = GenerationKey::Own(own.clone());
        let Some(job) = rooms.live(&key, now)? else { return Ok(None) };
        if rooms.jobs.contains_key(stripe.as_str()) {
            return Err(StoreError::Conflict);
        }
        let bound = job.bound_to(stripe, now);
        rooms.jobs.remove(key.as_str());
        rooms.bound.insert(own.clone(), stripe.clone());
        rooms.put(&bound);
        Ok(Some(bound))
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        let mut rooms = self.0.lock();
        let keys: Vec<GenerationKey> =
            rooms.jobs.keys().filter_map(|key| GenerationKey::parse(key)).collect();
        let mut due: Vec<Generation> = keys
            .iter()
            .filter_map(|key| rooms.live(key, now).ok().flatten())
            .filter(|job| job.due_at().is_some_and(|at| at <= now))
            .collect();
        due.sort_by_key(Generation::due_at);
        due.truncate(limit);
        let held: Vec<Generation> = due.into_iter().map(|job| job.leased(lease_until, now)).collect();
        held.iter().for_each(|job| rooms.put(job));
        Ok(held)
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        let mut rooms = self.0.lock();
        if rooms.events.contains_key(&event.id) {
            return Ok(Kept::Known);
        }
        rooms.events.insert(event.id.clone(), Event { event: event.clone(), applied_at: None });
        Ok(Kept::New)
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let mut rooms = self.0.lock();
        let mut due: Vec<&mut Event> = rooms
            .events
            .values_mut()
            .filter(|kept| kept.applied_at.is_none() && kept.event.next_at <= now)
            .collect();
        due.sort_by_key(|kept| (kept.event.received_at, kept.event.id.clone()));
        let taken = due.into_iter().take(limit).map(|kept| {
            kept.event.attempts += 1;
            kept.event.next_at = lease_until;
            kept.event.clone()
        });
        Ok(taken.collect())
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        if let Some(kept) = self.0.lock().events.get_mut(id) {
            kept.applied_at = Some(now);
            kept.event.body.clear();
        }
        Ok(())
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        if let Some(kept) = self.0.lock().events.get_mut(id) {
            kept.event.next_at = next_at;
        }
        Ok(())
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        let rooms = self.0.lock();
        let mut waiting: Vec<KeptEvent> = rooms
            .events
            .values()
            .filter(|kept| kept.applied_at.is_none())
            .map(|kept| kept.event.clone())
            .collect();
        waiting.sort_by_key(|event| (event.received_at, event.id.clone()));
        waiting.truncate(limit);
        Ok(waiting)
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let rooms = self.0.lock();
        let now = Timestamp::EPOCH;
        let keys = rooms.jobs.keys().filter_map(|key| GenerationKey::parse(key));
        let mut jobs: Vec<Generation> = keys
            .filter_map(|key| rooms.live(&key, now).ok().flatten())
            .filter(|job| status.is_none_or(|status| job.status.name() == status))
            .collect();
        jobs.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError> {
        let mut jobs = self.0.lock().all(now);
        jobs.retain(|job| job.marks().contains(mark));
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        let rooms = self.0.lock();
        let jobs = rooms.all(now);
        let count =
            |wanted: &dyn Fn(&Generation) -> bool| jobs.iter().filter(|job| wanted(job)).count() as u64;
        let waiting = || rooms.events.values().filter(|kept| kept.applied_at.is_none());
        Ok(Tally {
            jobs: Status::ALL
                .into_iter()
                .map(|status| (status, count(&|job| job.status == status)))
                .filter(|(_, jobs)| *jobs > 0)
                .collect(),
            refunds_due: count(&|job| job.own().refund == Refund::Due),
            refunds_ordered: count(&|job| job.own().refund == Refund::Ordered),
            work_since: jobs.iter().filter_map(Generation::due_at).filter(|at| *at <= now).min(),
            waiting: waiting().count() as u64,
            waiting_since: waiting().map(|kept| kept.event.received_at).min(),
        })
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        let mut rooms = self.0.lock();
        let keys: Vec<String> = rooms.jobs.keys().cloned().collect();
        let over = |key: &String| {
            let key = GenerationKey::parse(key)?;
            let job = Generation::read(rooms.jobs.get(key.as_str())?, &key, now).ok()?;
            (now >= job.expires_at()).then(|| key.as_str().to_owned())
        };
        let over: Vec<String> = keys.iter().filter_map(over).take(batch).collect();
        over.iter().for_each(|key| drop(rooms.jobs.remove(key)));
        rooms.bound.retain(|_, stripe| !over.iter().any(|key| key == stripe.as_str()));
        rooms.events.retain(|_, kept| kept.applied_at.is_none_or(|at| now < at.plus(GENERATION_LIFETIME)));
        let more = over.len() >= batch;
        Ok(Tidied { removed: over.len() as u64, found: 0, more })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl std::fmt::Debug for MemoryGenerations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryGenerations({})", self.0.lock().jobs.len())
    }
}
