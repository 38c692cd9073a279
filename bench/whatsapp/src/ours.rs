//! Sessile: the client's storage over a sealed, fenced vault, on each engine.

use crate::work;
use anyhow::{Context, Result};
use sessile_core::whatsapp::{DeviceId, DeviceStore, Opening, OwnerId, Vault};
use sessile_core::{OsEntropy, SealingKeys, SystemClock};
use sessile_store::Choice;
use sessile_store::whatsapp::file::Keep;
use sessile_store::whatsapp::{FileDevices, PostgresDevices, SqliteDevices, TokioPace};
use sessile_whatsapp::{Gate, RealWhatsApp, VaultBackend, WhatsApp as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc::unbounded_channel;

/// Where devices live.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Files(PathBuf),
    Sqlite(PathBuf),
    Postgres(String),
}

impl Engine {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    async fn open(&self) -> Result<Arc<dyn DeviceStore>> {
        Ok(match self {
            Self::Files(folder) => Arc::new(FileDevices::open(folder, Arc::new(SystemClock), Keep::State)?),
            Self::Sqlite(path) => Arc::new(SqliteDevices::open(path, Choice::Yes)?),
            Self::Postgres(url) => Arc::new(PostgresDevices::open(url, Choice::Yes).await?),
        })
    }
}

/// One process with its devices.
pub(crate) struct Ours {
    pub(crate) engine: Engine,
    owner: OwnerId,
    vault: Option<Arc<Vault>>,
}

impl Ours {
    /// A device that has logged in once.
    pub(crate) async fn linked(engine: Engine) -> Result<Self> {
        let mut ours = Self { engine, owner: OwnerId::generate(&OsEntropy)?, vault: None };
        let vault = ours.vault("bench").await?;
        work::link(&VaultBackend::new(vault.clone())).await?;
        ours.vault = Some(vault);
        Ok(ours)
    }

    async fn vault(&self, device: &str) -> Result<Arc<Vault>> {
        open(self.engine.open().await?, device, &self.owner).await
    }

    pub(crate) async fn steps(&self, count: u32) -> Result<Vec<f64>> {
        let vault = self.vault.clone().context("no device")?;
        work::steps(&VaultBackend::new(vault), count).await
    }

    /// Opens the store and reads the device, as a start does; milliseconds.
    pub(crate) async fn loads(&mut self, count: u32) -> Result<Vec<f64>> {
        let mut took = Vec::new();
        for _ in 0..count {
            self.vault = None;
            let began = Instant::now();
            let vault = self.vault("bench").await?;
            work::read(&VaultBackend::new(vault.clone())).await?;
            took.push(began.elapsed().as_secs_f64() * 1e3);
            self.vault = Some(vault);
        }
        Ok(took)
    }
}

async fn open(store: Arc<dyn DeviceStore>, device: &str, owner: &OwnerId) -> Result<Arc<Vault>> {
    let keys = SealingKeys::parse(&"5e".repeat(32)).ok().context("a sealing key")?;
    let opening = Opening {
        store,
        keys,
        device: DeviceId::parse(device).context("a device's name")?,
        owner: owner.clone(),
        clock: Arc::new(SystemClock),
        pace: Arc::new(TokioPace::start()),
        entropy: Arc::new(OsEntropy),
    };
    Ok(Arc::new(Vault::open(opening).await?))
}

/// Links so many devices in one SQLite file.
pub(crate) async fn link_many(path: &Path, count: u32) -> Result<()> {
    let store = Engine::Sqlite(path.to_owned()).open().await?;
    let owner = OwnerId::generate(&OsEntropy)?;
    for number in 0..count {
        let vault = open(store.clone(), &format!("device-{number}"), &owner).await?;
        work::link(&VaultBackend::new(vault.clone())).await?;
        vault.release().await;
    }
    Ok(())
}

/// Opens all of them, each with its client, in this process; what they take of its memory, in bytes for each.
pub(crate) async fn memory_of_many(path: &Path, count: u32) -> Result<u64> {
    let store = Engine::Sqlite(path.to_owned()).open().await?;
    let owner = OwnerId::generate(&OsEntropy)?;
    // What every process has once.
    let whatsapp = RealWhatsApp::default();
    let mut open_devices = Vec::new();
    let mut before = 0;
    for number in 0..count {
        if number == 1 {
            before = resident()?;
        }
        let vault = open(store.clone(), &format!("device-{number}"), &owner).await?;
        let (tell, news) = unbounded_channel();
        let client = whatsapp.open(vault.clone(), Gate::new(vault.clone()), tell).await?;
        open_devices.push((vault, client, news));
    }
    let others = u64::from(count).saturating_sub(1).max(1);
    Ok(resident()?.saturating_sub(before) / others)
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
