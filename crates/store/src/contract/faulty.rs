//! A store whose calls fail on demand: before the write, or after it, when the write has landed and only the reply
//! is lost. Wraps any engine; tests of services loop over N = 1, 2, 3… until no fault fires.

use async_trait::async_trait;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginEvent, LoginId, LoginStore, Lookup, NewLogin,
    Revoked, StoreInfo, Stored, Swept, UserId,
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

/// Any engine, with one fault in it.
pub struct FaultyStore {
    inner: Arc<dyn LoginStore>,
    fault: Fault,
    calls: AtomicU64,
}

impl FaultyStore {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn LoginStore>, fault: Fault) -> Self {
        Self { inner, fault, calls: AtomicU64::new(0) }
    }

    /// Whether there were calls enough for the fault to happen.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.fault.call
    }

    async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if number != self.fault.call {
            return call.await;
        }
        if self.fault.moment == Moment::AfterTheWrite {
            // Whatever the engine says is lost on the way.
            drop(call.await);
        }
        Err(StoreError::unavailable(format!("call {number} failed as the test asked")))
    }
}

#[async_trait]
impl LoginStore for FaultyStore {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.pass(self.inner.create(login, now)).await
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.pass(self.inner.load(id, now)).await
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.pass(self.inner.commit(change, now)).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.pass(self.inner.touch(id, expires_at, now)).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.pass(self.inner.replace(old, retires_at, login, now)).await
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.pass(self.inner.destroy(id, reason, now)).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.pass(self.inner.list(user, now)).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.pass(self.inner.revoke(user, handle, now)).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.pass(self.inner.revoke_all(user, except, now)).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.pass(self.inner.sweep(now, batch)).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.pass(self.inner.events(limit)).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.pass(self.inner.settle(events)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.pass(self.inner.ping()).await
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }
}
