//! Removes what nobody changed for 30 days, and finds work that no index knows of: whatever died between a value and its
//! index, the value is the truth.

use super::GenerationWorkers;
use crate::sweeper::jittered;
use crate::worker::pace::{Complaints, Stopping};
use sessile_core::StoreError;
use std::time::Duration;

/// Values that one step looks at.
const BATCH: usize = 500;
/// Soon after the start: what the process before us left lying is found.
const FIRST: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(60);
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
        let done = tokio::time::timeout(STEP_MAX, step).await.map_err(StoreError::unavailable).flatten();
        pause = match done {
            Ok(tidied) => {
                complaints.over();
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
                if tidied.removed >= BATCH as u64 { Duration::ZERO } else { EVERY }
            }
            Err(error) => {
                complaints.failed(&error);
                EVERY
            }
        };
    }
}
