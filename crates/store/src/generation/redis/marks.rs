//! By what else than its names a job is found: the guest who made it, and Stripe's name of its payment. One key each, which
//! names jobs and is only a hint: the job itself tells whether it bears the mark, and `tidy` writes what is missing.

use super::jobs::Jobs;
use crate::redis::wire::{items, text};
use futures_util::future::join_all;
use redis::Cmd;
use sessile_core::generation::{Generation, GenerationKey, Mark};
use sessile_core::{StoreError, Timestamp};

impl Jobs {
    fn mark_place(&self, mark: &Mark) -> String {
        match mark {
            Mark::Guest(guest) => format!("{}:{}", self.desk().ours("guest"), guest.as_str()),
            Mark::Payment(payment) => format!("{}:{payment}", self.desk().ours("payment")),
        }
    }

    /// Says whose a new job is before it is there: what is missing here would not be found at the guest's sign-in.
    pub(super) async fn mark_guest(&self, job: &Generation) -> Result<(), StoreError> {
        self.desk().server.send(self.guest_hint(job)).await.map(drop)
    }

    pub(super) fn guest_hint(&self, job: &Generation) -> Vec<Cmd> {
        let marks = job.marks();
        let Some(mark) = marks.iter().find(|mark| matches!(mark, Mark::Guest(_))) else { return Vec::new() };
        let place = self.mark_place(mark);
        let (mut add, mut keep) = (redis::cmd("SADD"), redis::cmd("PEXPIREAT"));
        // Ours stays good when Stripe has named the job.
        add.arg(&place).arg(job.own().id.as_str());
        keep.arg(&place).arg(job.expires_at().unix_ms());
        vec![add, keep]
    }

    pub(super) fn payment_hint(&self, job: &Generation) -> Option<Cmd> {
        let mark = job.marks().into_iter().find(|mark| matches!(mark, Mark::Payment(_)))?;
        let mut set = redis::cmd("SET");
        set.arg(self.mark_place(&mark)).arg(job.key().as_str()).arg("PXAT").arg(job.expires_at().unix_ms());
        Some(set)
    }

    /// Jobs that bear a mark.
    pub(super) async fn marked(
        &self,
        mark: &Mark,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        let place = self.mark_place(mark);
        let server = &self.desk().server;
        let names: Vec<String> = match mark {
            Mark::Guest(_) => {
                let mut cmd = redis::cmd("SMEMBERS");
                cmd.arg(&place);
                items(server.one(cmd).await?).into_iter().filter_map(text).take(limit).collect()
            }
            Mark::Payment(_) => {
                let mut cmd = redis::cmd("GET");
                cmd.arg(&place);
                text(server.one(cmd).await?).into_iter().collect()
            }
        };
        let keys: Vec<GenerationKey> = names.iter().filter_map(|name| GenerationKey::parse(name)).collect();
        let mut jobs = Vec::new();
        for found in join_all(keys.iter().map(|key| self.find(key, now))).await {
            match found {
                Ok(job) => jobs.extend(job.filter(|job| job.marks().contains(mark))),
                Err(StoreError::Undecodable { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(jobs)
    }
}
