//! Stripe's kept messages: applied to the job that they name, or tried again with growing pauses for three days.
//!
//! A message for a job that is not there is never thrown away: after three days it is only listed, until it is forgotten
//! with everything else of its age.

use super::GenerationWorkers;
use crate::generation::{About, read_news};
use crate::stores::reason_of;
use crate::sweeper::jittered;
use crate::worker::pace::{Complaints, Stopping, round_done};
use futures_util::future::join_all;
use sessile_core::StoreError;
use sessile_core::generation::{Applied, GENERATION_LIFETIME, KeptEvent};
use sessile_providers::stripe::Event;
use std::time::Duration;

/// Messages in one round.
const BATCH: usize = 64;
/// How long a round may hold them.
const LEASE: Duration = Duration::from_secs(15);
/// How long one round may take.
const ROUND_MAX: Duration = Duration::from_secs(10);
const _: () = assert!(ROUND_MAX.as_secs() < LEASE.as_secs());
/// How often an idle worker looks; a message that this process kept wakes it at once.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const ERROR_PAUSE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// As long as Stripe itself would have tried.
const TRIED_FOR: Duration = Duration::from_secs(3 * 24 * 60 * 60);

pub(super) async fn run(workers: GenerationWorkers, mut stopping: Stopping) {
    let mut complaints = Complaints::new("generation_events");
    while !stopping.is_asked() {
        let round = tokio::time::timeout(ROUND_MAX, workers.apply_due()).await;
        let pause = match round.map_err(StoreError::unavailable).flatten() {
            Ok(count) => {
                complaints.over();
                round_done("generation_events");
                if count == BATCH {
                    continue;
                }
                POLL_INTERVAL
            }
            Err(error) => {
                complaints.failed(&error);
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(jittered(pause, &*workers.0.entropy)) => {}
            () = workers.0.bells.news.notified() => {}
            () = stopping.asked() => {}
        }
    }
}

impl GenerationWorkers {
    /// Applies what is due; answers how many messages there were.
    async fn apply_due(&self) -> Result<usize, StoreError> {
        let now = self.0.clock.now();
        let due = self.0.jobs.store().kept(now, now.plus(LEASE), BATCH).await?;
        let count = due.len();
        let outcomes = join_all(due.iter().map(|event| self.settle(event))).await;
        outcomes.into_iter().collect::<Result<(), StoreError>>()?;
        Ok(count)
    }

    async fn settle(&self, event: &KeptEvent) -> Result<(), StoreError> {
        let applied = match self.apply(event).await {
            Ok(Applied::Changed | Applied::Again) => true,
            Ok(Applied::NoJob) => {
                if event.attempts <= 1 {
                    tracing::info!(
                        event = event.id,
                        kind = event.kind,
                        "a message of Stripe waits for its session"
                    );
                }
                false
            }
            Err(error) => {
                let (id, error) = (&event.id, reason_of(&error));
                tracing::warn!(
                    event = id,
                    error,
                    "a message of Stripe could not be applied; it is tried again"
                );
                false
            }
        };
        let now = self.0.clock.now();
        let store = self.0.jobs.store();
        if applied {
            return store.applied(&event.id, now).await;
        }
        if now.since(event.received_at) >= TRIED_FOR {
            tracing::error!(
                event = event.id,
                kind = event.kind,
                "a message of Stripe found no session in three days; \
                GET /v1/generations/events lists it"
            );
            return store.postponed(&event.id, event.received_at.plus(GENERATION_LIFETIME)).await;
        }
        store.postponed(&event.id, now.plus(jittered(pause_after(event.attempts), &*self.0.entropy))).await
    }

    async fn apply(&self, event: &KeptEvent) -> Result<Applied, StoreError> {
        let read = Event::parse(event.body.as_bytes()).and_then(|message| read_news(&message));
        let (about, news) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(event = event.id, kind = event.kind, %error, "a message of Stripe is not as documented");
                return Ok(Applied::NoJob);
            }
        };
        let applied = match about {
            About::Nothing => Applied::Again,
            About::Session { stripe, own } => self.0.jobs.apply(stripe.as_ref(), own.as_ref(), &news).await?,
            About::Payment(intent) => self.0.jobs.apply_to_payment(&intent, &news).await?,
        };
        if applied == Applied::Changed {
            tracing::info!(event = event.id, kind = event.kind, "a message of Stripe was applied");
            self.0.bells.work.notify_one();
        }
        Ok(applied)
    }
}

fn pause_after(attempts: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(20));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        let seconds: Vec<u64> = [0, 1, 2, 5, 12, 13, 100, u32::MAX].map(|n| pause_after(n).as_secs()).into();
        assert_eq!(seconds, [1, 1, 2, 16, 2048, 3600, 3600, 3600]);
    }
}
