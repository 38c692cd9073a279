//! A folder of devices, a clock that stands still, and steps that can be told apart.

use sessile_core::whatsapp::{
    DeviceId, DeviceRow, DeviceStore as _, Epoch, KeyHash, KeyKind, LEASE_TTL, OwnerId, RowKey, Step, StepId,
    Version,
};
use sessile_core::{Clock as _, ManualClock, Timestamp};
use sessile_store::whatsapp::FileDevices;
use sessile_store::whatsapp::file::Keep;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Given {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Given {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_900_000_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    /// A device that took steps, and whose process is gone.
    pub(crate) async fn with_steps(self, count: u64) -> Self {
        let store = self.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        for version in 1..=count {
            store.commit_step(&device(), &step(acquired.epoch.0, version)).await.unwrap();
        }
        self
    }

    /// As a process that starts opens it.
    pub(crate) fn store(&self) -> FileDevices {
        FileDevices::open(self.folder.path(), self.clock.clone(), Keep::State).unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("shop.{ending}"))
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Names of files in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) fn device() -> DeviceId {
    DeviceId::parse("shop").unwrap()
}

pub(crate) fn owner(name: &str) -> OwnerId {
    OwnerId::parse(name).unwrap()
}

pub(crate) fn key(number: u8) -> RowKey {
    RowKey { kind: KeyKind::Session, hash: KeyHash([number; 32]) }
}

/// Step `version`: one row that every step rewrites, one of its own, new credentials.
pub(crate) fn step(epoch: u64, version: u64) -> Step {
    let text = |what: &str| Arc::from(format!("{what} {version}").as_bytes());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&version.to_le_bytes());
    id[8] = 1;
    Step {
        id: StepId(id),
        epoch: Epoch(epoch),
        version: Version(version),
        wrapped_key: (version == 1).then(|| "wrapped".to_owned()),
        credentials: Some(text("credentials")),
        puts: vec![
            DeviceRow { key: key(0), value: text("counter") },
            DeviceRow { key: key(u8::try_from(version % 200 + 1).unwrap()), value: text("row") },
        ],
        deletes: Vec::new(),
        at: Timestamp::from_unix_ms(1_900_000_000_000),
    }
}
