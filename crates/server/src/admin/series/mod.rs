//! What this process saw happen, for the dashboard: counters, sampled into rings of fixed size, and the sweeps.
//!
//! Fed by the stores' wrappers ([`measured`]), the workers and one route; the same moments are counted for Prometheus,
//! which is where numbers of many processes and of more than a day belong. Nothing here is stored.

mod devices;
mod measured;
mod ring;
mod sweeps;
mod tally;

pub(crate) use devices::MeasuredDevices;
pub(crate) use measured::{MeasuredGenerations, MeasuredLedger, MeasuredLogins};
pub(crate) use ring::{Sample, Span};
pub(crate) use sweeps::{SweepLog, SweepRun};
pub(crate) use tally::{Call, Mark, Subject};

use crate::telemetry;
use ring::{FINE_EVERY, Rings};
use sessile_core::{Clock, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tally::Tally;

/// What this process saw.
pub(crate) struct Watch {
    tally: Tally,
    clock: Arc<dyn Clock>,
    began: Timestamp,
    rings: Mutex<Rings>,
    sweeps: Mutex<SweepLog>,
    recoveries: AtomicU64,
    recovered: AtomicU64,
    steps: AtomicU64,
    steps_stored: AtomicU64,
}

impl Watch {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let tally = Tally::new();
        Self {
            rings: Mutex::new(Rings::new(tally.read())),
            tally,
            began: clock.now(),
            clock,
            sweeps: Mutex::default(),
            recoveries: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            steps_stored: AtomicU64::new(0),
        }
    }

    /// When this process began to look.
    pub(crate) const fn began(&self) -> Timestamp {
        self.began
    }

    /// Something became of `count` sessions.
    pub(crate) fn marked(&self, subject: Subject, mark: Mark, count: u64) {
        if count > 0 {
            self.tally.mark(subject, mark, count);
            metrics::counter!(telemetry::MARKS, "kind" => subject.name(), "mark" => mark.name())
                .increment(count);
        }
    }

    /// A store answered.
    pub(crate) fn called(&self, call: Call, took: Duration) {
        self.tally.call(call, took);
    }

    /// Somebody tried to continue an expired checkout.
    pub(crate) fn recovery_tried(&self) {
        self.recoveries.fetch_add(1, Relaxed);
    }

    /// And could.
    pub(crate) fn recovery_succeeded(&self) {
        self.recovered.fetch_add(1, Relaxed);
    }

    /// How many tried to continue an expired checkout, and how many of them could.
    pub(crate) fn recoveries(&self) -> (u64, u64) {
        (self.recoveries.load(Relaxed), self.recovered.load(Relaxed))
    }

    /// A WhatsApp device's keys changed, and the change was offered to its store.
    pub(crate) fn step_tried(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// And is stored.
    pub(crate) fn step_stored(&self) {
        self.steps_stored.fetch_add(1, Relaxed);
    }

    /// How many changes of devices' keys were offered to the store, and how many of them are stored.
    pub(crate) fn steps(&self) -> (u64, u64) {
        (self.steps.load(Relaxed), self.steps_stored.load(Relaxed))
    }

    /// A sweep ended.
    pub(crate) fn swept(&self, run: SweepRun) {
        lock(&self.sweeps).take(run);
    }

    /// The sweeps so far.
    pub(crate) fn sweeps(&self) -> SweepLog {
        lock(&self.sweeps).clone()
    }

    /// Takes one sample.
    pub(crate) fn sample(&self) {
        lock(&self.rings).take(self.clock.now(), self.tally.read());
    }

    /// The samples of a span, the oldest first.
    pub(crate) fn samples(&self, span: Span) -> Vec<Sample> {
        lock(&self.rings).samples(span, self.clock.now())
    }

    /// Samples until the future is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FINE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first tick is now, when nothing has happened yet.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.sample();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
