//! Redis: a scan of each master in turn, and one script for each row that comes in, all of a batch in flight together. What is
//! bound lies under Stripe's name, and a pointer under ours leads there, as after a binding.
//!
//! A job that a later revision replaces is confirmed by a replica as any write is; so is everything that is new.

use super::RedisGenerations;
use crate::generation::portable::job;
use crate::redis::scan::{Stop, Way};
use crate::redis::wire::text;
use async_trait::async_trait;
use futures_util::future::join_all;
use sessile_core::generation::{Generation, GenerationKey, PortableGeneration};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashSet;

/// Rows that come in, or are read, side by side: each may hold a prompt of a MiB.
const AT_ONCE: usize = 32;

/// What is scanned, in this order.
const JOBS: usize = 0;
const PHASES: [&str; 2] = ["job", "event"];

impl RedisGenerations {
    /// Host and database.
    pub(in crate::generation) fn place(&self) -> &str {
        &self.jobs.desk().server.place
    }

    fn way(&self) -> Way<'_> {
        Way { server: &self.jobs.desk().server, phases: &PHASES }
    }

    /// What lies under a key that a scan met; `Ok(None)`: a pointer, or nothing any more.
    async fn met(
        &self,
        phase: usize,
        key: &str,
    ) -> Result<Result<Option<PortableGeneration>, ()>, StoreError> {
        if phase != JOBS {
            let event = self.events.portable(key).await?;
            return Ok(Ok(event.map(PortableGeneration::Event)));
        }
        let Some(name) = key.strip_prefix(&self.jobs.desk().prefix) else { return Ok(Ok(None)) };
        let mut cmd = redis::cmd("GET");
        cmd.arg(key);
        let Some(json) = text(self.jobs.desk().server.one(cmd).await?) else { return Ok(Ok(None)) };
        if self.jobs.is_pointer(&json) {
            return Ok(Ok(None));
        }
        Ok(job(name, &json).map(Some).ok_or(()))
    }

    async fn land(&self, row: &PortableGeneration, now: Timestamp) -> Result<Landed, StoreError> {
        match row {
            PortableGeneration::Event(event) => self.events.land(event).await,
            PortableGeneration::Job(job) => self.land_job(job, now).await,
        }
    }

    async fn land_job(&self, job: &Generation, now: Timestamp) -> Result<Landed, StoreError> {
        // Whose name it is, is asked first: Stripe's name of another job is left alone.
        let there = self.jobs.find(&job.key(), now).await;
        if !matches!(&there, Ok(there) if there.as_ref().is_none_or(|there| there.own().id == job.own().id)) {
            return match there {
                Ok(_) | Err(StoreError::Undecodable { .. }) => Ok(Landed::Refused),
                Err(other) => Err(other),
            };
        }
        self.jobs.mark_guest(job).await?;
        let landed = self.jobs.land(job).await?;
        if let GenerationKey::Stripe(stripe) = job.key()
            && landed != Landed::Refused
        {
            self.jobs.point(&job.own().id, &stripe, job.own().updated_at).await?;
        }
        Ok(landed)
    }
}

#[async_trait]
impl Porter<PortableGeneration> for RedisGenerations {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        self.way().size().await
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableGeneration>, StoreError> {
        let (way, prefix) = (self.way(), self.jobs.desk().prefix.clone());
        let stop: Stop = way.resume(from).await?;
        let phase = stop.phase;
        let pattern = if phase == JOBS { format!("{prefix}*") } else { format!("{}*", self.events.prefix()) };
        let (keys, next) = way.step(stop, &pattern, limit).await?;
        let mut batch = Batch { rows: Vec::new(), next, unreadable: 0 };
        let mut seen = HashSet::new();
        let keys: Vec<String> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        for some in keys.chunks(AT_ONCE) {
            for met in join_all(some.iter().map(|key| self.met(phase, key))).await {
                match met? {
                    Ok(Some(PortableGeneration::Job(job))) if job.expires_at() <= now => {}
                    Ok(row) => batch.rows.extend(row),
                    Err(()) => batch.unreadable += 1,
                }
            }
        }
        Ok(batch)
    }

    async fn import(&self, rows: &[PortableGeneration], now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let mut landed = Vec::with_capacity(rows.len());
        for some in rows.chunks(AT_ONCE) {
            for one in join_all(some.iter().map(|row| self.land(row, now))).await {
                landed.push(one?);
            }
        }
        Ok(landed)
    }

    async fn held(
        &self,
        like: &[PortableGeneration],
        now: Timestamp,
    ) -> Result<Vec<Option<PortableGeneration>>, StoreError> {
        let one = async |row: &PortableGeneration| match row {
            PortableGeneration::Event(event) => {
                let found = self.events.portable_by_id(&event.event.id).await?;
                Ok(found.map(PortableGeneration::Event))
            }
            // By our own name, which leads to Stripe's where there is one.
            PortableGeneration::Job(job) => {
                let own = GenerationKey::Own(job.own().id.clone());
                let mut found = self.jobs.find(&own, now).await?;
                if found.is_none() {
                    found =
                        self.jobs.find(&job.key(), now).await?.filter(|there| there.own().id == job.own().id);
                }
                Ok(found.and_then(|there| PortableGeneration::job(&there.to_json(), &there.key()).ok()))
            }
        };
        let mut held = Vec::with_capacity(like.len());
        for some in like.chunks(AT_ONCE) {
            for found in join_all(some.iter().map(&one)).await {
                held.push(found?);
            }
        }
        Ok(held)
    }
}
