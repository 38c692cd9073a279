//! Devices in files: `<folder>/<client id>.json` for the operator, and beside it a journal that is the truth.
//!
//! The journal begins with a whole state and goes on with what happened since; it is appended to and synced before anything
//! is answered, and now and then written anew (temporary file, sync, rename, sync of the folder). A record that was cut off
//! while it was written is cut away; anything else that does not fit its checksum is put aside as `.corrupted` and reported,
//! and is never taken for "no device". An older copy that is put back is older than the high-water mark in the lock file, and
//! refused. What nothing here can notice is a whole folder that is put back, lock file and all.
//!
//! Made for a local disk: a network file system may not have locks that hold.

mod cleanup;
mod codec;
mod desk;
mod fault;
mod gate;
mod journal;
mod known;
mod metadata;
mod place;
mod record;
mod spooling;

pub use cleanup::{CleanedUp, SESSION_FILE_AGE_MAX, SessionFile};
pub use desk::Keep;
pub use record::Settled;

use crate::group::{Batcher, Shape};
use crate::whatsapp::rules;
use async_trait::async_trait;
use desk::{At, Desk, unowned};
use fault::Io as _;
use gate::Alive;
use known::Durable;
use metadata::Lease;
use parking_lot::Mutex;
use place::Place;
use record::Record;
use sessile_core::whatsapp::{
    Acquired, Committed, DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, Epoch, OwnerId,
    Step, StoreInfo, StoreMode, Version, Wanted,
};
use sessile_core::{Clock, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Steps of one device that share one write to the disk.
const STEPS_AT_ONCE_MAX: usize = 64;

type Answer<T> = Result<T, DeviceStoreError>;

/// Devices in a folder.
pub struct FileDevices {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    keep: Keep,
    desks: Mutex<HashMap<DeviceId, Arc<Open>>>,
}

struct Open {
    desk: Arc<Desk>,
    commits: Batcher<Step, Answer<Committed>>,
}

impl FileDevices {
    /// Opens a folder, and makes it if it is missing.
    ///
    /// # Errors
    /// [`DeviceStoreError`] says what to do.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, keep: Keep) -> Result<Self, DeviceStoreError> {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700);
        builder.create(folder).fault("create", folder)?;
        Ok(Self { folder: folder.to_owned(), clock, keep, desks: Mutex::default() })
    }

    /// Where the files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn open_desk(&self, device: &DeviceId) -> Arc<Open> {
        let mut desks = self.desks.lock();
        let make = || {
            let place = Place::new(&self.folder, device.clone());
            let desk = Arc::new(Desk::new(place, self.clock.clone(), self.keep));
            let writer = desk.clone();
            let shape = Shape { batch_max: STEPS_AT_ONCE_MAX, lanes: 1 };
            let commits = Batcher::new(shape, move |steps: Vec<Step>| {
                let (desk, count) = (writer.clone(), steps.len());
                async move {
                    match tokio::task::spawn_blocking(move || desk.commit(steps)).await {
                        Ok(answers) => answers.into_iter().map(Ok).collect(),
                        Err(_) => (0..count).map(|_| Ok(Err(interrupted()))).collect(),
                    }
                }
            });
            Arc::new(Open { desk, commits })
        };
        desks.entry(device.clone()).or_insert_with(make).clone()
    }

    /// Does something to a device under its lock.
    async fn at<T: Send + 'static>(
        &self,
        device: &DeviceId,
        act: impl FnOnce(&mut At<'_>) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let open = self.open_desk(device);
        let done = tokio::task::spawn_blocking(move || open.desk.with(act)).await;
        done.unwrap_or_else(|_| Err(interrupted()))
    }

    /// The same for a device of which there is something; anything else leaves no trace on the disk.
    async fn seen<T: Send + 'static>(
        &self,
        device: &DeviceId,
        act: impl FnOnce(&mut At<'_>) -> Answer<Option<T>> + Send + 'static,
    ) -> Answer<Option<T>> {
        let exists = self.open_desk(device).desk.place().exists();
        if exists { self.at(device, act).await } else { Ok(None) }
    }

    /// Devices of which there is a file.
    fn names(&self) -> Answer<BTreeSet<DeviceId>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.folder).fault("list", &self.folder)? {
            let name = entry.fault("list", &self.folder)?.file_name();
            names.extend(cleanup::device_of(&name.to_string_lossy()));
        }
        Ok(names)
    }
}

fn interrupted() -> DeviceStoreError {
    DeviceStoreError::unavailable("the write ended without an answer")
}

impl At<'_> {
    /// The head with the lease that still runs.
    fn head(&self) -> Answer<Option<DeviceHead>> {
        let Some(known) = self.known.as_ref() else { return Ok(None) };
        let metadata = self.metadata()?;
        let held_until = metadata.and_then(|found| found.held(self.now).map(Lease::until));
        Ok(Some(DeviceHead { held_until, ..known.head.clone() }))
    }

    fn stored(&self) -> Option<&DeviceHead> {
        self.known.as_ref().map(|known| &known.head)
    }

    fn must_head(&self) -> Answer<DeviceHead> {
        self.head()?.ok_or_else(|| DeviceStoreError::Damaged("the device went away".to_owned()))
    }

    /// The lease of somebody else that still runs is an error, unless that somebody is dead.
    fn check_lease(&mut self, owner: &OwnerId) -> Answer<()> {
        let lease = self.lease()?.filter(|lease| lease.until() > self.now);
        let Some(lease) = lease.filter(|lease| lease.owner.as_ref() != Some(owner)) else { return Ok(()) };
        if self.alive.is_none() {
            *self.alive = Alive::claim(self.place)?;
            if self.alive.is_some() {
                return Ok(());
            }
        }
        Err(DeviceStoreError::Held { until: lease.until() })
    }

    fn lend(&mut self, owner: Option<OwnerId>, ttl: Duration) -> Answer<()> {
        if self.alive.is_none() {
            // Somebody who was asleep may still have it; then the next owner waits for our lease to end.
            *self.alive = Alive::claim(self.place)?;
        }
        self.write_metadata(Some(Lease { owner, until_ms: self.now.plus(ttl).unix_ms() }))
    }

    fn acquire(&mut self, owner: OwnerId, ttl: Duration) -> Answer<Acquired> {
        if let Some(known) = self.known.as_ref() {
            rules::here(&known.head)?;
        }
        self.check_lease(&owner)?;
        let now = self.now;
        if let Some(known) = self.known.as_mut() {
            known.head.epoch.0 += 1;
            let epoch = known.head.epoch;
            self.append(&[Record::Owned { epoch, at: now }], Durable::Now)?;
        } else {
            self.replace(unpaired(self.place.device(), now), None, &[])?;
        }
        self.lend(Some(owner), ttl)?;
        let head = self.must_head()?;
        Ok(Acquired { epoch: head.epoch, head })
    }

    /// Takes a whole state over from another store.
    fn adopt(&mut self, mut state: DeviceState, owner: OwnerId, ttl: Duration) -> Answer<Acquired> {
        rules::fits(rules::bytes_of_state(&state))?;
        if let Some(stored) = self.stored().cloned() {
            rules::may_adopt(&stored, &state)?;
            self.check_lease(&owner)?;
            state.head.epoch = state.head.epoch.max(stored.epoch);
            state.head.version = state.head.version.max(stored.version);
        }
        state.head.epoch.0 += 1;
        state.head.moved_to = None;
        self.replace(state, None, &[])?;
        self.lend(Some(owner), ttl)?;
        let head = self.must_head()?;
        Ok(Acquired { epoch: head.epoch, head })
    }

    /// Writes the journal anew without any key: what is on the disk afterwards is a name and its numbers.
    fn forget_keys(&mut self, moved_to: Option<String>) -> Answer<()> {
        let Some(known) = self.known.as_ref() else { return Ok(()) };
        let settled = known.settled;
        let head = DeviceHead { wrapped_key: None, has_credentials: false, moved_to, ..known.head.clone() };
        self.replace(DeviceState { head, credentials: None, rows: Vec::new() }, settled, &[])
    }

    fn destroy(&mut self, epoch: Epoch) -> Answer<()> {
        rules::fence(self.stored(), epoch)?;
        let lease = self.lease()?;
        self.forget_keys(None)?;
        self.write_metadata(lease)
    }

    fn retire(&mut self, epoch: Epoch, to: String) -> Answer<()> {
        // The same call again.
        if self.stored().is_some_and(|head| head.epoch == epoch && head.moved_to.as_ref() == Some(&to)) {
            return Ok(());
        }
        rules::fence(self.stored(), epoch)?;
        self.forget_keys(Some(to))?;
        *self.alive = None;
        self.write_metadata(None)
    }

    /// Removes the device if nobody needs it; says whether it did.
    fn remove_if_unused(&mut self, before: Timestamp) -> Answer<bool> {
        let Some(head) = self.head()? else { return Ok(false) };
        let needed = head.has_credentials && head.wanted == Wanted::Running;
        let kept =
            needed || head.moved_to.is_some() || head.held_until.is_some() || head.updated_at >= before;
        if !kept {
            self.remove()?;
        }
        Ok(!kept)
    }
}

/// A device that nobody has seen.
fn unpaired(device: &DeviceId, now: Timestamp) -> DeviceState {
    let head = DeviceHead {
        device: device.clone(),
        epoch: Epoch(1),
        version: Version(0),
        last_step: None,
        held_until: None,
        wanted: Wanted::default(),
        wrapped_key: None,
        has_credentials: false,
        moved_to: None,
        created_at: now,
        updated_at: now,
    };
    DeviceState { head, credentials: None, rows: Vec::new() }
}

#[async_trait]
impl DeviceStore for FileDevices {
    fn info(&self) -> StoreInfo {
        StoreInfo { engine: "file", mode: StoreMode::Direct, place: self.folder.display().to_string() }
    }

    async fn ping(&self) -> Answer<()> {
        let probe = self.folder.join(".sessile-probe");
        fs::write(&probe, b"").fault("write", &probe)?;
        Ok(fs::remove_file(&probe).fault("remove", &probe)?)
    }

    async fn acquire(&self, device: &DeviceId, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        let owner = owner.clone();
        self.at(device, move |at| at.acquire(owner, ttl)).await
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Answer<()> {
        let renewed = self.seen(device, move |at| {
            let Some(known) = at.known.as_ref() else { return Ok(None) };
            rules::fence(Some(&known.head), epoch)?;
            // Where the lease was let go of or its file was lost, nobody knows the owner; the epoch does.
            let owner = at.lease()?.and_then(|lease| lease.owner);
            at.lend(owner, ttl).map(Some)
        });
        renewed.await?.ok_or_else(|| unowned(epoch))
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        let released = self.seen(device, move |at| {
            let Some(known) = at.known.as_ref() else { return Ok(None) };
            rules::here(&known.head)?;
            if known.head.epoch != epoch {
                return Ok(None);
            }
            *at.alive = None;
            at.write_metadata(None).map(Some)
        });
        released.await.map(|_| ())
    }

    async fn head(&self, device: &DeviceId) -> Answer<Option<DeviceHead>> {
        self.seen(device, |at| at.head()).await
    }

    async fn load(&self, device: &DeviceId) -> Answer<Option<DeviceState>> {
        self.seen(device, |at| {
            let Some(contents) = at.load()? else { return Ok(None) };
            rules::here(&contents.state.head)?;
            let head = at.must_head()?;
            Ok(Some(DeviceState { head, ..contents.into_state() }))
        })
        .await
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Answer<Committed> {
        let open = self.open_desk(device);
        if !open.desk.place().exists() {
            return Err(unowned(step.epoch));
        }
        open.commits.ask(step.clone()).await.map_err(DeviceStoreError::unavailable)?
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Answer<()> {
        self.seen(device, move |at| {
            let Some(known) = at.known.as_ref() else { return Ok(None) };
            rules::here(&known.head)?;
            at.set_wanted(wanted)?;
            let lease = at.lease()?;
            at.write_metadata(lease).map(Some)
        })
        .await
        .map(|_| ())
    }

    async fn adopt(&self, state: &DeviceState, owner: &OwnerId, ttl: Duration) -> Answer<Acquired> {
        let (state, owner) = (state.clone(), owner.clone());
        self.at(&state.head.device.clone(), move |at| at.adopt(state, owner, ttl)).await
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Answer<()> {
        let to = to.to_owned();
        self.at(device, move |at| at.retire(epoch, to)).await
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Answer<()> {
        self.at(device, move |at| at.destroy(epoch)).await
    }

    async fn list(&self) -> Answer<Vec<DeviceHead>> {
        let mut heads = Vec::new();
        for device in self.names()? {
            match self.head(&device).await {
                Ok(head) => heads.extend(head),
                // One that cannot be read hides no other; whoever wants it is told.
                Err(DeviceStoreError::Damaged(what)) => {
                    tracing::warn!(%device, what, "a WhatsApp device cannot be listed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(heads)
    }

    async fn remove_unused(&self, before: Timestamp) -> Answer<u64> {
        let mut removed = 0;
        for device in self.names()? {
            match self.at(&device, move |at| at.remove_if_unused(before)).await {
                Ok(gone) => removed += u64::from(gone),
                Err(DeviceStoreError::Damaged(what)) => {
                    tracing::warn!(%device, what, "a WhatsApp device cannot be looked at");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }
}
