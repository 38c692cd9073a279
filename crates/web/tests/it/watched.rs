//! A store that counts what it is asked, and can be told to be away.

use async_trait::async_trait;
use sessile::{DeviceHandle, LoginStore, Revoked, StoreError, Timestamp, UserId};
use sessile_core::login::{
    EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId, Lookup, NewLogin, StoreInfo,
    Stored, Swept,
};
use sessile_store::LoginOptions;
use sessile_store::memory::MemoryLogins;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What the store refuses to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Away {
    Never,
    Loads,
    Writes,
    /// Not away, but every write takes a while, so that other tasks go on meanwhile.
    SlowWrites,
}

#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) loads: AtomicUsize,
    pub(crate) creates: AtomicUsize,
    pub(crate) commits: AtomicUsize,
    pub(crate) touches: AtomicUsize,
    pub(crate) replaces: AtomicUsize,
    pub(crate) destroys: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct WatchedStore {
    pub(crate) inner: MemoryLogins,
    pub(crate) calls: Calls,
    away: parking_lot::Mutex<Away>,
    pub(crate) corrupt: parking_lot::Mutex<Option<String>>,
}

impl WatchedStore {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryLogins::new(LoginOptions::default()),
            calls: Calls::default(),
            away: parking_lot::Mutex::new(Away::Never),
            corrupt: parking_lot::Mutex::new(None),
        }
    }

    pub(crate) fn is_away(&self, away: Away) {
        *self.away.lock() = away;
    }

    /// Loads, and all writes.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let c = &self.calls;
        let writes = [&c.creates, &c.commits, &c.touches, &c.replaces, &c.destroys];
        (c.loads.load(SeqCst), writes.iter().map(|n| n.load(SeqCst)).sum())
    }

    async fn count(&self, calls: &AtomicUsize, kind: Away) -> Result<(), StoreError> {
        calls.fetch_add(1, SeqCst);
        let away = *self.away.lock();
        if away == Away::SlowWrites && kind == Away::Writes {
            tokio::task::yield_now().await;
        }
        if away == kind {
            let cause = std::io::Error::other("connection refused by db-7");
            return Err(StoreError::unavailable(cause));
        }
        Ok(())
    }
}

#[async_trait]
impl LoginStore for WatchedStore {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.count(&self.calls.creates, Away::Writes).await?;
        self.inner.create(login, now).await
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.count(&self.calls.loads, Away::Loads).await?;
        if let Some(place) = self.corrupt.lock().clone() {
            return Ok(Lookup::Absent(sessile_core::login::Absence::Undecodable(place)));
        }
        self.inner.load(id, now).await
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.count(&self.calls.commits, Away::Writes).await?;
        self.inner.commit(change, now).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.count(&self.calls.touches, Away::Writes).await?;
        self.inner.touch(id, expires_at, now).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.count(&self.calls.replaces, Away::Writes).await?;
        self.inner.replace(old, retires_at, login, now).await
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.count(&self.calls.destroys, Away::Writes).await?;
        self.inner.destroy(id, reason, now).await
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.inner.list(user, now).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.inner.revoke(user, handle, now).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.inner.revoke_all(user, except, now).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.inner.sweep(now, batch).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.inner.count(now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.inner.events(limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.inner.settle(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }
}
