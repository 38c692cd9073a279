//! The work itself: videos are asked for, watched and concluded, refunds are made. A few tasks take jobs side by side, so
//! that one slow answer does not hold up the others.

use super::GenerationWorkers;
use crate::sweeper::jittered;
use crate::worker::pace::{Complaints, Stopping, round_done};
use std::time::Duration;

/// Tasks of one process.
pub(super) const TASKS: usize = 4;
/// Jobs that one task takes at once.
const JOBS: usize = 8;
/// How often an idle task looks.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const ERROR_PAUSE: Duration = Duration::from_secs(5);

/// A round that was begun is finished: what it is about to do was recorded.
pub(super) async fn run(workers: GenerationWorkers, mut stopping: Stopping) {
    let Some(providers) = &workers.0.providers else { return };
    let mut complaints = Complaints::new("generation_work");
    while !stopping.is_asked() {
        let done = workers.0.jobs.work(&providers.generator, &providers.refunder, JOBS).await;
        let pause = match done {
            Ok(count) => {
                complaints.over();
                round_done("generation_work");
                match count {
                    0 => POLL_INTERVAL,
                    JOBS => {
                        // There may be more than one task can take.
                        workers.0.bells.work.notify_one();
                        continue;
                    }
                    _ => continue,
                }
            }
            Err(error) => {
                complaints.failed(&error);
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(jittered(pause, &*workers.0.entropy)) => {}
            () = workers.0.bells.work.notified() => {}
            () = stopping.asked() => {}
        }
    }
}
