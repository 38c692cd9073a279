//! Asking the provider about payments that hang: at 1, 5, 15 and 60 minutes after Prepare, and then every hour, until
//! it has a clear word. No timer of ours ends such a payment.

use super::Workers;
use super::pace::{Next, Pace, Stopping, rounds};
use super::verdict::verdict;
use crate::stores::reason_of;
use crate::telemetry;
use futures_util::StreamExt;
use sessile_core::StoreError;
use sessile_core::ledger::{Due, PaymentKey, RecordKey};
use sessile_core::payment::{Payment, PaymentId, Verdict};
use sessile_providers::click::MerchantApi;
use std::time::Duration;

/// Payments that one round asks about.
const BATCH: usize = 64;
/// Questions under way at once.
pub(super) const QUESTIONS_AT_ONCE: usize = 4;
/// How long one question may take, with its repetitions.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How often is looked for payments that are due to be asked about.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a round may take: every question of it at its longest.
const ROUND_MAX: Duration = Duration::from_secs(60 * 60);

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Payments that were asked about.
    pub asked: usize,
    /// Of these, how many changed.
    pub changed: usize,
}

impl Asked {
    pub(super) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.changed += other.changed;
    }
}

pub(super) async fn run(workers: Workers, stopping: Stopping) {
    let pace = Pace { worker: "reconcile", first: INTERVAL, every: INTERVAL, round_max: ROUND_MAX };
    rounds(&workers, pace, stopping, || async {
        let asked = workers.ask_due().await?;
        Ok(if asked.asked == BATCH { Next::AtOnce } else { Next::Later })
    })
    .await;
}

impl Workers {
    /// Asks about every payment that is due to be asked about, at most a batch of them.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger did not answer.
    pub async fn ask_due(&self) -> Result<Asked, StoreError> {
        let Ok(api) = &self.0.click else { return Ok(Asked::default()) };
        let due = self.0.money.ledger.due(Due::Asks, self.0.clock.now(), BATCH).await?;
        let ids = due.into_iter().filter_map(|key| match key {
            RecordKey::Payment(id) => Some(id),
            _ => None,
        });
        let asked = futures_util::stream::iter(ids.map(|id| self.ask_by_id(api, id)));
        sum(asked.buffer_unordered(QUESTIONS_AT_ONCE).collect().await)
    }

    async fn ask_by_id(&self, api: &MerchantApi, id: PaymentId) -> Result<Asked, StoreError> {
        match self.0.money.payments.find(&PaymentKey::Id(id)).await? {
            Some(payment) => {
                let verdict = self.question(api, &payment, "due").await;
                self.tell(&payment, verdict).await
            }
            None => Ok(Asked::default()),
        }
    }

    /// CLICK's word on a payment.
    pub(super) async fn question(&self, api: &MerchantApi, payment: &Payment, pass: &'static str) -> Verdict {
        let said = tokio::time::timeout(QUESTION_TIMEOUT, verdict(api, payment, self.0.clock.now())).await;
        let said = said.unwrap_or(Verdict::Unknown);
        metrics::counter!(telemetry::ASKED, "pass" => pass, "verdict" => name_of(said)).increment(1);
        said
    }

    /// Tells the service, and says what it made of it.
    pub(super) async fn tell(&self, payment: &Payment, verdict: Verdict) -> Result<Asked, StoreError> {
        let before = payment.state.name();
        let answered = self.0.money.payments.told(&payment.id, verdict).await?;
        let after = answered.payment.as_ref();
        let flagged =
            after.is_some_and(|row| row.flags.cancel_after_success && !payment.flags.cancel_after_success);
        let state = after.map_or(before, |row| row.state.name());
        let outcome = if state != before { state } else { "flagged" };
        if state != before || flagged {
            metrics::counter!(telemetry::RECONCILED, "outcome" => outcome).increment(1);
        }
        let (payment, verdict) = (payment.id.fingerprint(), name_of(verdict));
        if flagged {
            tracing::error!(
                payment,
                verdict,
                "a completed payment is not paid at CLICK: a person has to look at it"
            );
        } else if state == before {
            tracing::debug!(payment, verdict, state, "reconciled: nothing changed");
        } else {
            tracing::info!(payment, verdict, before, state, "reconciled");
        }
        Ok(Asked { asked: 1, changed: usize::from(state != before || flagged) })
    }
}

/// Everything that was asked, although one of it may have failed; that one is due again.
pub(super) fn sum(asked: Vec<Result<Asked, StoreError>>) -> Result<Asked, StoreError> {
    let mut all = Asked::default();
    let mut failed = None;
    for one in asked {
        match one {
            Ok(one) => all.add(one),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if all == Asked::default() => Err(error),
        Some(error) => {
            tracing::warn!(
                error = reason_of(&error),
                "a verdict could not be recorded; the payment is asked about again"
            );
            Ok(all)
        }
        None => Ok(all),
    }
}

const fn name_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Paid => "paid",
        Verdict::NotPaid => "not_paid",
        Verdict::Open => "open",
        Verdict::Unknown => "unknown",
    }
}
