//! One device that this process owns behind its journal: how far the database has it, and how it stands.

use super::Answer;
use parking_lot::Mutex;
use sessile_core::whatsapp::{
    DeviceId, DeviceStoreError, Epoch, Lease, LeaseStanding, Step, Version, Wanted,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Steps kept in memory until the database has them; beyond, they are read from the journal again.
const WAITING_MAX: usize = 1024;

/// How a device stands, for whoever owns it and for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What the database said last, and since when (by the pace's clock) it does not take our steps.
    pub degraded: Option<(Duration, String)>,
    /// Steps in the journal that the database does not have.
    pub unsettled: u64,
    /// The epoch that the database gave us.
    pub epoch: Epoch,
    /// The newest step here.
    pub version: Version,
    /// The database's lease, by our clock. With several nodes, whoever finds it given up disconnects.
    pub lease: LeaseStanding,
    /// Why this owner may write no more.
    pub ended: Option<String>,
}

/// One owned device.
pub(super) struct Line {
    pub(super) device: DeviceId,
    pub(super) local_epoch: Epoch,
    pub(super) remote_epoch: Epoch,
    /// Whoever holds it talks to the database about steps.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whether a task is at it.
    pub(super) is_draining: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    settled: Version,
    last: Version,
    waiting: VecDeque<Arc<Step>>,
    /// Whether it should run, as was noted while the database was away.
    wanted: Option<Wanted>,
    degraded: Option<(Duration, String)>,
    lease: Lease,
    ended: Option<String>,
}

/// Where the next step for the database is.
pub(super) enum Next {
    /// The database has everything.
    None,
    /// It is this one.
    Step(Arc<Step>),
    /// In the journal, after this version.
    InJournal(Version),
}

impl Line {
    pub(super) fn new(
        device: &DeviceId,
        (local_epoch, remote_epoch): (Epoch, Epoch),
        (settled, last): (Version, Version),
        asked_at: Duration,
    ) -> Self {
        let lease = Lease::granted(asked_at);
        let inner = Inner {
            settled,
            last,
            waiting: VecDeque::new(),
            wanted: None,
            degraded: None,
            lease,
            ended: None,
        };
        Self {
            device: device.clone(),
            local_epoch,
            remote_epoch,
            turn: tokio::sync::Mutex::new(()),
            is_draining: AtomicBool::new(false),
            inner: Mutex::new(inner),
        }
    }

    /// A step is in the journal.
    pub(super) fn note(&self, step: &Step) {
        let mut inner = self.inner.lock();
        if step.version.0 != inner.last.0 + 1 {
            return;
        }
        // Only without a gap: what was left out has to come from the journal first.
        let follows = inner.waiting.back().map_or(inner.settled, |last| last.version) == inner.last;
        inner.last = step.version;
        if follows && inner.waiting.len() < WAITING_MAX {
            inner.waiting.push_back(Arc::new(step.clone()));
        }
    }

    pub(super) fn next(&self) -> Next {
        let inner = self.inner.lock();
        match inner.waiting.front() {
            Some(step) => Next::Step(step.clone()),
            None if inner.settled < inner.last => Next::InJournal(inner.settled),
            None => Next::None,
        }
    }

    /// What the journal has; ignored when somebody was faster.
    pub(super) fn refill(&self, steps: Vec<Step>) {
        let mut inner = self.inner.lock();
        if inner.waiting.is_empty() && steps.first().is_some_and(|step| step.version.0 == inner.settled.0 + 1)
        {
            inner.waiting.extend(steps.into_iter().map(Arc::new));
        }
    }

    /// The database has everything up to `version`.
    pub(super) fn settle(&self, version: Version) {
        let mut inner = self.inner.lock();
        inner.settled = inner.settled.max(version);
        let settled = inner.settled;
        inner.waiting.retain(|step| step.version > settled);
        inner.degraded = None;
    }

    pub(super) fn settled(&self) -> Version {
        self.inner.lock().settled
    }

    /// Notes what the database has to be told; `None`: it was.
    pub(super) fn set_wanted(&self, wanted: Option<Wanted>) {
        self.inner.lock().wanted = wanted;
    }

    pub(super) fn wanted(&self) -> Option<Wanted> {
        self.inner.lock().wanted
    }

    pub(super) fn has_backlog(&self) -> bool {
        let inner = self.inner.lock();
        inner.settled < inner.last
    }

    pub(super) fn granted(&self, asked_at: Duration) {
        let mut inner = self.inner.lock();
        inner.lease = inner.lease.or_later(Lease::granted(asked_at));
        if inner.settled == inner.last {
            inner.degraded = None;
        }
    }

    /// Notes what the database said; whether it was well before.
    pub(super) fn degrade(&self, now: Duration, error: &DeviceStoreError) -> bool {
        let mut inner = self.inner.lock();
        let what = match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let before = inner.degraded.take();
        let is_new = before.is_none();
        inner.degraded = Some((before.map_or(now, |(since, _)| since), what));
        is_new
    }

    /// Ends it; says whether it had not ended before.
    pub(super) fn end(&self, why: &str) -> bool {
        let mut inner = self.inner.lock();
        let first = inner.ended.is_none();
        inner.ended.get_or_insert_with(|| why.to_owned());
        first
    }

    pub(super) fn has_ended(&self) -> bool {
        self.inner.lock().ended.is_some()
    }

    pub(super) fn check_ended(&self) -> Answer<()> {
        if self.has_ended() {
            return Err(DeviceStoreError::Fenced { ours: self.local_epoch.0, now: self.local_epoch.0 + 1 });
        }
        Ok(())
    }

    pub(super) fn standing(&self, now: Duration) -> Standing {
        let inner = self.inner.lock();
        Standing {
            degraded: inner.degraded.clone(),
            unsettled: inner.last.0 - inner.settled.0,
            epoch: self.remote_epoch,
            version: inner.last,
            lease: inner.lease.at(now),
            ended: inner.ended.clone(),
        }
    }
}
