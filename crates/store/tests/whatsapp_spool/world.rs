//! A machine with a journal, a database that can be cut off, and time that stands still.

use crate::given::{device, key, step};
use async_trait::async_trait;
use parking_lot::Mutex;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore, DeviceStoreError, Epoch,
    KeyKind, OwnerId, Pace, Step, StoreInfo, Version, Wanted,
};
use sessile_core::{ManualClock, Timestamp};
use sessile_store::whatsapp::file::Keep;
use sessile_store::whatsapp::{FileDevices, MemoryDevices, SpoolMode, SpooledDevices};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Time that a test moves. Whoever waits by it yields instead.
#[derive(Default)]
pub(crate) struct TestPace(AtomicU64);

impl TestPace {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Pace for TestPace {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn pause(&self, _span: Duration) {
        tokio::task::yield_now().await;
    }
}

/// A database behind a line that can be cut, for each machine its own.
struct Line {
    there: Arc<dyn DeviceStore>,
    is_cut: Arc<AtomicBool>,
    loses_reply: Arc<AtomicBool>,
}

impl Line {
    async fn pass<T>(
        &self,
        call: impl Future<Output = Result<T, DeviceStoreError>> + Send,
    ) -> Result<T, DeviceStoreError> {
        let cut = || DeviceStoreError::unavailable("the line is cut");
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(cut());
        }
        let answer = call.await;
        if self.loses_reply.swap(false, Ordering::SeqCst) { Err(cut()) } else { answer }
    }
}

#[async_trait]
impl DeviceStore for Line {
    fn info(&self) -> StoreInfo {
        self.there.info()
    }
    async fn ping(&self) -> Result<(), DeviceStoreError> {
        self.pass(self.there.ping()).await
    }
    async fn acquire(&self, d: &DeviceId, o: &OwnerId, ttl: Duration) -> Result<Acquired, DeviceStoreError> {
        self.pass(self.there.acquire(d, o, ttl)).await
    }
    async fn renew(&self, d: &DeviceId, e: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        self.pass(self.there.renew(d, e, ttl)).await
    }
    async fn release(&self, d: &DeviceId, e: Epoch) -> Result<(), DeviceStoreError> {
        self.pass(self.there.release(d, e)).await
    }
    async fn head(&self, d: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        self.pass(self.there.head(d)).await
    }
    async fn load(&self, d: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        self.pass(self.there.load(d)).await
    }
    async fn commit_step(&self, d: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        self.pass(self.there.commit_step(d, step)).await
    }
    async fn want(&self, d: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        self.pass(self.there.want(d, wanted)).await
    }
    async fn adopt(&self, s: &DeviceState, o: &OwnerId, ttl: Duration) -> Result<Acquired, DeviceStoreError> {
        self.pass(self.there.adopt(s, o, ttl)).await
    }
    async fn retire(&self, d: &DeviceId, e: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        self.pass(self.there.retire(d, e, to)).await
    }
    async fn destroy(&self, d: &DeviceId, e: Epoch) -> Result<(), DeviceStoreError> {
        self.pass(self.there.destroy(d, e)).await
    }
    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        self.pass(self.there.list()).await
    }
    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        self.pass(self.there.remove_unused(before)).await
    }
}

pub(crate) struct World {
    mode: SpoolMode,
    clock: Arc<ManualClock>,
    pub(crate) pace: Arc<TestPace>,
    folder: tempfile::TempDir,
    elsewhere: tempfile::TempDir,
    there: Mutex<Arc<MemoryDevices>>,
    is_cut: Arc<AtomicBool>,
    is_cut_elsewhere: Arc<AtomicBool>,
    loses_reply: Arc<AtomicBool>,
}

impl World {
    pub(crate) fn new(mode: SpoolMode) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_900_000_000_000)));
        Self {
            mode,
            there: Mutex::new(Arc::new(MemoryDevices::new(clock.clone()))),
            clock,
            pace: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
            elsewhere: tempfile::tempdir().unwrap(),
            is_cut: Arc::default(),
            is_cut_elsewhere: Arc::default(),
            loses_reply: Arc::default(),
        }
    }

    fn open(&self, folder: &tempfile::TempDir, is_cut: &Arc<AtomicBool>) -> SpooledDevices {
        let local = FileDevices::open(folder.path(), self.clock.clone(), Keep::Unsettled).unwrap();
        let line = Line {
            there: self.there.lock().clone(),
            is_cut: is_cut.clone(),
            loses_reply: self.loses_reply.clone(),
        };
        SpooledDevices::new(local, Arc::new(line), self.mode, self.pace.clone())
    }

    /// As a process that starts opens it.
    pub(crate) fn store(&self) -> SpooledDevices {
        self.open(&self.folder, &self.is_cut)
    }

    /// On another machine, with a folder of its own.
    pub(crate) fn elsewhere(&self) -> SpooledDevices {
        self.open(&self.elsewhere, &self.is_cut_elsewhere)
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.is_cut_elsewhere.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.mend_for_others();
        self.is_cut.store(false, Ordering::SeqCst);
    }

    pub(crate) fn mend_for_others(&self) {
        self.is_cut_elsewhere.store(false, Ordering::SeqCst);
    }

    pub(crate) fn lose_next_reply(&self) {
        self.loses_reply.store(true, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// What the database has.
    pub(crate) async fn there(&self) -> DeviceState {
        let there = self.there.lock().clone();
        there.load(&device()).await.unwrap().unwrap()
    }

    /// The database as it was at a step, from a backup.
    pub(crate) async fn put_back(&self, version: u64) {
        let old = MemoryDevices::new(self.clock.clone());
        let acquired = old.acquire(&device(), &crate::given::owner("old"), Duration::ZERO).await.unwrap();
        for version in 1..=version {
            old.commit_step(&device(), &step(acquired.epoch.0, version)).await.unwrap();
        }
        *self.there.lock() = Arc::new(old);
    }

    pub(crate) fn empty(&self) {
        *self.there.lock() = Arc::new(MemoryDevices::new(self.clock.clone()));
    }

    pub(crate) fn lose_folder(&self) {
        for name in self.names() {
            std::fs::remove_file(self.folder.path().join(name)).unwrap();
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// Until the database has everything.
    pub(crate) async fn until_settled(&self, store: &SpooledDevices) {
        let settled = async {
            while store.standing(&device()).unwrap().unsettled > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
    }

    /// Until the journal was put aside, by whoever noticed first.
    pub(crate) async fn until_fenced(&self) {
        let fenced = async {
            while !self.names().iter().any(|name| name == "shop.journal.fenced") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), fenced).await.unwrap();
    }

    /// The journal and the database hold the same.
    pub(crate) async fn check_same(&self, store: &SpooledDevices) {
        let (mut here, mut there) = (store.load(&device()).await.unwrap().unwrap(), self.there().await);
        for state in [&mut here, &mut there] {
            state.rows.sort_by_key(|row| row.key);
        }
        assert_eq!(here.rows, there.rows);
        assert_eq!(here.credentials, there.credentials);
        let numbers = |state: &DeviceState| (state.head.version, state.head.last_step);
        assert_eq!(numbers(&here), numbers(&there));
    }
}

/// A step that may follow behind: nothing in it makes a key be used twice.
pub(crate) fn late_step(epoch: u64, version: u64) -> Step {
    let mut key = key(250);
    key.kind = KeyKind::MessageSecret;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&version.to_le_bytes());
    id[8] = 2;
    Step {
        id: sessile_core::whatsapp::StepId(id),
        credentials: None,
        wrapped_key: None,
        puts: vec![DeviceRow { key, value: Arc::from(&b"late"[..]) }],
        version: Version(version),
        ..step(epoch, version)
    }
}
