//! A store whose calls fail on demand: before the write, or after it, when the write has landed and only the reply
//! is lost. Wraps any engine; tests of services loop over N = 1, 2, 3… until no fault fires, tests of outages switch it
//! off and on.

use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId, LoginStore, Lookup,
    NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the failing call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing is written.
    BeforeTheWrite,
    /// The write lands; its reply is lost.
    AfterTheWrite,
}

/// Which call fails, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The N-th call, from 1.
    pub call: u64,
    /// Before or after the write.
    pub moment: Moment,
}

/// What happens to calls on their way to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// One of them fails.
    Once(Fault),
    /// All of them fail.
    Always(Moment),
}

/// The way to a store, with trouble on it. Every kind's faulty store has one.
pub(crate) struct Way {
    trouble: Mutex<Trouble>,
    calls: AtomicU64,
}

impl Way {
    pub(crate) const fn with(trouble: Trouble) -> Self {
        Self { trouble: Mutex::new(trouble), calls: AtomicU64::new(0) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn has_fired(&self) -> bool {
        match *self.trouble.lock() {
            Trouble::None => false,
            Trouble::Once(fault) => self.calls() >= fault.call,
            Trouble::Always(_) => self.calls() > 0,
        }
    }

    pub(crate) async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let trouble = *self.trouble.lock();
        let moment = match trouble {
            Trouble::Once(fault) if fault.call == number => fault.moment,
            Trouble::Always(moment) => moment,
            Trouble::None | Trouble::Once(_) => return call.await,
        };
        if moment == Moment::AfterTheWrite {
            // Whatever the engine says is lost on the way.
            drop(call.await);
        }
        Err(StoreError::unavailable(format!("call {number} failed as the test asked")))
    }
}

/// Any engine, with trouble on the way to it.
pub struct FaultyStore {
    inner: Arc<dyn LoginStore>,
    way: Way,
}

impl FaultyStore {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn LoginStore>, trouble: Trouble) -> Self {
        Self { inner, way: Way::with(trouble) }
    }

    /// From now on.
    pub fn set(&self, trouble: Trouble) {
        *self.way.trouble.lock() = trouble;
    }

    /// Whether there were calls enough for the fault to happen.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.way.has_fired()
    }
}

#[async_trait]
impl LoginStore for FaultyStore {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.way.pass(self.inner.create(login, now)).await
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.way.pass(self.inner.load(id, now)).await
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.way.pass(self.inner.commit(change, now)).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.way.pass(self.inner.touch(id, expires_at, now)).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.way.pass(self.inner.replace(old, retires_at, login, now)).await
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.way.pass(self.inner.destroy(id, reason, now)).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.way.pass(self.inner.list(user, now)).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.way.pass(self.inner.revoke(user, handle, now)).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.way.pass(self.inner.revoke_all(user, except, now)).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.way.pass(self.inner.sweep(now, batch)).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.way.pass(self.inner.count(now)).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.way.pass(self.inner.events(limit)).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.way.pass(self.inner.settle(events)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.way.pass(self.inner.ping()).await
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }
}
