//! Ending what is overdue: payments that nobody prepared in time, checkouts past their day, and the removal of those
//! that nobody can recover any more. Every read decides by the time itself; this only makes the rows say so.

use super::Workers;
use super::pace::{Next, Pace, Stopping, rounds};
use crate::admin::SweepRun;
use crate::money::Money;
use crate::stores::reason_of;
use crate::telemetry;
use sessile_core::StoreError;
use std::time::Duration;
use tokio::time::Instant;

/// Rows of a kind that one step takes.
const BATCH: usize = 200;
/// Steps of one sweep; what is left then is for the next one.
const STEPS_MAX: usize = 500;
/// How often is swept: buyers and coupons wait for it.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one sweep may take.
const SWEEP_MAX: Duration = Duration::from_secs(30 * 60);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Payments that expired.
    pub payments_expired: u64,
    /// Checkouts that expired.
    pub checkouts_expired: u64,
    /// Checkouts that were removed.
    pub checkouts_removed: u64,
}

impl Swept {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn told(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("payments expired", self.payments_expired),
            ("checkouts expired", self.checkouts_expired),
            ("checkouts removed", self.checkouts_removed),
        ]
    }

    fn add(&mut self, other: Self) {
        self.payments_expired += other.payments_expired;
        self.checkouts_expired += other.checkouts_expired;
        self.checkouts_removed += other.checkouts_removed;
    }
}

pub(super) async fn run(workers: Workers, stopping: Stopping) {
    let pace = Pace { worker: "sweep", first: INTERVAL, every: INTERVAL, round_max: SWEEP_MAX };
    rounds(&workers, pace, stopping, || async {
        workers.sweep_due().await?;
        Ok(Next::Later)
    })
    .await;
}

impl Workers {
    /// Sweeps until nothing is left.
    ///
    /// # Errors
    /// [`StoreError`]; what was swept before stays swept.
    pub async fn sweep_due(&self) -> Result<Swept, StoreError> {
        let began = Instant::now();
        let swept = sweep(&self.0.money).await;
        self.0.watch.swept(SweepRun {
            what: "Checkouts and payments",
            at: self.0.clock.now(),
            took: began.elapsed(),
            outcome: swept.as_ref().map(Swept::told).map_err(reason_of),
        });
        swept
    }
}

/// Sweeps until nothing is left. Called by the worker, and by `sessile sweep --once`.
///
/// # Errors
/// [`StoreError`]; what was swept before stays swept.
pub(crate) async fn sweep(money: &Money) -> Result<Swept, StoreError> {
    let began = Instant::now();
    let mut all = Swept::default();
    for _ in 0..STEPS_MAX {
        let swept =
            tokio::time::timeout(STEP_TIMEOUT, step(money)).await.map_err(StoreError::unavailable)??;
        if swept.is_nothing() {
            break;
        }
        all.add(swept);
        // Requests come first.
        tokio::task::yield_now().await;
    }
    metrics::histogram!(telemetry::MONEY_SWEEP_SECONDS).record(began.elapsed().as_secs_f64());
    let Swept { payments_expired, checkouts_expired, checkouts_removed } = all;
    for (what, count) in [
        ("payments_expired", payments_expired),
        ("checkouts_expired", checkouts_expired),
        ("checkouts_removed", checkouts_removed),
    ] {
        metrics::counter!(telemetry::MONEY_SWEPT, "what" => what).increment(count);
    }
    if !all.is_nothing() {
        tracing::info!(
            payments_expired,
            checkouts_expired,
            checkouts_removed,
            "swept checkouts and payments"
        );
    }
    Ok(all)
}

async fn step(money: &Money) -> Result<Swept, StoreError> {
    let payments = money.payments.sweep(BATCH).await?;
    let checkouts = money.checkouts.sweep(BATCH).await?;
    Ok(Swept {
        payments_expired: payments as u64,
        checkouts_expired: checkouts.expired,
        checkouts_removed: checkouts.deleted,
    })
}
