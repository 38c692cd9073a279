//! WhatsApp devices in memory: for tests, and the plainest statement of the contract.

use super::rules::{self, Verdict};
use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::whatsapp::{
    Acquired, Committed, DEVICE_BYTES_MAX, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore,
    DeviceStoreError, Epoch, OwnerId, RowKey, Step, StoreInfo, StoreMode, Version, Wanted,
};
use sessile_core::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Devices of one process.
pub struct MemoryDevices {
    clock: Arc<dyn Clock>,
    bytes_max: usize,
    devices: Mutex<BTreeMap<DeviceId, Device>>,
}

#[derive(Clone)]
struct Device {
    head: DeviceHead,
    owner: Option<OwnerId>,
    credentials: Option<Arc<[u8]>>,
    rows: BTreeMap<RowKey, Arc<[u8]>>,
}

impl Device {
    fn new(device: DeviceId, now: Timestamp) -> Self {
        let head = DeviceHead {
            device,
            epoch: Epoch(0),
            version: Version(0),
            last_step: None,
            held_until: None,
            wanted: Wanted::Running,
            wrapped_key: None,
            has_credentials: false,
            moved_to: None,
            created_at: now,
            updated_at: now,
        };
        Self { head, owner: None, credentials: None, rows: BTreeMap::new() }
    }

    fn head_at(&self, now: Timestamp) -> DeviceHead {
        let held_until = self.head.held_until.filter(|until| *until > now);
        DeviceHead { held_until, has_credentials: self.credentials.is_some(), ..self.head.clone() }
    }

    /// Gives the device to `owner`, if nobody else holds it.
    fn give(&mut self, owner: &OwnerId, ttl: Duration, now: Timestamp) -> Result<Acquired, DeviceStoreError> {
        if let Some(until) = self.held_by_another(owner, now) {
            return Err(DeviceStoreError::Held { until });
        }
        self.head.epoch.0 += 1;
        self.head.held_until = Some(now.plus(ttl));
        self.owner = Some(owner.clone());
        Ok(Acquired { epoch: self.head.epoch, head: self.head_at(now) })
    }

    fn held_by_another(&self, owner: &OwnerId, now: Timestamp) -> Option<Timestamp> {
        self.head.held_until.filter(|until| *until > now && self.owner.as_ref() != Some(owner))
    }

    fn bytes_after(&self, step: &Step) -> usize {
        let touched = step.puts.iter().map(|row| row.key).chain(step.deletes.iter().copied());
        let freed: usize = touched.filter_map(|key| self.rows.get(&key)).map(|value| value.len()).sum();
        let held: usize = self.rows.values().map(|value| value.len()).sum();
        held - freed + rules::bytes_of(step)
    }

    fn apply(&mut self, step: &Step) {
        self.head.version = step.version;
        self.head.last_step = Some(step.id);
        self.head.updated_at = step.at;
        self.head.wrapped_key = step.wrapped_key.clone().or(self.head.wrapped_key.take());
        self.credentials = step.credentials.clone().or(self.credentials.take());
        self.rows.extend(step.puts.iter().map(|row| (row.key, row.value.clone())));
        step.deletes.iter().for_each(|key| drop(self.rows.remove(key)));
    }

    fn forget(&mut self) {
        self.head.wrapped_key = None;
        self.credentials = None;
        self.rows.clear();
    }
}

impl MemoryDevices {
    /// None yet. `clock` is the engine's own, by which leases run out.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, bytes_max: DEVICE_BYTES_MAX, devices: Mutex::default() }
    }

    /// With less room for each device than the contract gives, for tests.
    #[must_use]
    pub fn holding(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Lets a device's lease run out, as time would.
    pub fn lapse(&self, device: &DeviceId) {
        if let Some(found) = self.devices.lock().get_mut(device) {
            found.head.held_until = None;
        }
    }

    /// Works on a device whose owner `epoch` is.
    fn owned<T>(
        &self,
        device: &DeviceId,
        epoch: Epoch,
        work: impl FnOnce(&mut Device) -> T,
    ) -> Result<T, DeviceStoreError> {
        let mut devices = self.devices.lock();
        let found = devices.get_mut(device);
        rules::fence(found.as_ref().map(|found| &found.head), epoch)?;
        let found = found.ok_or(DeviceStoreError::Fenced { ours: epoch.0, now: 0 })?;
        Ok(work(found))
    }
}

#[async_trait]
impl DeviceStore for MemoryDevices {
    fn info(&self) -> StoreInfo {
        StoreInfo { engine: "memory", mode: StoreMode::Direct, place: "this process".to_owned() }
    }

    async fn ping(&self) -> Result<(), DeviceStoreError> {
        Ok(())
    }

    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        let now = self.clock.now();
        let mut devices = self.devices.lock();
        let found = devices.entry(device.clone()).or_insert_with(|| Device::new(device.clone(), now));
        rules::here(&found.head)?;
        found.give(owner, ttl, now)
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        let until = self.clock.now().plus(ttl);
        self.owned(device, epoch, |found| found.head.held_until = Some(until))
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        let mut devices = self.devices.lock();
        let Some(found) = devices.get_mut(device) else { return Ok(()) };
        rules::here(&found.head)?;
        if found.head.epoch == epoch {
            found.head.held_until = None;
        }
        Ok(())
    }

    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        let now = self.clock.now();
        Ok(self.devices.lock().get(device).map(|found| found.head_at(now)))
    }

    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        let now = self.clock.now();
        let devices = self.devices.lock();
        let Some(found) = devices.get(device) else { return Ok(None) };
        rules::here(&found.head)?;
        let row = |(key, value): (&RowKey, &Arc<[u8]>)| DeviceRow { key: *key, value: value.clone() };
        Ok(Some(DeviceState {
            head: found.head_at(now),
            credentials: found.credentials.clone(),
            rows: found.rows.iter().map(row).collect(),
        }))
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        rules::fits_a_step(step)?;
        let mut devices = self.devices.lock();
        let found = devices.get_mut(device);
        if rules::judge(found.as_ref().map(|found| &found.head), step)? == Verdict::Again {
            return Ok(Committed::Again);
        }
        let found = found.ok_or(DeviceStoreError::Fenced { ours: step.epoch.0, now: 0 })?;
        rules::fits_in(found.bytes_after(step), self.bytes_max)?;
        found.apply(step);
        Ok(Committed::Applied)
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        let mut devices = self.devices.lock();
        let Some(found) = devices.get_mut(device) else { return Ok(()) };
        rules::here(&found.head)?;
        found.head.wanted = wanted;
        Ok(())
    }

    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        rules::fits(rules::bytes_of_state(state))?;
        let now = self.clock.now();
        let mut devices = self.devices.lock();
        let fresh = Device::new(state.head.device.clone(), now);
        let mut found = devices.get(&state.head.device).cloned().unwrap_or(fresh);
        rules::may_adopt(&found.head_at(now), state)?;
        if let Some(until) = found.held_by_another(owner, now) {
            return Err(DeviceStoreError::Held { until });
        }
        let head = DeviceHead {
            epoch: found.head.epoch.max(state.head.epoch),
            version: found.head.version.max(state.head.version),
            ..state.head.clone()
        };
        found = Device {
            head,
            owner: None,
            credentials: state.credentials.clone(),
            rows: state.rows.iter().map(|row| (row.key, row.value.clone())).collect(),
        };
        found.head.held_until = None;
        found.head.moved_to = None;
        let acquired = found.give(owner, ttl, now);
        devices.insert(state.head.device.clone(), found);
        acquired
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        let mut devices = self.devices.lock();
        let found = devices.get_mut(device).ok_or(DeviceStoreError::Fenced { ours: epoch.0, now: 0 })?;
        // The same call again.
        if found.head.epoch == epoch && found.head.moved_to.as_deref() == Some(to) {
            return Ok(());
        }
        rules::fence(Some(&found.head), epoch)?;
        found.forget();
        found.head.moved_to = Some(to.to_owned());
        found.head.held_until = None;
        Ok(())
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        self.owned(device, epoch, Device::forget)
    }

    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        let now = self.clock.now();
        Ok(self.devices.lock().values().map(|found| found.head_at(now)).collect())
    }

    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        let now = self.clock.now();
        let mut devices = self.devices.lock();
        let there = devices.len();
        devices.retain(|_, found| {
            let head = found.head_at(now);
            let unused = !head.has_credentials || head.wanted == Wanted::Stopped;
            // A tombstone says where the keys are for as long as somebody could ask.
            let is_free = head.held_until.is_none() && head.moved_to.is_none();
            !(unused && is_free && head.updated_at < before)
        });
        Ok((there - devices.len()) as u64)
    }
}

impl std::fmt::Debug for MemoryDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryDevices({})", self.devices.lock().len())
    }
}
