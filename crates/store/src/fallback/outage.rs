//! Whether the primary answers, and the way from one state to the next.
//!
//! `Clear -> Down` when a call ends unanswered, `Down -> Draining` when the primary answers again,
//! `Draining -> Clear` when nothing is spooled any more. Only the last step can strand a session, so it waits until
//! no call that may spool is under way.

use parking_lot::Mutex;
use sessile_core::login::LoginId;
use sessile_core::{StoreError, Timestamp};
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, Notify, RwLock, RwLockReadGuard};

/// Locks for ids; two ids that share one only wait for each other.
const GUARDS: usize = 256;

/// What is known of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It answers and nothing is spooled.
    Clear,
    /// It answers; sessions are being handed to it.
    Draining,
    /// It does not answer.
    Down,
}

const CLEAR: u8 = 0;
const DRAINING: u8 = 1;
const DOWN: u8 = 2;

struct Outage {
    why: String,
    since: Timestamp,
}

pub(super) struct State {
    mode: AtomicU8,
    outage: Mutex<Option<Outage>>,
    gate: RwLock<()>,
    guards: Box<[AsyncMutex<()>]>,
    hasher: RandomState,
    wake: Notify,
}

impl State {
    pub(super) fn clear() -> Self {
        Self {
            mode: AtomicU8::new(CLEAR),
            outage: Mutex::new(None),
            gate: RwLock::new(()),
            guards: (0..GUARDS).map(|_| AsyncMutex::new(())).collect(),
            hasher: RandomState::new(),
            wake: Notify::new(),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Acquire) {
            CLEAR => Mode::Clear,
            DRAINING => Mode::Draining,
            _ => Mode::Down,
        }
    }

    /// The primary did not answer.
    pub(super) fn fall(&self, error: &StoreError, now: Timestamp) {
        self.begin(&innermost(error), now);
        self.mode.store(DOWN, Ordering::Release);
        self.wake.notify_one();
    }

    /// Something is spooled from the start.
    pub(super) fn begin_draining(&self, why: &str, now: Timestamp) {
        self.begin(why, now);
        self.mode.store(DOWN, Ordering::Release);
        self.wake.notify_one();
    }

    /// Says it loudly, once per outage.
    fn begin(&self, why: &str, now: Timestamp) {
        let mut outage = self.outage.lock();
        if outage.is_none() {
            tracing::error!(
                why,
                "DEGRADED: session storage does not answer; new sign-ins and logouts are kept in a local file until it does"
            );
            *outage = Some(Outage { why: why.to_owned(), since: now });
        }
    }

    /// The primary answers again.
    pub(super) fn rise(&self) {
        if self.mode.compare_exchange(DOWN, DRAINING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            tracing::warn!("session storage answers again; handing it what was kept locally");
        }
    }

    /// Held by every call that may spool. While it is, the mode does not become clear; if it became so just before,
    /// it is taken back.
    pub(super) async fn enter(&self, now: Timestamp) -> RwLockReadGuard<'_, ()> {
        let entered = self.gate.read().await;
        if self.mode.compare_exchange(CLEAR, DRAINING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.begin("a call was not answered", now);
            self.wake.notify_one();
        }
        entered
    }

    /// Ends the outage if `is_empty` holds while no call can spool; says whether it did.
    pub(super) async fn try_clear(&self, is_empty: impl FnOnce() -> bool) -> Mode {
        let _alone = self.gate.write().await;
        let over = is_empty()
            && self.mode.compare_exchange(DRAINING, CLEAR, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if over && let Some(outage) = self.outage.lock().take() {
            tracing::warn!(since = %outage.since, "session storage is whole again; nothing is kept locally any more");
        }
        self.mode()
    }

    /// Keeps everybody else from changing this id.
    pub(super) async fn guard(&self, id: &LoginId) -> MutexGuard<'_, ()> {
        let place = self.hasher.hash_one(id) % GUARDS as u64;
        // Below GUARDS, whatever the platform.
        self.guards[usize::try_from(place).unwrap_or_default()].lock().await
    }

    /// Why and since when the primary is not alone in use; `None` when it is.
    pub(super) fn reason(&self) -> Option<String> {
        self.outage.lock().as_ref().map(|outage| format!("since {}: {}", outage.since, outage.why))
    }

    /// What a call is told that needs the primary.
    pub(super) fn unavailable(&self) -> StoreError {
        let why = self.reason().unwrap_or_else(|| "session storage does not answer".to_owned());
        StoreError::unavailable(why)
    }

    /// Waits for an outage to begin.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

fn innermost(error: &StoreError) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
