//! Counting what there is, for metrics: by a worker at its own pace, so that a scrape costs the database nothing.

use super::Workers;
use super::pace::{Next, Pace, Stopping, rounds};
use crate::telemetry;
use sessile_core::StoreError;
use sessile_core::ledger::{Census, Kind};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often is counted.
const INTERVAL: Duration = Duration::from_secs(15);
/// The first count comes soon, so that a fresh process is not taken for an empty one.
const FIRST: Duration = Duration::from_secs(1);
/// How long counting may take.
const COUNT_MAX: Duration = Duration::from_secs(60);

/// Which series were set, so that a state which nothing is in any more becomes 0.
static SHOWN: Mutex<BTreeSet<(Kind, String)>> = Mutex::new(BTreeSet::new());

pub(super) async fn run(workers: Workers, stopping: Stopping) {
    let pace = Pace { worker: "census", first: FIRST, every: INTERVAL, round_max: COUNT_MAX };
    rounds(&workers, pace, stopping, || async {
        workers.count().await?;
        Ok(Next::Later)
    })
    .await;
}

impl Workers {
    /// Counts, and shows it as metrics.
    ///
    /// # Errors
    /// [`StoreError`] when the ledger did not answer.
    pub async fn count(&self) -> Result<Census, StoreError> {
        let census = self.0.money.ledger.census(self.0.clock.now()).await?;
        show(&census);
        Ok(census)
    }
}

fn show(census: &Census) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for (kind, state) in shown.iter() {
        if !census.counts.iter().any(|(other, name, _)| (other, name) == (kind, state)) {
            rows(*kind, state, 0);
        }
    }
    for (kind, state, count) in &census.counts {
        rows(*kind, state, *count);
        shown.insert((*kind, state.clone()));
    }
    for kind in [Kind::Checkout, Kind::Payment] {
        if let Some(ratio) = completion(census, kind) {
            metrics::gauge!(telemetry::COMPLETION, "kind" => name_of(kind)).set(ratio);
        }
    }
    for (what, count) in [
        ("payments_overdue", census.overdue_payments),
        ("payments_stale", census.stale_payments),
        ("payments_without_email", census.without_email),
        ("refunds_manual", census.manual_refunds),
    ] {
        metrics::gauge!(telemetry::ATTENTION, "what" => what).set(count as f64);
    }
    metrics::gauge!(telemetry::OUTBOX, "state" => "pending").set(census.effects_pending as f64);
    metrics::gauge!(telemetry::OUTBOX, "state" => "dead").set(census.effects_dead as f64);
}

fn rows(kind: Kind, state: &str, count: i64) {
    let labels = [("kind", name_of(kind).to_owned()), ("state", state.to_owned())];
    metrics::gauge!(telemetry::LEDGER_ROWS, &labels).set(count as f64);
}

/// Completed of all that came to an end; `None` before anything did.
fn completion(census: &Census, kind: Kind) -> Option<f64> {
    let of = |wanted: &[&str]| -> i64 {
        let counts = census
            .counts
            .iter()
            .filter(|(other, state, _)| *other == kind && wanted.contains(&state.as_str()));
        counts.map(|(_, _, count)| count).sum()
    };
    let completed = of(&["completed"]);
    let ended = completed + of(&["failed", "expired", "invalidated"]);
    (ended > 0).then(|| completed as f64 / ended as f64)
}

pub(crate) const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Checkout => "checkout",
        Kind::Payment => "payment",
        Kind::Coupon => "coupon",
        Kind::Grant => "grant",
        Kind::Refund => "refund",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_is_of_what_came_to_an_end() {
        let count = |state: &str, count| (Kind::Payment, state.to_owned(), count);
        let counts = vec![count("completed", 3), count("expired", 1), count("pending", 90)];
        let census = Census { counts, ..Census::default() };
        assert_eq!(completion(&census, Kind::Payment), Some(0.75));
        assert_eq!(completion(&census, Kind::Checkout), None);
    }
}
