//! A device store whose calls fail on demand: before the write, or after it, when only the reply is lost. Wraps any
//! engine; tests of the vault, of migration and of the client loop over N = 1, 2, 3… until no fault fires.

use super::super::{Fault, Moment};
use async_trait::async_trait;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, Epoch, OwnerId,
    Step, StoreInfo, Wanted,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Any engine, with faults in it.
pub struct FaultyDevices {
    inner: Arc<dyn DeviceStore>,
    fault: Fault,
    /// How many calls fail from the faulty one on.
    length: u64,
    calls: AtomicU64,
}

impl FaultyDevices {
    /// Wraps `inner`; one call fails.
    #[must_use]
    pub fn new(inner: Arc<dyn DeviceStore>, fault: Fault) -> Self {
        Self::lasting(inner, fault, 1)
    }

    /// Wraps `inner`; `length` calls fail, one after the other.
    #[must_use]
    pub fn lasting(inner: Arc<dyn DeviceStore>, fault: Fault, length: u64) -> Self {
        Self { inner, fault, length, calls: AtomicU64::new(0) }
    }

    /// Whether there were calls enough for the fault to happen.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.calls() >= self.fault.call
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, DeviceStoreError>> + Send,
    ) -> Result<T, DeviceStoreError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let is_faulty = (self.fault.call..self.fault.call + self.length).contains(&number);
        let lost = DeviceStoreError::unavailable(format!("call {number} failed as the test asked"));
        let answer = match (is_faulty, self.fault.moment) {
            (false, _) => call.await,
            (true, Moment::BeforeTheWrite) => Err(lost),
            // Whatever the engine says is lost on the way.
            (true, Moment::AfterTheWrite) => {
                drop(call.await);
                Err(lost)
            }
        };
        // No answer comes in the moment of asking, not even memory's.
        tokio::task::yield_now().await;
        answer
    }
}

#[async_trait]
impl DeviceStore for FaultyDevices {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn ping(&self) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.ping()).await
    }

    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        self.pass(self.inner.acquire(device, owner, ttl)).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.renew(device, epoch, ttl)).await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.release(device, epoch)).await
    }

    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        self.pass(self.inner.head(device)).await
    }

    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        self.pass(self.inner.load(device)).await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        self.pass(self.inner.commit_step(device, step)).await
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.want(device, wanted)).await
    }

    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        self.pass(self.inner.adopt(state, owner, ttl)).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.retire(device, epoch, to)).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        self.pass(self.inner.destroy(device, epoch)).await
    }

    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        self.pass(self.inner.list()).await
    }

    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        self.pass(self.inner.remove_unused(before)).await
    }
}
