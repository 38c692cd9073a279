//! A local journal in front of a database: every step is on this machine's disk before it is anywhere else, and reaches the
//! database in order, by compare-and-set under the epoch that the database gave us.
//!
//! Two epochs are kept apart: the journal's fences processes on this machine, the database's fences machines. Whoever owns a
//! device here is told the journal's, which is the database's unless processes came and went while that was away. What the database already has is recognised by its step's name; a device that
//! somebody else has taken over there puts the journal aside and ends this owner; nothing is ever merged.
//! What each mode promises: [`SpoolMode`].

mod acquire;
mod drain;
mod line;

pub use line::Standing;

use super::file::FileDevices;
use super::rules;
use async_trait::async_trait;
use drain::Drained;
use line::Line;
use parking_lot::Mutex;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, Epoch, KeyKind,
    OwnerId, Pace, Step, StoreInfo, StoreMode, Wanted,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When a step counts as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolMode {
    /// One process with a disk that stays: when it is in the journal. The database may be away for hours.
    OneNode,
    /// Several processes, or a disk that goes: what must never be forgotten ([`must_arrive`]) only when the database has it;
    /// and without the database nobody keeps or gets a device.
    ManyNodes,
}

/// Whether forgetting this step could use a key twice or lose the pairing: with several nodes the database has to have it
/// before anything is sent. Values are sealed, so a session's row counts whether it was raised for sending or not.
#[must_use]
pub fn must_arrive(step: &Step) -> bool {
    use KeyKind as K;
    let is_vital =
        |kind| matches!(kind, K::Identity | K::Session | K::PreKey | K::SignedPreKey | K::SenderKey);
    let touched = step.puts.iter().map(|row| row.key.kind).chain(step.deletes.iter().map(|key| key.kind));
    step.credentials.is_some() || step.wrapped_key.is_some() || touched.into_iter().any(is_vital)
}

type Answer<T> = Result<T, DeviceStoreError>;

/// Devices in a database, behind a journal on this machine.
pub struct SpooledDevices(Arc<Shared>);

struct Shared {
    local: FileDevices,
    remote: Arc<dyn DeviceStore>,
    mode: SpoolMode,
    pace: Arc<dyn Pace>,
    lines: Mutex<HashMap<DeviceId, Arc<Line>>>,
    /// Devices that moved away from here: under which epochs, so that the same call again finds its own tombstone.
    left: Mutex<HashMap<DeviceId, Epochs>>,
    /// Times that the database went away from a device.
    fallbacks: AtomicU64,
}

/// The journal's and the database's.
type Epochs = (Epoch, Epoch);

impl SpooledDevices {
    /// `local` was opened with [`Keep::Unsettled`](super::file::Keep::Unsettled), in a folder that nothing else uses.
    #[must_use]
    pub fn new(
        local: FileDevices,
        remote: Arc<dyn DeviceStore>,
        mode: SpoolMode,
        pace: Arc<dyn Pace>,
    ) -> Self {
        let (lines, left) = (Mutex::default(), Mutex::default());
        let fallbacks = AtomicU64::new(0);
        Self(Arc::new(Shared { local, remote, mode, pace, lines, left, fallbacks }))
    }

    /// How a device stands that this process owns.
    #[must_use]
    pub fn standing(&self, device: &DeviceId) -> Option<Standing> {
        let line = self.0.lines.lock().get(device).cloned()?;
        Some(line.standing(self.0.pace.elapsed()))
    }

    /// How many devices of this process are behind in the database, and by how many steps together.
    #[must_use]
    pub fn behind(&self) -> (usize, u64) {
        let now = self.0.pace.elapsed();
        let lines: Vec<Standing> = self.0.lines.lock().values().map(|line| line.standing(now)).collect();
        let behind = lines.iter().filter(|standing| standing.degraded.is_some()).count();
        (behind, lines.iter().map(|standing| standing.unsettled).sum())
    }

    /// Why the database does not take the steps of a device of this process; `None` while it does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let now = self.0.pace.elapsed();
        let lines = self.0.lines.lock();
        lines.values().find_map(|line| line.standing(now).degraded).map(|(_, why)| why)
    }

    /// How often the database went away from a device since the process began.
    #[must_use]
    pub fn fallbacks(&self) -> u64 {
        self.0.fallbacks.load(Ordering::Relaxed)
    }

    /// The mode that it was made for.
    #[must_use]
    pub fn mode(&self) -> SpoolMode {
        self.0.mode
    }
}

impl Shared {
    /// The device, if `epoch` is its owner's.
    async fn line(&self, device: &DeviceId, epoch: Epoch) -> Answer<Arc<Line>> {
        let line = self.owned(device);
        let now = line.as_ref().map_or(0, |line| line.local_epoch.0);
        if let Some(line) = line.filter(|line| line.local_epoch == epoch) {
            line.check_ended()?;
            return Ok(line);
        }
        if now == 0
            && let Ok(Some(head)) = self.remote.head(device).await
        {
            rules::here(&head)?;
        }
        Err(DeviceStoreError::Fenced { ours: epoch.0, now })
    }

    fn owned(&self, device: &DeviceId) -> Option<Arc<Line>> {
        self.lines.lock().get(device).cloned()
    }

    /// The database did not take what was brought.
    fn degrade(&self, line: &Line, error: &DeviceStoreError) {
        if line.degrade(self.pace.elapsed(), error) {
            self.fallbacks.fetch_add(1, Ordering::Relaxed);
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(device = %line.device, %error, cause, "a WhatsApp device's database is away; the journal goes on");
        }
    }

    /// Whether the journal may stand in for a database that does not answer.
    fn stands_in(&self, error: &DeviceStoreError) -> bool {
        self.mode == SpoolMode::OneNode && matches!(error, DeviceStoreError::Unavailable(_))
    }

    async fn commit(self: &Arc<Self>, device: &DeviceId, step: &Step) -> Answer<Committed> {
        let line = self.line(device, step.epoch).await?;
        let done = self.local.commit_step(device, step).await?;
        line.note(step);
        if self.mode == SpoolMode::ManyNodes && must_arrive(step) {
            // The journal has it; repeated under its own name, it is `Again` here and tried anew there.
            self.settled(&line).await?;
        } else {
            self.clone().wake(&line);
        }
        Ok(done)
    }

    async fn renew(self: &Arc<Self>, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        let line = self.line(device, epoch).await?;
        self.local.renew(device, epoch, ttl).await?;
        let asked_at = self.pace.elapsed();
        match self.remote.renew(device, line.remote_epoch, ttl).await {
            Ok(()) => {
                line.granted(asked_at);
                self.clone().wake(&line);
                Ok(())
            }
            Err(error) => self.refused(&line, error).await,
        }
    }

    /// What a refusal by the database means for the owner.
    async fn refused(&self, line: &Line, error: DeviceStoreError) -> Answer<()> {
        match error {
            DeviceStoreError::Fenced { .. } | DeviceStoreError::Moved { .. } => {
                self.overtaken(line, &error.to_string()).await;
                line.check_ended()
            }
            error => {
                self.degrade(line, &error);
                if self.stands_in(&error) { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Everything here has to be there before the device leaves this machine or its keys go.
    async fn settled(&self, line: &Line) -> Answer<()> {
        match self.drain(line).await? {
            Drained::All => Ok(()),
            Drained::Ended => line.check_ended(),
        }
    }
}

#[async_trait]
impl DeviceStore for SpooledDevices {
    fn info(&self) -> StoreInfo {
        let there = self.0.remote.info();
        let here = self.0.local.folder().display();
        let mode = match self.0.mode {
            SpoolMode::OneNode => StoreMode::OneNode,
            SpoolMode::ManyNodes => StoreMode::ManyNodes,
        };
        StoreInfo {
            engine: there.engine,
            mode,
            place: format!("{}, behind a journal in {here}", there.place),
        }
    }

    async fn ping(&self) -> Answer<()> {
        self.0.local.ping().await?;
        match self.0.remote.ping().await {
            Err(error) if !self.0.stands_in(&error) => Err(error),
            _ => Ok(()),
        }
    }

    async fn acquire(&self, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        self.0.acquire(device, owner, ttl).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        self.0.renew(device, epoch, ttl).await
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        let line = match self.0.line(device, epoch).await {
            Ok(line) => line,
            Err(DeviceStoreError::Fenced { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Whoever comes next here begins with what could not be sent.
        let sent = self.0.drain(&line).await;
        self.0.lines.lock().remove(device);
        self.0.local.release(device, epoch).await?;
        if sent.is_ok() {
            let released = self.0.remote.release(device, line.remote_epoch).await;
            released.or_else(|error| if self.0.stands_in(&error) { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    async fn head(&self, device: &DeviceId) -> Answer<Option<DeviceHead>> {
        if self.0.owned(device).is_some() {
            return self.0.local.head(device).await;
        }
        match self.0.remote.head(device).await {
            Err(error) if self.0.stands_in(&error) => {
                let head = self.0.local.head(device).await?;
                head.map(Some).ok_or(error)
            }
            answer => answer,
        }
    }

    async fn load(&self, device: &DeviceId) -> Answer<Option<DeviceState>> {
        if let Some(line) = self.0.owned(device) {
            line.check_ended()?;
            return self.0.local.load(device).await;
        }
        self.0.remote.load(device).await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Answer<Committed> {
        self.0.commit(device, step).await
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Answer<()> {
        let line = self.0.owned(device);
        match (self.0.remote.want(device, wanted).await, line) {
            (Err(error), Some(line)) if self.0.stands_in(&error) => line.set_wanted(Some(wanted)),
            (Ok(()), Some(line)) => line.set_wanted(None),
            (answer, _) => return answer,
        }
        self.0.local.want(device, wanted).await
    }

    async fn adopt(&self, state: &DeviceState, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        let device = &state.head.device;
        let adopted = self.0.remote.adopt(state, owner, ttl).await?;
        // By the owner that has it now, so that nobody else comes in between.
        self.0.take(device, owner, ttl, adopted.epoch).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Answer<()> {
        let left = self.0.left.lock().get(device).copied();
        if let Some((_, there)) = left.filter(|(here, _)| *here == epoch) {
            return self.0.remote.retire(device, there, to).await;
        }
        let line = self.0.line(device, epoch).await?;
        self.0.settled(&line).await?;
        self.0.remote.retire(device, line.remote_epoch, to).await?;
        self.0.left.lock().insert(device.clone(), (epoch, line.remote_epoch));
        self.0.lines.lock().remove(device);
        self.0.local.discard(device).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        let line = self.0.line(device, epoch).await?;
        self.0.settled(&line).await?;
        self.0.remote.destroy(device, line.remote_epoch).await?;
        self.0.local.destroy(device, epoch).await
    }

    async fn list(&self) -> Answer<Vec<DeviceHead>> {
        match self.0.remote.list().await {
            Err(error) if self.0.stands_in(&error) => self.0.local.list().await,
            answer => answer,
        }
    }

    async fn remove_unused(&self, before: Timestamp) -> Answer<u64> {
        let removed = self.0.remote.remove_unused(before).await?;
        self.0.local.remove_unused(before).await?;
        Ok(removed)
    }
}

impl std::fmt::Debug for SpooledDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SpooledDevices({:?}, {:?})", self.0.mode, self.info().place)
    }
}
