//! The store of WhatsApp devices, with a stop-watch: how long steps took, and how many of them were stored. A device whose
//! steps are not stored stops sending, so this share is what an operator looks at.

use super::measured::Meter;
use super::{Call, Watch};
use crate::telemetry;
use async_trait::async_trait;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, Epoch, OwnerId,
    Step, StoreInfo, Wanted,
};
use std::sync::Arc;
use std::time::Duration;

/// WhatsApp devices, measured.
pub(crate) struct MeasuredDevices {
    inner: Arc<dyn DeviceStore>,
    meter: Meter,
}

impl MeasuredDevices {
    pub(crate) fn new(inner: Arc<dyn DeviceStore>, watch: Arc<Watch>) -> Self {
        Self { inner, meter: Meter::new(watch, "whatsapp") }
    }
}

/// As a label.
const fn outcome(committed: &Result<Committed, DeviceStoreError>) -> &'static str {
    match committed {
        Ok(_) => "stored",
        Err(DeviceStoreError::Unavailable(_)) => "unavailable",
        Err(_) => "refused",
    }
}

#[async_trait]
impl DeviceStore for MeasuredDevices {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn ping(&self) -> Result<(), DeviceStoreError> {
        self.inner.ping().await
    }

    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        self.inner.acquire(device, owner, ttl).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        self.inner.renew(device, epoch, ttl).await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        self.inner.release(device, epoch).await
    }

    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        self.inner.head(device).await
    }

    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        self.meter.time(Call::Load, self.inner.load(device)).await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        let answer = self.meter.time(Call::Commit, self.inner.commit_step(device, step)).await;
        self.meter.watch().step_tried();
        if answer.is_ok() {
            self.meter.watch().step_stored();
        }
        metrics::counter!(telemetry::WHATSAPP_STEPS, "outcome" => outcome(&answer)).increment(1);
        answer
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        self.inner.want(device, wanted).await
    }

    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        self.inner.adopt(state, owner, ttl).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        self.inner.retire(device, epoch, to).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        self.inner.destroy(device, epoch).await
    }

    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        self.inner.list().await
    }

    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        self.inner.remove_unused(before).await
    }
}
