//! What a case is given: an engine of its own, and ways to do what time or another process would. It knows no engine.

use super::super::Must;
use futures_util::future::{BoxFuture, join_all};
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore, DeviceStoreError, Epoch,
    KeyHash, KeyKind, LEASE_TTL, OwnerId, RowKey, Step, StepId, Version,
};
use sessile_core::{OsEntropy, Timestamp};
use std::any::Any;
use std::sync::Arc;

/// Lets a device's lease run out, as time would.
pub type Lapse = Arc<dyn Fn(DeviceId) -> BoxFuture<'static, ()> + Send + Sync>;
/// Opens the same place again, as another process would after this one was killed.
pub type Reopen = Arc<dyn Fn() -> BoxFuture<'static, Arc<dyn DeviceStore>> + Send + Sync>;

/// When the cases' steps were decided, in the past of every clock.
pub(super) const AT: Timestamp = Timestamp::from_unix_ms(1_700_000_000_123);

/// How often a busy server is given another chance.
const WARM_ROUNDS_MAX: usize = 10;

/// An engine under test.
pub struct TestDevices {
    /// The engine.
    pub store: Arc<dyn DeviceStore>,
    /// Time, as far as leases go.
    pub lapse: Lapse,
    /// A restart; `None`: the engine forgets.
    pub reopen: Option<Reopen>,
    guard: Box<dyn Any + Send + Sync>,
}

impl TestDevices {
    /// An engine that forgets on restart.
    #[must_use]
    pub fn new(store: Arc<dyn DeviceStore>, lapse: Lapse) -> Self {
        Self { store, lapse, reopen: None, guard: Box::new(()) }
    }

    /// One that does not.
    #[must_use]
    pub fn reopened_by(mut self, reopen: Reopen) -> Self {
        self.reopen = Some(reopen);
        self
    }

    /// Keeps `guard` until the case is over; its drop cleans up.
    #[must_use]
    pub fn guarded_by(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Box::new(guard);
        self
    }

    pub(super) async fn owned(&self, device: &DeviceId) -> Owned<'_> {
        let owner = owner();
        let acquired = self.store.acquire(device, &owner, LEASE_TTL).await.must("acquire");
        let version = acquired.head.version;
        Owned { store: &*self.store, device: device.clone(), owner, acquired, version }
    }

    /// Another owner takes the device, once its lease has run out.
    pub(super) async fn taken_over(&self, device: &DeviceId) -> Owned<'_> {
        (self.lapse)(device.clone()).await;
        self.owned(device).await
    }

    /// Lets the engine make its connections, so that a race is about the device and not about them.
    pub(super) async fn warm(&self) {
        for _ in 0..WARM_ROUNDS_MAX {
            let pings = (0..16).map(|_| self.store.ping());
            if join_all(pings).await.iter().all(Result::is_ok) {
                return;
            }
        }
        panic!("the store did not answer sixteen calls at once");
    }

    pub(super) async fn head(&self, device: &DeviceId) -> DeviceHead {
        self.store.head(device).await.must("head").must("a device")
    }

    /// The whole state, its rows in order.
    pub(super) async fn state(&self, device: &DeviceId) -> DeviceState {
        sorted(self.store.load(device).await.must("load").must("a device"))
    }
}

/// A device and its owner, who counts its steps.
pub(super) struct Owned<'a> {
    pub(super) store: &'a dyn DeviceStore,
    pub(super) device: DeviceId,
    pub(super) owner: OwnerId,
    pub(super) acquired: Acquired,
    pub(super) version: Version,
}

impl Owned<'_> {
    pub(super) fn epoch(&self) -> Epoch {
        self.acquired.epoch
    }

    /// The step after the last one, without any rows.
    pub(super) fn next(&self) -> Step {
        Step {
            id: StepId::generate(&OsEntropy).must("random bytes"),
            epoch: self.epoch(),
            version: Version(self.version.0 + 1),
            wrapped_key: None,
            credentials: None,
            puts: Vec::new(),
            deletes: Vec::new(),
            at: AT,
        }
    }

    pub(super) async fn try_commit(&self, step: &Step) -> Result<Committed, DeviceStoreError> {
        self.store.commit_step(&self.device, step).await
    }

    pub(super) async fn commit(&mut self, step: &Step) {
        assert_eq!(self.try_commit(step).await.must("commit_step"), Committed::Applied);
        self.version = step.version;
    }

    /// A paired device: wrapped key, credentials and three rows, in one step.
    pub(super) async fn pair(&mut self) {
        let mut step = self.next();
        step.wrapped_key = Some("s1.new.wrapped".to_owned());
        step.credentials = Some(Arc::from(*b"sealed credentials"));
        step.puts = (0..3).map(|n| row(KeyKind::Session, n, b"sealed")).collect();
        self.commit(&step).await;
    }
}

pub(super) fn device() -> DeviceId {
    named("default-client")
}

pub(super) fn named(name: &str) -> DeviceId {
    DeviceId::parse(name).must("a name")
}

pub(super) fn owner() -> OwnerId {
    OwnerId::generate(&OsEntropy).must("random bytes")
}

pub(super) fn key(kind: KeyKind, number: u32) -> RowKey {
    let mut hash = [0xA5; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    RowKey { kind, hash: KeyHash(hash) }
}

pub(super) fn row(kind: KeyKind, number: u32, value: &[u8]) -> DeviceRow {
    DeviceRow { key: key(kind, number), value: value.into() }
}

pub(super) fn sorted(mut state: DeviceState) -> DeviceState {
    state.rows.sort_by_key(|row| row.key);
    state
}

impl std::fmt::Debug for TestDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestDevices({:?})", self.store.info())
    }
}
