//! The outbox: what the world must hear, carried out at our own pace.
//!
//! Effects are claimed under a lease, so that many processes share the work and a killed one's share is taken over. An
//! effect may be carried out twice - when a process dies between doing it and saying so - and always under the same id.
//! One that fails is tried again with growing pauses for three days; then it is dead, which is an error for an operator.

use super::Workers;
use super::pace::{Complaints, Stopping};
use crate::sweeper::jittered;
use crate::telemetry;
use sessile_core::StoreError;
use sessile_core::ledger::{EFFECT_LEASE, Effect, EffectRow, Retry, retry_after};
use sessile_providers::webhook::{Delivery, Event};
use std::time::Duration;
use tokio::task::JoinSet;

/// Effects that one process carries out at once.
pub(super) const PLACES: usize = 16;
/// How often an idle worker looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long claiming, or saying that it is done, may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long carrying out one effect may take: with the ledger's answer it ends before the lease does.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(45);
const _: () = assert!(EFFECT_TIMEOUT.as_secs() + STORE_TIMEOUT.as_secs() < EFFECT_LEASE.as_secs());
/// Characters of what went wrong that are kept.
const ERROR_CHARS_MAX: usize = 300;

/// What came of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Try again later; why.
    Again(String),
    /// Trying again is of no use; why.
    GiveUp(String),
}

pub(super) async fn run(workers: Workers, mut stopping: Stopping) {
    let mut in_hand = JoinSet::new();
    let mut complaints = Complaints::new("outbox");
    while !stopping.is_asked() {
        while in_hand.try_join_next().is_some() {}
        let room = PLACES - in_hand.len().min(PLACES);
        let claimed = if room == 0 { Ok(Vec::new()) } else { workers.claim(room).await };
        let full = match claimed {
            Ok(rows) => {
                complaints.over();
                let full = rows.len() == room;
                for row in rows {
                    let workers = workers.clone();
                    in_hand.spawn(async move { workers.carry_out(row).await });
                }
                full
            }
            Err(error) => {
                complaints.failed(&error);
                false
            }
        };
        if full {
            tokio::select! { _ = in_hand.join_next() => {} () = stopping.asked() => {} }
        } else {
            let pause = jittered(POLL_INTERVAL, &*workers.0.entropy);
            tokio::select! { () = tokio::time::sleep(pause) => {} () = stopping.asked() => {} }
        }
    }
    while in_hand.join_next().await.is_some() {}
}

impl Workers {
    /// Carries out what is due now, at most as many effects as one process does at once; answers how many it was.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox could not be read.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let rows = self.claim(PLACES).await?;
        let count = rows.len();
        futures_util::future::join_all(rows.into_iter().map(|row| self.carry_out(row))).await;
        Ok(count)
    }

    async fn claim(&self, room: usize) -> Result<Vec<EffectRow>, StoreError> {
        let now = self.0.clock.now();
        let claimed = self.0.money.ledger.claim(now, now.plus(EFFECT_LEASE), room);
        tokio::time::timeout(STORE_TIMEOUT, claimed).await.map_err(StoreError::unavailable)?
    }

    async fn carry_out(&self, row: EffectRow) {
        let outcome = tokio::time::timeout(EFFECT_TIMEOUT, self.attempt(&row)).await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Again("it took too long".to_owned()));
        let recorded = tokio::time::timeout(STORE_TIMEOUT, self.record(&row, outcome)).await;
        if let Err(error) = recorded.map_err(StoreError::unavailable).flatten() {
            let (id, error) = (row.id.as_str(), crate::stores::reason_of(&error));
            tracing::warn!(id, error, "what came of an effect could not be recorded; it is tried again");
        }
    }

    async fn attempt(&self, row: &EffectRow) -> Outcome {
        match &row.effect {
            Effect::Webhook { topic, data } => self.webhook(row, topic, data).await,
            Effect::Refund { refund, .. } => self.refund(refund).await,
            Effect::Tier { user, tier } => self.tier(user, tier).await,
        }
    }

    async fn record(&self, row: &EffectRow, outcome: Outcome) -> Result<(), StoreError> {
        let (ledger, now) = (&self.0.money.ledger, self.0.clock.now());
        let (id, kind) = (row.id.as_str(), row.effect.kind().name());
        let attempts = row.attempts.max(1);
        let (retry, why) = match outcome {
            Outcome::Done => {
                metrics::counter!(telemetry::EFFECTS, "kind" => kind, "outcome" => "done").increment(1);
                tracing::debug!(id, kind, "effect carried out");
                return ledger.done(&row.id).await;
            }
            Outcome::Again(why) => (retry_after(row.created_at, attempts, self.chance(), now), why),
            Outcome::GiveUp(why) => (Retry::GiveUp, why),
        };
        let why: String = why.chars().take(ERROR_CHARS_MAX).collect();
        match retry {
            Retry::At(at) => {
                metrics::counter!(telemetry::EFFECTS, "kind" => kind, "outcome" => "retried").increment(1);
                tracing::warn!(id, kind, attempts, next = %at, why, "effect not carried out, it is tried again");
            }
            Retry::GiveUp => {
                metrics::counter!(telemetry::EFFECTS, "kind" => kind, "outcome" => "dead").increment(1);
                tracing::error!(id, kind, attempts, why, "effect given up: mend the cause and put it back");
                if let Effect::Refund { refund, .. } = &row.effect {
                    self.leave_to_a_person(refund, &why).await?;
                }
            }
        }
        ledger.undone(&row.id, retry, &why).await
    }

    async fn webhook(&self, row: &EffectRow, topic: &str, data: &serde_json::Value) -> Outcome {
        let Some(sender) = &self.0.webhook else {
            return Outcome::Again(
                "SESSILE_WEBHOOK_URL is not set; set it, and the event is sent".to_owned(),
            );
        };
        let timestamp = row.created_at.to_iso8601();
        let event = Event { id: &row.id, topic, timestamp: &timestamp, data };
        match sender.send(event, self.0.clock.now().unix_seconds()).await {
            Delivery::Delivered => Outcome::Done,
            Delivery::Gone => {
                Outcome::GiveUp("the receiver answered 410: it wants no more of this".to_owned())
            }
            Delivery::Failed(why) => Outcome::Again(why),
        }
    }

    /// Any number; without chance all retries fall together, which is slower, not wrong.
    fn chance(&self) -> u32 {
        let mut bytes = [0_u8; 4];
        let _ = self.0.entropy.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }
}
