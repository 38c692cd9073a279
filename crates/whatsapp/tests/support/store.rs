//! A device store in memory whose clock is the runtime's, and that can be away or slow.

use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore, DeviceStoreError, Epoch,
    OwnerId, RowKey, Step, StoreInfo, StoreMode, Version, Wanted,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

type Answer<T> = Result<T, DeviceStoreError>;

struct Kept {
    state: DeviceState,
    rows: HashMap<RowKey, Arc<[u8]>>,
    owner: Option<(OwnerId, Instant)>,
}

/// Devices in memory.
pub(crate) struct TestStore {
    devices: Mutex<HashMap<DeviceId, Kept>>,
    is_away: AtomicBool,
    is_hidden: AtomicBool,
    commits: AtomicU64,
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            devices: Mutex::default(),
            is_away: AtomicBool::new(false),
            is_hidden: AtomicBool::new(false),
            commits: AtomicU64::new(0),
        })
    }

    /// From now on it answers nothing, or answers again.
    pub(crate) fn be_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// From now on it answers, but shows nothing; or shows it again.
    pub(crate) fn hide(&self, is_hidden: bool) {
        self.is_hidden.store(is_hidden, Ordering::SeqCst);
    }

    fn check(&self) -> Answer<()> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(DeviceStoreError::unavailable("the test took the store away"));
        }
        if self.is_hidden.load(Ordering::SeqCst) {
            return Err(DeviceStoreError::Denied("the test hides the devices".to_owned()));
        }
        Ok(())
    }

    /// Steps so far, of all devices.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    fn with<T>(&self, device: &DeviceId, act: impl FnOnce(&mut Kept) -> Answer<T>) -> Answer<T> {
        self.check()?;
        act(self.devices.lock().entry(device.clone()).or_insert_with(|| unseen(device)))
    }
}

fn unseen(device: &DeviceId) -> Kept {
    let head = DeviceHead {
        device: device.clone(),
        epoch: Epoch::default(),
        version: Version::default(),
        last_step: None,
        held_until: None,
        wanted: Wanted::Running,
        wrapped_key: None,
        has_credentials: false,
        moved_to: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    let state = DeviceState { head, credentials: None, rows: Vec::new() };
    Kept { state, rows: HashMap::new(), owner: None }
}

fn fence(kept: &Kept, epoch: Epoch) -> Answer<()> {
    let now = kept.state.head.epoch;
    if now == epoch { Ok(()) } else { Err(DeviceStoreError::Fenced { ours: epoch.0, now: now.0 }) }
}

#[async_trait]
impl DeviceStore for TestStore {
    fn info(&self) -> StoreInfo {
        StoreInfo { engine: "memory", mode: StoreMode::Direct, place: "this test".to_owned() }
    }

    async fn ping(&self) -> Answer<()> {
        Ok(())
    }

    async fn acquire(&self, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        self.with(device, |kept| {
            if let Some((holder, until)) = &kept.owner
                && holder != owner
                && *until > Instant::now()
            {
                let left = *until - Instant::now();
                return Err(DeviceStoreError::Held {
                    until: Timestamp::from_unix_ms(1_800_000_000_000).plus(left),
                });
            }
            kept.owner = Some((owner.clone(), Instant::now() + ttl));
            kept.state.head.epoch.0 += 1;
            Ok(Acquired { epoch: kept.state.head.epoch, head: kept.state.head.clone() })
        })
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        self.with(device, |kept| {
            fence(kept, epoch)?;
            if let Some((_, until)) = &mut kept.owner {
                *until = Instant::now() + ttl;
            }
            Ok(())
        })
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.with(device, |kept| {
            if fence(kept, epoch).is_ok() {
                kept.owner = None;
            }
            Ok(())
        })
    }

    async fn head(&self, device: &DeviceId) -> Answer<Option<DeviceHead>> {
        self.with(device, |kept| Ok(Some(kept.state.head.clone())))
    }

    async fn load(&self, device: &DeviceId) -> Answer<Option<DeviceState>> {
        self.with(device, |kept| {
            let row = |(key, value): (&RowKey, &Arc<[u8]>)| DeviceRow { key: *key, value: Arc::clone(value) };
            let rows = kept.rows.iter().map(row).collect();
            Ok(Some(DeviceState { rows, ..kept.state.clone() }))
        })
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Answer<Committed> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.with(device, |kept| {
            fence(kept, step.epoch)?;
            let head = &mut kept.state.head;
            if head.last_step == Some(step.id) {
                return Ok(Committed::Again);
            }
            if step.version.0 != head.version.0 + 1 {
                return Err(DeviceStoreError::OutOfOrder { stored: head.version.0, step: step.version.0 });
            }
            (head.version, head.last_step, head.updated_at) = (step.version, Some(step.id), step.at);
            if let Some(key) = &step.wrapped_key {
                head.wrapped_key = Some(key.clone());
            }
            if let Some(credentials) = &step.credentials {
                head.has_credentials = true;
                kept.state.credentials = Some(Arc::clone(credentials));
            }
            kept.rows.extend(step.puts.iter().map(|row| (row.key, Arc::clone(&row.value))));
            step.deletes.iter().for_each(|key| drop(kept.rows.remove(key)));
            Ok(Committed::Applied)
        })
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Answer<()> {
        self.with(device, |kept| {
            kept.state.head.wanted = wanted;
            Ok(())
        })
    }

    async fn adopt(&self, _: &DeviceState, _: &OwnerId, _: Duration) -> Answer<Acquired> {
        Err(DeviceStoreError::Denied("no test moves devices here".to_owned()))
    }

    async fn retire(&self, _: &DeviceId, _: Epoch, _: &str) -> Answer<()> {
        Err(DeviceStoreError::Denied("no test moves devices here".to_owned()))
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.with(device, |kept| {
            fence(kept, epoch)?;
            kept.rows.clear();
            kept.state.credentials = None;
            kept.state.head.has_credentials = false;
            kept.state.head.wrapped_key = None;
            Ok(())
        })
    }

    async fn list(&self) -> Answer<Vec<DeviceHead>> {
        self.check()?;
        Ok(self.devices.lock().values().map(|kept| kept.state.head.clone()).collect())
    }

    async fn remove_unused(&self, _: Timestamp) -> Answer<u64> {
        Ok(0)
    }
}
