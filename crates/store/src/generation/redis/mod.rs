//! Generation sessions in Redis, on one server or a Cluster: `session:<id>` is the whole job as JSON, kept for 30 days
//! after its last change. A write is one script that compares the revision.
//!
//! What is to be done is inside the value; two sorted sets (jobs and events, by the moment they are due) are hints
//! that `tidy` rebuilds by scanning. A job lies under our own name until Stripe has named it: then it is stored under
//! Stripe's name first and its old place becomes a pointer, so that whoever dies in between leaves it findable and
//! nobody works on it twice.

mod durable;
mod events;
mod facts;
mod jobs;
mod marks;
mod portable;
mod scripts;
mod tidy;

pub use facts::RedisFacts;

use crate::open::OpenError;
use crate::redis::address::Address;
use crate::redis::server::Server;
use async_trait::async_trait;
use events::Events;
use jobs::Jobs;
use scripts::Scripts;
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark, StripeSessionId, Tally,
    Tidied,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;
use tokio::sync::Mutex;

/// The keys that an application's jobs lie under.
pub const SESSION_PREFIX: &str = "session:";

/// Where generation sessions lie in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisGenerationOptions {
    /// Before the id; `session:`.
    pub prefix: String,
}

impl Default for RedisGenerationOptions {
    fn default() -> Self {
        Self { prefix: SESSION_PREFIX.to_owned() }
    }
}

/// Generation sessions in Redis.
pub struct RedisGenerations {
    jobs: Jobs,
    events: Events,
    round: Mutex<tidy::Round>,
}

/// What jobs and events share.
struct Desk {
    server: Server,
    scripts: Scripts,
    prefix: String,
}

impl Desk {
    /// Everything of ours beside the jobs, by prefix so that two applications do not meet.
    fn ours(&self, what: &str) -> String {
        format!("sessile:generation:{what}:{}", self.prefix)
    }
}

impl RedisGenerations {
    /// Connects.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, options: &RedisGenerationOptions) -> Result<Self, OpenError> {
        if options.prefix.is_empty() || options.prefix.starts_with("sessile:") {
            let what =
                "the Redis key prefix of generation sessions is a text such as session: that does not begin \
                with sessile:"
                    .to_owned();
            return Err(OpenError::Unusable { what });
        }
        let scripts = Scripts::new();
        let server = Server::connect(&Address::parse(url)?, scripts.loads()).await?;
        let desk = Arc::new(Desk { server, scripts, prefix: options.prefix.clone() });
        Ok(Self {
            jobs: Jobs::new(desk.clone()),
            events: Events::new(desk),
            round: Mutex::new(tidy::Round::default()),
        })
    }
}

#[async_trait]
impl GenerationStore for RedisGenerations {
    async fn create(&self, job: &Generation, _now: Timestamp) -> Result<(), StoreError> {
        self.jobs.mark_guest(job).await?;
        if self.jobs.insert(job).await? { Ok(()) } else { Err(StoreError::Taken) }
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.jobs.find(key, now).await
    }

    async fn commit(&self, job: &Generation, _now: Timestamp) -> Result<(), StoreError> {
        self.jobs.commit(job).await
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        self.jobs.bind(own, stripe, now).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        self.jobs.claim(now, lease_until, limit).await
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.events.keep(event).await
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        self.events.take(now, lease_until, limit).await
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.events.applied(id, now).await
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        self.events.postponed(id, next_at).await
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        self.events.waiting(limit).await
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        tidy::recent(&self.jobs, status, limit).await
    }

    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError> {
        self.jobs.marked(mark, now, limit).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        let work_since = self.jobs.due_since(now).await?;
        let (waiting, waiting_since) = self.events.count().await?;
        let round = self.round.lock().await.tally();
        Ok(Tally { work_since, waiting, waiting_since, ..round })
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        let mut round = self.round.lock().await;
        tidy::step(&mut round, &self.jobs, &self.events, now, batch).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.jobs.desk().server.on_one_node(redis::cmd("PING")).await.map(drop)
    }
}

impl std::fmt::Debug for RedisGenerations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisGenerations({})", self.jobs.desk().server.place)
    }
}
