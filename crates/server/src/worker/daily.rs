//! Once a day, both ways over the payments of the last days: what we call paid, CLICK has to call paid; what we gave up
//! on, CLICK must not have been paid for.
//!
//! Money that turns up late buys what it was for, or goes back. A completed payment that CLICK does not know as paid is
//! flagged for a person: nothing is taken away. What CLICK itself had cancelled stays cancelled; a contradiction is an
//! error in the log.

use super::Workers;
use super::pace::{Next, Pace, Stopping, rounds};
use super::reconcile::{Asked, QUESTIONS_AT_ONCE, sum};
use crate::telemetry;
use futures_util::StreamExt;
use sessile_core::StoreError;
use sessile_core::ledger::{Kind, PAGE_MAX, PaymentFilter, PaymentKey, Reads, Record};
use sessile_core::payment::{ASK_AFTER, FailReason, Method, Payment, PaymentState, Verdict};
use sessile_providers::click::MerchantApi;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How far back a pass looks.
const WINDOW: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The first pass after a start; then every day.
const FIRST: Duration = Duration::from_secs(10 * 60);
/// How long a pass may take.
const PASS_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// Pages of one state that a pass reads.
const PAGES_MAX: usize = 1000;
/// What is settled this recently may still be on its way through CLICK.
const SETTLED_FOR: Duration = ASK_AFTER[3];

pub(super) async fn run(workers: Workers, stopping: Stopping) {
    let pace = Pace { worker: "daily", first: FIRST, every: DAY, round_max: PASS_MAX };
    rounds(&workers, pace, stopping, || async {
        let Asked { asked, changed } = workers.reconcile_both_ways().await?;
        tracing::info!(asked, changed, "compared the payments of the last days with CLICK");
        Ok(Next::Later)
    })
    .await;
}

impl Workers {
    /// The whole pass.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger did not answer; what was compared before stays compared.
    pub async fn reconcile_both_ways(&self) -> Result<Asked, StoreError> {
        let Ok(api) = &self.0.click else { return Ok(Asked::default()) };
        let mut all = Asked::default();
        for status in ["completed", "failed", "expired"] {
            all.add(self.pass_over(api, status).await?);
        }
        Ok(all)
    }

    async fn pass_over(&self, api: &MerchantApi, status: &str) -> Result<Asked, StoreError> {
        let since = self.0.clock.now().minus(WINDOW);
        let filter = PaymentFilter { status: Some(status.to_owned()), user: None };
        let (mut all, mut after) = (Asked::default(), None);
        for _ in 0..PAGES_MAX {
            let page = self.0.money.ledger.page(Kind::Payment, &filter, after.as_ref(), PAGE_MAX).await?;
            let end = page.rows.iter().any(|row| made_at(row) < Some(since)) || page.next.is_none();
            let payments = page.rows.into_iter().filter_map(|row| match row {
                Record::Payment(payment) if payment.created_at >= since => Some(payment),
                _ => None,
            });
            let asked = futures_util::stream::iter(payments.map(|payment| self.compare(api, payment)));
            all.add(sum(asked.buffer_unordered(QUESTIONS_AT_ONCE).collect().await)?);
            if end {
                return Ok(all);
            }
            after = page.next;
        }
        tracing::warn!(status, "more payments than one pass compares; the oldest were left out");
        Ok(all)
    }

    async fn compare(&self, api: &MerchantApi, payment: Payment) -> Result<Asked, StoreError> {
        if !self.is_comparable(&payment).await? {
            return Ok(Asked::default());
        }
        let verdict = self.question(api, &payment, "daily").await;
        let asked = Asked { asked: 1, changed: 0 };
        match (&payment.state, verdict) {
            (PaymentState::Completed { .. }, Verdict::NotPaid) => self.tell(&payment, verdict).await,
            (PaymentState::Failed { reason: FailReason::Reconciled, .. }, Verdict::Paid)
            | (PaymentState::Expired { .. }, Verdict::Paid) => self.tell(&payment, verdict).await,
            (PaymentState::Failed { .. }, Verdict::Paid) => {
                metrics::counter!(telemetry::RECONCILED, "outcome" => "contradicted").increment(1);
                tracing::error!(
                    payment = payment.id.fingerprint(),
                    "CLICK cancelled this payment and calls it paid now: look at it in the merchant cabinet"
                );
                Ok(asked)
            }
            _ => Ok(asked),
        }
    }

    /// Whether CLICK's word on it can mean anything: it had an attempt, it is settled, it was not flagged before, and
    /// its money is not on the way back.
    async fn is_comparable(&self, payment: &Payment) -> Result<bool, StoreError> {
        let settled_at = match &payment.state {
            PaymentState::Completed { attempt: Some(_), at, .. }
            | PaymentState::Failed { attempt: Some(_), at, .. }
            | PaymentState::Expired { attempt: Some(_), at, .. } => *at,
            _ => return Ok(false),
        };
        let settled = self.0.clock.now().since(settled_at) >= SETTLED_FOR;
        if !settled || payment.method != Method::Click || payment.flags.cancel_after_success {
            return Ok(false);
        }
        if !payment.state.is_completed() {
            return Ok(true);
        }
        let key = PaymentKey::Id(payment.id.clone());
        let books = self.0.money.ledger.look(&Reads::none().payment(key)).await?;
        Ok(!books.refunds_of(&payment.id).any(|refund| refund.state.counts()))
    }
}

fn made_at(row: &Record) -> Option<sessile_core::Timestamp> {
    match row {
        Record::Payment(payment) => Some(payment.created_at),
        _ => None,
    }
}
