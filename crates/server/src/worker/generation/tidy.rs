//! Removes what nobody changed for 30 days, and finds work that no index knows of: whatever died between a value and its
//! index, the value is the truth. A way round is many bounded steps with rests between them, so that a store with many
//! values is not kept busy by it.

use super::GenerationWorkers;
use crate::admin::SweepRun;
use crate::stores::reason_of;
use crate::sweeper::jittered;
use crate::worker::pace::{Complaints, Stopping, round_done};
use sessile_core::StoreError;
use sessile_core::generation::Tidied;
use std::time::Duration;
use tokio::time::Instant;

/// Values that one step looks at.
const BATCH: usize = 500;
/// Soon after the start: what the process before us left lying is found.
const FIRST: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(60);
/// Between two steps of one way round: so many times as long as the step took, within these limits.
const REST: u32 = 10;
const REST_MIN: Duration = Duration::from_millis(200);
/// How long one step may take.
const STEP_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(workers: GenerationWorkers, mut stopping: Stopping) {
    let mut complaints = Complaints::new("generation_tidy");
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(jittered(pause, &*workers.0.entropy)) => {}
            () = stopping.asked() => return,
        }
        let step = workers.0.jobs.store().tidy(workers.0.clock.now(), BATCH);
        let began = Instant::now();
        let done = tokio::time::timeout(STEP_MAX, step).await.map_err(StoreError::unavailable).flatten();
        workers.0.watch.swept(SweepRun {
            what: "Paid jobs",
            at: workers.0.clock.now(),
            took: began.elapsed(),
            outcome: done.as_ref().map(counts).map_err(reason_of),
        });
        pause = match done {
            Ok(tidied) => {
                complaints.over();
                round_done("generation_tidy");
                if tidied.found > 0 {
                    tracing::info!(found = tidied.found, "work was found that no index knew of");
                    workers.0.bells.work.notify_one();
                    workers.0.bells.news.notify_one();
                }
                if tidied.removed > 0 {
                    tracing::info!(
                        removed = tidied.removed,
                        "generation sessions that were over were removed"
                    );
                }
                let rest = (began.elapsed() * REST).clamp(REST_MIN, EVERY);
                if tidied.more { rest } else { EVERY }
            }
            Err(error) => {
                complaints.failed(&error);
                EVERY
            }
        };
    }
}

fn counts(tidied: &Tidied) -> Vec<(&'static str, u64)> {
    vec![("removed", tidied.removed), ("found without an index", tidied.found)]
}
