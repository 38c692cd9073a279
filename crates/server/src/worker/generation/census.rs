//! Counting paid jobs, for metrics: by a worker at its own pace, so that a scrape costs the store nothing.

use super::GenerationWorkers;
use crate::sweeper::jittered;
use crate::telemetry;
use crate::worker::pace::{Complaints, Stopping, round_done};
use sessile_core::generation::{Status, Tally};
use sessile_core::{StoreError, Timestamp};
use std::time::Duration;

/// How often is counted.
const EVERY: Duration = Duration::from_secs(15);
/// The first count comes soon, so that a fresh process is not taken for an empty one.
const FIRST: Duration = Duration::from_secs(1);
/// How long counting may take.
const COUNT_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(workers: GenerationWorkers, mut stopping: Stopping) {
    let mut complaints = Complaints::new("generation_census");
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(pause, &*workers.0.entropy)) => {}
            () = stopping.asked() => return,
        }
        pause = EVERY;
        let counted = tokio::time::timeout(COUNT_MAX, workers.count()).await;
        match counted.map_err(StoreError::unavailable).flatten() {
            Ok(_) => {
                complaints.over();
                round_done("generation_census");
            }
            Err(error) => complaints.failed(&error),
        }
    }
}

impl GenerationWorkers {
    /// Counts, and shows it as metrics.
    ///
    /// # Errors
    /// [`StoreError`] when the store did not answer.
    pub async fn count(&self) -> Result<Tally, StoreError> {
        let now = self.0.clock.now();
        let tally = self.0.jobs.store().tally(now).await?;
        show(&tally, now);
        Ok(tally)
    }
}

fn show(tally: &Tally, now: Timestamp) {
    for status in Status::ALL {
        let jobs = tally.jobs.iter().find(|(other, _)| *other == status).map_or(0, |(_, jobs)| *jobs);
        metrics::gauge!(telemetry::JOBS, "state" => status.name()).set(jobs as f64);
    }
    for (what, jobs) in [("refund_due", tally.refunds_due), ("refund_ordered", tally.refunds_ordered)] {
        metrics::gauge!(telemetry::JOBS_ATTENTION, "what" => what).set(jobs as f64);
    }
    let age = |since: Option<Timestamp>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
    metrics::gauge!(telemetry::JOBS_LATE).set(age(tally.work_since));
    metrics::gauge!(telemetry::STRIPE_WAITING).set(tally.waiting as f64);
    metrics::gauge!(telemetry::STRIPE_WAITING_AGE).set(age(tally.waiting_since));
}
