//! The pace of a worker: rounds with jittered pauses, on after an error, and an end when it is asked for.

use super::Workers;
use crate::stores::reason_of;
use crate::sweeper::jittered;
use crate::telemetry;
use sessile_core::StoreError;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// After a failed round at least so long until the next.
const ERROR_PAUSE: Duration = Duration::from_secs(5);
/// A worker that keeps failing says so this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Whether the workers were asked to stop.
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(super) fn new(asked: watch::Receiver<bool>) -> Self {
        Self(asked)
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Completes when it is asked for, or when nobody is left to ask.
    pub(super) async fn asked(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// When the next round is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There was more than one round could take.
    AtOnce,
    /// After the usual pause.
    Later,
}

/// How a worker goes about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// For logs and metrics.
    pub(super) worker: &'static str,
    /// Before the first round.
    pub(super) first: Duration,
    /// Between two rounds.
    pub(super) every: Duration,
    /// How long one may take.
    pub(super) round_max: Duration,
}

/// Round after round until it is asked to stop. A round that is cut off then is one that anybody may repeat.
pub(super) async fn rounds<R>(
    workers: &Workers,
    pace: Pace,
    mut stopping: Stopping,
    round: impl Fn() -> R + Send,
) where
    R: Future<Output = Result<Next, StoreError>> + Send,
{
    let mut complaints = Complaints::new(pace.worker);
    let mut pause = jittered(pace.first, &*workers.0.entropy);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.asked() => return,
        }
        let done = tokio::select! {
            done = tokio::time::timeout(pace.round_max, round()) => done,
            () = stopping.asked() => return,
        };
        pause = match done.map_err(StoreError::unavailable).flatten() {
            Ok(next) => {
                complaints.over();
                round_done(pace.worker);
                if next == Next::AtOnce { Duration::ZERO } else { jittered(pace.every, &*workers.0.entropy) }
            }
            Err(error) => {
                complaints.failed(&error);
                jittered(pace.every.max(ERROR_PAUSE), &*workers.0.entropy)
            }
        };
    }
}

/// A worker has finished a round.
pub(super) fn round_done(worker: &'static str) {
    metrics::counter!(telemetry::WORKER_ROUNDS, "worker" => worker).increment(1);
}

/// Says that a worker fails, and not every time.
pub(super) struct Complaints {
    worker: &'static str,
    failures: u64,
    said: Option<Instant>,
}

impl Complaints {
    pub(super) fn new(worker: &'static str) -> Self {
        Self { worker, failures: 0, said: None }
    }

    pub(super) fn failed(&mut self, error: &StoreError) {
        metrics::counter!(telemetry::WORKER_ERRORS, "worker" => self.worker).increment(1);
        self.failures += 1;
        if self.said.is_none_or(|said| said.elapsed() >= COMPLAINT_INTERVAL) {
            self.said = Some(Instant::now());
            let (worker, failures) = (self.worker, self.failures);
            tracing::warn!(
                worker,
                failures,
                error = reason_of(error),
                "a worker's round failed; the next one comes"
            );
        }
    }

    pub(super) fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(worker = self.worker, failures = self.failures, "the worker goes on");
        }
        (self.failures, self.said) = (0, None);
    }
}
