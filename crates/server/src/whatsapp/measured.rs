//! The store of devices, with a stop-watch: every call goes through unchanged; how long loads and steps took, and what became
//! of steps, is counted on the way.

use crate::telemetry;
use async_trait::async_trait;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, Epoch, OwnerId,
    Step, StoreInfo, Wanted,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Answer<T> = Result<T, DeviceStoreError>;

/// Devices, measured.
pub(crate) struct Measured {
    inner: Arc<dyn DeviceStore>,
    loads: metrics::Histogram,
    commits: metrics::Histogram,
}

impl Measured {
    pub(crate) fn new(inner: Arc<dyn DeviceStore>) -> Self {
        let of = |call| metrics::histogram!(telemetry::STORE_SECONDS, "store" => "whatsapp", "call" => call);
        Self { inner, loads: of("load"), commits: of("commit") }
    }
}

async fn timed<T>(watch: &metrics::Histogram, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let answer = work.await;
    watch.record(began.elapsed().as_secs_f64());
    answer
}

/// As a label.
fn outcome(committed: &Answer<Committed>) -> &'static str {
    match committed {
        Ok(_) => "stored",
        Err(DeviceStoreError::Unavailable(_)) => "unavailable",
        Err(_) => "refused",
    }
}

#[async_trait]
impl DeviceStore for Measured {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn ping(&self) -> Answer<()> {
        self.inner.ping().await
    }

    async fn acquire(&self, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        self.inner.acquire(device, owner, ttl).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        self.inner.renew(device, epoch, ttl).await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.inner.release(device, epoch).await
    }

    async fn head(&self, device: &DeviceId) -> Answer<Option<DeviceHead>> {
        self.inner.head(device).await
    }

    async fn load(&self, device: &DeviceId) -> Answer<Option<DeviceState>> {
        timed(&self.loads, self.inner.load(device)).await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Answer<Committed> {
        let committed = timed(&self.commits, self.inner.commit_step(device, step)).await;
        metrics::counter!(telemetry::WHATSAPP_STEPS, "outcome" => outcome(&committed)).increment(1);
        committed
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Answer<()> {
        self.inner.want(device, wanted).await
    }

    async fn adopt(&self, state: &DeviceState, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        self.inner.adopt(state, owner, ttl).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Answer<()> {
        self.inner.retire(device, epoch, to).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.inner.destroy(device, epoch).await
    }

    async fn list(&self) -> Answer<Vec<DeviceHead>> {
        self.inner.list().await
    }

    async fn remove_unused(&self, before: Timestamp) -> Answer<u64> {
        self.inner.remove_unused(before).await
    }
}
