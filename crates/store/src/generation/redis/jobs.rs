//! The jobs: `session:<id>`, and the sorted set of those that have work, by when.

use super::Desk;
use crate::redis::wire::{items, number, text};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use sessile_core::generation::{
    GENERATION_LIFETIME, Generation, GenerationId, GenerationKey, StripeSessionId,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long a replica may take to confirm a write.
const REPLICA_WAIT: Duration = Duration::from_millis(500);
/// Due entries that are looked at for each job that is wanted: some may be hints only.
const LOOK_PER_JOB: usize = 4;

/// What lies under our own name once Stripe has named the job.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pointer {
    bound_to: StripeSessionId,
}

pub(super) struct Jobs {
    desk: Arc<Desk>,
    due: String,
}

/// What lies under a key.
pub(super) enum Found {
    Job(Box<Generation>),
    Pointer(StripeSessionId),
}

impl Jobs {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { due: desk.ours("due"), desk }
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(super) fn place(&self, key: &GenerationKey) -> String {
        format!("{}{}", self.desk.prefix, key.as_str())
    }

    /// Stores a new value; `false` when the place is taken.
    pub(super) async fn insert(&self, job: &Generation) -> Result<bool, StoreError> {
        let place = self.place(&job.key());
        let mut cmd = redis::cmd("SET");
        cmd.arg(&place).arg(job.to_json()).arg("NX").arg("PXAT").arg(job.expires_at().unix_ms());
        let stored = text(self.desk.server.one(cmd).await?).is_some();
        if stored {
            self.durable(&place).await?;
        }
        Ok(stored)
    }

    pub(super) async fn find(
        &self,
        key: &GenerationKey,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        match self.look(key, now).await? {
            Some(Found::Job(job)) => Ok(Some(*job)),
            Some(Found::Pointer(stripe)) => match self.look(&GenerationKey::Stripe(stripe), now).await? {
                Some(Found::Job(job)) => Ok(Some(*job)),
                _ => Ok(None),
            },
            None => Ok(None),
        }
    }

    pub(super) async fn look(
        &self,
        key: &GenerationKey,
        now: Timestamp,
    ) -> Result<Option<Found>, StoreError> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.place(key));
        let Some(json) = text(self.desk.server.one(cmd).await?) else { return Ok(None) };
        self.read(&json, key, now).map(|found| {
            found.filter(|found| match found {
                Found::Job(job) => now < job.expires_at(),
                Found::Pointer(_) => true,
            })
        })
    }

    fn read(&self, json: &str, key: &GenerationKey, now: Timestamp) -> Result<Option<Found>, StoreError> {
        if let (GenerationKey::Own(_), Ok(pointer)) = (key, serde_json::from_str::<Pointer>(json)) {
            return Ok(Some(Found::Pointer(pointer.bound_to)));
        }
        match Generation::read(json, key, now) {
            Ok(job) => Ok(Some(Found::Job(Box::new(job)))),
            Err(unreadable) => {
                let place =
                    format!("{} at {}, {}", self.desk.prefix, self.desk.server.place, key.fingerprint());
                tracing::error!(place, %unreadable, "a generation session cannot be read; it is kept as it is");
                Err(StoreError::Undecodable { place })
            }
        }
    }

    pub(super) async fn commit(&self, job: &Generation) -> Result<(), StoreError> {
        let place = self.place(&job.key());
        let decided_on = job.own().revision.saturating_sub(1).to_string();
        let ends = job.expires_at().unix_ms().to_string();
        let json = job.to_json();
        let call = self.desk.scripts.commit.call(&[&place], &[&decided_on, &json, &ends]);
        match number(&self.desk.server.one(call).await?) {
            Some(1) => {}
            Some(0) => return Err(StoreError::Conflict),
            Some(-1) => return Err(StoreError::Gone),
            _ => return Err(self.desk.server.odd()),
        }
        self.durable(&place).await?;
        self.hint(job).await
    }

    /// Tells the index when the job is due. Only a hint: what it misses, `tidy` finds.
    pub(super) async fn hint(&self, job: &Generation) -> Result<(), StoreError> {
        let id = job.key().as_str().to_owned();
        let cmd = match job.due_at() {
            Some(at) => {
                let mut cmd = redis::cmd("ZADD");
                cmd.arg(&self.due).arg(at.unix_ms()).arg(id);
                cmd
            }
            None => {
                let mut cmd = redis::cmd("ZREM");
                cmd.arg(&self.due).arg(id);
                cmd
            }
        };
        if let Err(error) = self.desk.server.one(cmd).await {
            tracing::debug!(%error, "a hint was not written; the next round finds the work");
        }
        Ok(())
    }

    /// Where replicas follow, one of them has to have a write before anything is done about it: a failover would take
    /// it back otherwise.
    async fn durable(&self, place: &str) -> Result<(), StoreError> {
        match self.desk.server.replicated(place, REPLICA_WAIT).await? {
            crate::redis::server::Replicated::Yes | crate::redis::server::Replicated::NoReplicas => Ok(()),
            crate::redis::server::Replicated::NotYet => {
                Err(StoreError::unavailable("no replica of Redis confirmed the write in time"))
            }
        }
    }

    pub(super) async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        let (own_key, key) = (GenerationKey::Own(own.clone()), GenerationKey::Stripe(stripe.clone()));
        match self.look(&own_key, now).await? {
            Some(Found::Pointer(bound)) if bound == *stripe => self.find(&key, now).await,
            Some(Found::Pointer(_)) => Err(StoreError::Conflict),
            // It may have been bound so long ago that the pointer is forgotten.
            None => Ok(self.find(&key, now).await?.filter(|job| job.own().id == *own)),
            Some(Found::Job(job)) => {
                let bound = job.bound_to(stripe, now);
                // First the new place, then the pointer: nobody works on a job under our own name.
                let bound = if self.insert(&bound).await? {
                    bound
                } else {
                    match self.find(&key, now).await? {
                        Some(there) if there.own().id == *own => there,
                        _ => return Err(StoreError::Conflict),
                    }
                };
                self.point(own, stripe, now).await?;
                Ok(Some(bound))
            }
        }
    }

    async fn point(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let pointer = serde_json::to_string(&Pointer { bound_to: stripe.clone() });
        let pointer = pointer.map_err(|error| StoreError::Refused(Box::new(error)))?;
        let place = self.place(&GenerationKey::Own(own.clone()));
        let mut cmd = redis::cmd("SET");
        cmd.arg(&place).arg(pointer).arg("PXAT").arg(now.plus(GENERATION_LIFETIME).unix_ms());
        self.desk.server.one(cmd).await?;
        self.durable(&place).await
    }

    pub(super) async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(&self.due).arg("-inf").arg(now.unix_ms()).arg("BYSCORE");
        cmd.arg("LIMIT").arg(0).arg(limit * LOOK_PER_JOB);
        let ids = items(self.desk.server.one(cmd).await?).into_iter().filter_map(text);
        let keys: Vec<GenerationKey> = ids.filter_map(|id| GenerationKey::parse(&id)).collect();
        let mut held = Vec::new();
        for some in keys.chunks(limit.max(1)) {
            let tried = join_all(some.iter().map(|key| self.hold(key, now, lease_until))).await;
            for one in tried {
                held.extend(one?);
            }
            if held.len() >= limit {
                break;
            }
        }
        Ok(held)
    }

    /// Takes one job if it is due; mends its hint if it is not.
    async fn hold(
        &self,
        key: &GenerationKey,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        let job = match self.find(key, now).await {
            Ok(Some(job)) => job,
            Ok(None) | Err(StoreError::Undecodable { .. }) => {
                let mut cmd = redis::cmd("ZREM");
                cmd.arg(&self.due).arg(key.as_str());
                self.desk.server.one(cmd).await?;
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        if job.due_at().is_none_or(|at| at > now) {
            self.hint(&job).await?;
            return Ok(None);
        }
        let held = job.leased(lease_until, now);
        match self.commit(&held).await {
            Ok(()) => Ok(Some(held)),
            // Another worker was faster.
            Err(StoreError::Conflict | StoreError::Gone) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
