//! The jobs: `session:<id>`, and the sorted set of those that have work, by when.

use super::Desk;
use crate::redis::wire::{items, scored, text};
use futures_util::future::join_all;
use redis::Cmd;
use serde::{Deserialize, Serialize};
use sessile_core::generation::{
    GENERATION_LIFETIME, Generation, GenerationId, GenerationKey, StripeSessionId,
};
use sessile_core::portable::Landed;
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

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

    /// Stores a new value; `false` when the place is taken. Whatever is there then is durable.
    pub(super) async fn insert(&self, job: &Generation) -> Result<bool, StoreError> {
        let (place, ends) = (self.place(&job.key()), job.expires_at());
        let insert = &self.desk.scripts.insert;
        let written =
            self.desk.write(insert.call(&[&place], &[&job.to_json(), &ends.unix_ms().to_string()])).await?;
        // Nobody else makes a job of this name, and somebody may have changed it already.
        self.desk.durable(&place, written, ends, None).await?;
        Ok(written.code == 1)
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
        let (json, ends) = (job.to_json(), job.expires_at());
        let call =
            self.desk.scripts.commit.call(&[&place], &[&decided_on, &json, &ends.unix_ms().to_string()]);
        let answers = self.desk.server.in_order(self.early_hint(job).await, vec![call], Vec::new()).await?;
        let answer = answers.into_iter().next().ok_or_else(|| self.desk.server.odd())?;
        let written = self.desk.written(answer)?;
        match written.code {
            1 => {}
            0 => return Err(StoreError::Conflict),
            _ => return Err(StoreError::Gone),
        }
        self.desk.durable(&place, written, ends, Some(&json)).await?;
        self.hint(job).await;
        Ok(())
    }

    /// Work is in the index before it is in the value, so that whoever dies in between leaves work that is found at
    /// once. Never later than what is there: another's change may win. On one server it travels with the change.
    async fn early_hint(&self, job: &Generation) -> Vec<Cmd> {
        let Some(at) = job.due_at() else { return Vec::new() };
        let mut early = redis::cmd("ZADD");
        early.arg(&self.due).arg("LT").arg(at.unix_ms()).arg(job.key().as_str());
        if self.desk.server.is_single() {
            return vec![early];
        }
        // Elsewhere it lies on another server, which may be away: then `tidy` finds the work.
        if let Err(error) = self.desk.server.one(early).await {
            tracing::debug!(%error, "a hint was not written");
        }
        Vec::new()
    }

    /// Tells the indexes when the job is due and what it is found by. Only hints: what they miss, `tidy` finds.
    async fn hint(&self, job: &Generation) {
        let mut hints = vec![self.due_hint(job)];
        hints.extend(self.payment_hint(job));
        if let Err(error) = self.desk.server.send(hints).await {
            tracing::debug!(%error, "a hint was not written; the next round finds the work");
        }
    }

    fn due_hint(&self, job: &Generation) -> Cmd {
        let key = job.key();
        match job.due_at() {
            Some(at) => {
                let mut cmd = redis::cmd("ZADD");
                cmd.arg(&self.due).arg(at.unix_ms()).arg(key.as_str());
                cmd
            }
            None => {
                let mut cmd = redis::cmd("ZREM");
                cmd.arg(&self.due).arg(key.as_str());
                cmd
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

    /// Whether a value is what lies under our own name once Stripe has named the job.
    pub(super) fn is_pointer(&self, json: &str) -> bool {
        serde_json::from_str::<Pointer>(json).is_ok()
    }

    /// Takes a job that moves here.
    pub(super) async fn land(&self, job: &Generation) -> Result<Landed, StoreError> {
        let (place, json, ends) = (self.place(&job.key()), job.to_json(), job.expires_at());
        let (revision, expiry) = (job.own().revision.to_string(), ends.unix_ms().to_string());
        let call = self.desk.scripts.land.call(&[&place], &[&revision, &json, &expiry]);
        let written = self.desk.write(call).await?;
        let landed = match written.code {
            1 => Landed::New,
            2 => Landed::Renewed,
            0 => Landed::Kept,
            _ => return Ok(Landed::Refused),
        };
        self.desk.durable(&place, written, ends, None).await?;
        if landed != Landed::Kept {
            self.hint(job).await;
        }
        Ok(landed)
    }

    pub(super) async fn point(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let pointer = serde_json::to_string(&Pointer { bound_to: stripe.clone() });
        let pointer = pointer.map_err(|error| StoreError::Refused(Box::new(error)))?;
        let (place, ends) = (self.place(&GenerationKey::Own(own.clone())), now.plus(GENERATION_LIFETIME));
        let replace = &self.desk.scripts.replace;
        let written =
            self.desk.write(replace.call(&[&place], &[&pointer, &ends.unix_ms().to_string()])).await?;
        self.desk.durable(&place, written, ends, Some(&pointer)).await
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
        let (mut held, mut failed) = (Vec::new(), None);
        for some in keys.chunks(limit.max(1)) {
            for one in join_all(some.iter().map(|key| self.hold(key, now, lease_until))).await {
                match one {
                    Ok(job) => held.extend(job),
                    Err(error) => failed = Some(error),
                }
            }
            if held.len() >= limit {
                break;
            }
        }
        // What is held is worked on although another server of a Cluster is away.
        match failed {
            Some(error) if held.is_empty() => Err(error),
            _ => Ok(held),
        }
    }

    /// Since when the oldest due work waits.
    pub(super) async fn due_since(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(&self.due).arg("-inf").arg(now.unix_ms()).arg("BYSCORE").arg("LIMIT").arg(0).arg(1);
        let oldest = scored(self.desk.server.one(cmd.arg("WITHSCORES").clone()).await?);
        Ok(oldest.first().map(|(_, at)| Timestamp::from_unix_ms(*at)))
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
            self.hint(&job).await;
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
