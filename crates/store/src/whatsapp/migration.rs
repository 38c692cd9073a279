//! Moving devices from one store to another: files to a database and back. At start, when the configuration says so, and by
//! the command line, with progress.
//!
//! One device at a time: owned here, copied there in one transaction, read back and compared, and only then given up here,
//! where a tombstone refuses every later use. Repeated after a crash at any point it comes to the same end: what was copied
//! is the very same version and may be copied again, and what was given up is found to have arrived.

use sessile_core::whatsapp::{
    DeviceHead, DeviceId, DeviceState, DeviceStore, DeviceStoreError, LEASE_TTL, OwnerId, StoreInfo,
};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// What happens to a device while it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// How many devices there are to move.
    Found(usize),
    /// Its keys were read; so many rows.
    Read(&'a DeviceId, usize),
    /// They are in the other store, and the same.
    Copied(&'a DeviceId, usize),
    /// The device is the other store's.
    Moved(&'a DeviceId),
    /// It had moved before.
    WasThere(&'a DeviceId),
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrated {
    /// Devices moved by this run, with a digest of what was moved.
    pub moved: Vec<(DeviceId, String)>,
    /// Devices that had moved before.
    pub were_there: Vec<DeviceId>,
}

/// Why a device did not move. Nothing is lost, and running it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Nobody knows which devices there are.
    #[error("the devices in {place} could not be listed")]
    List {
        /// Where.
        place: String,
        /// Why.
        #[source]
        error: DeviceStoreError,
    },
    /// The store that has it.
    #[error("{device} could not be read in {place}")]
    Source {
        /// Which device.
        device: DeviceId,
        /// Where.
        place: String,
        /// Why.
        #[source]
        error: DeviceStoreError,
    },
    /// The store that is to have it.
    #[error("{device} could not be written to {place}")]
    Target {
        /// Which device.
        device: DeviceId,
        /// Where.
        place: String,
        /// Why.
        #[source]
        error: DeviceStoreError,
    },
    /// Both have keys, and they are not the same: nobody but a person can know which are the newer ones.
    #[error(
        "both stores have keys of {device}: {from} is at step {ours}, {to} at step {theirs}. Start with the one whose phone \
         still shows the device as linked, and remove it from the other one"
    )]
    BothHaveKeys {
        /// Which device.
        device: DeviceId,
        /// The source's place.
        from: String,
        /// The target's place.
        to: String,
        /// The source's version.
        ours: u64,
        /// The target's version.
        theirs: u64,
    },
    /// What was read back is not what was written. The source keeps the device.
    #[error(
        "what {place} gives back of {device} is not what was written ({what}); the device stays where it was"
    )]
    Differs {
        /// Which device.
        device: DeviceId,
        /// The target's place.
        place: String,
        /// What differs.
        what: &'static str,
    },
}

/// Whether a device has keys in the source, or had.
fn to_move(head: &DeviceHead) -> bool {
    head.has_credentials || head.moved_to.is_some()
}

/// Moves every device that has keys in `from`. `owner` is this process; one that comes back after a crash under the name that it
/// had before need not wait for its own leases to end.
///
/// # Errors
/// At the first device that does not move; those before it have moved.
pub async fn migrate_all(
    from: &dyn DeviceStore,
    to: &dyn DeviceStore,
    owner: &OwnerId,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Migrated, MigrationError> {
    let unlisted = |error| MigrationError::List { place: from.info().place, error };
    let heads = from.list().await.map_err(unlisted)?;
    let devices: Vec<_> = heads.into_iter().filter(to_move).map(|head| head.device).collect();
    progress(Progress::Found(devices.len()));
    let mut done = Migrated::default();
    for device in devices {
        match migrate(from, to, &device, owner, &mut progress).await? {
            Some(digest) => done.moved.push((device, digest)),
            None => done.were_there.push(device),
        }
    }
    Ok(done)
}

/// Moves one device; answers a digest of what was moved, or `None` when there was nothing to move any more.
///
/// # Errors
/// [`MigrationError`] says which store refused; running it again is safe.
pub async fn migrate(
    from: &dyn DeviceStore,
    to: &dyn DeviceStore,
    device: &DeviceId,
    owner: &OwnerId,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Option<String>, MigrationError> {
    let ends = Ends { device, from: from.info(), to: to.info() };
    let name = format!("{} ({})", ends.to.engine, ends.to.place);
    let Some(head) = from.head(device).await.map_err(|error| ends.source(error))? else { return Ok(None) };
    if head.moved_to.is_some() {
        progress(Progress::WasThere(device));
        return Ok(None);
    }
    let there = to.head(device).await.map_err(|error| ends.target(error))?;
    ends.check(&head, there.as_ref())?;
    let acquired = from.acquire(device, owner, LEASE_TTL).await.map_err(|error| ends.source(error))?;
    let state = from.load(device).await.map_err(|error| ends.source(error))?;
    let Some(state) = state.filter(|state| state.head.has_credentials) else {
        from.release(device, acquired.epoch).await.map_err(|error| ends.source(error))?;
        return Ok(None);
    };
    progress(Progress::Read(device, state.rows.len()));
    let adopted = to.adopt(&state, owner, LEASE_TTL).await.map_err(|error| ends.target(error))?;
    let copy = to.load(device).await.map_err(|error| ends.target(error))?;
    let digest = ends.compare(&state, copy.as_ref())?;
    progress(Progress::Copied(device, state.rows.len()));
    from.retire(device, acquired.epoch, &name).await.map_err(|error| ends.source(error))?;
    // Whoever is to own it there need not wait for us.
    to.release(device, adopted.epoch).await.map_err(|error| ends.target(error))?;
    tracing::info!(%device, from = ends.from.place, to = ends.to.place, digest, "a WhatsApp device has moved");
    progress(Progress::Moved(device));
    Ok(Some(digest))
}

/// The two stores of a move, for its errors.
struct Ends<'a> {
    device: &'a DeviceId,
    from: StoreInfo,
    to: StoreInfo,
}

impl Ends<'_> {
    fn source(&self, error: DeviceStoreError) -> MigrationError {
        MigrationError::Source { device: self.device.clone(), place: self.from.place.clone(), error }
    }

    fn target(&self, error: DeviceStoreError) -> MigrationError {
        MigrationError::Target { device: self.device.clone(), place: self.to.place.clone(), error }
    }

    /// Whether the target may take the device; it is asked again when it does.
    fn check(&self, ours: &DeviceHead, theirs: Option<&DeviceHead>) -> Result<(), MigrationError> {
        let Some(theirs) = theirs.filter(|theirs| theirs.has_credentials) else { return Ok(()) };
        if theirs.version == ours.version && theirs.last_step == ours.last_step || !ours.has_credentials {
            return Ok(());
        }
        Err(MigrationError::BothHaveKeys {
            device: self.device.clone(),
            from: self.from.place.clone(),
            to: self.to.place.clone(),
            ours: ours.version.0,
            theirs: theirs.version.0,
        })
    }

    /// The digest that both have.
    fn compare(&self, ours: &DeviceState, copy: Option<&DeviceState>) -> Result<String, MigrationError> {
        let differs = |what| MigrationError::Differs {
            device: self.device.clone(),
            place: self.to.place.clone(),
            what,
        };
        let copy = copy.ok_or_else(|| differs("it has no such device"))?;
        if copy.rows.len() != ours.rows.len() {
            return Err(differs("the number of rows"));
        }
        let digest = digest_of(ours);
        if digest_of(copy) == digest { Ok(digest) } else { Err(differs("the digest")) }
    }
}

/// SHA-256 over everything that makes the device what it is: its version and last step, its sealed credentials and rows.
#[must_use]
pub fn digest_of(state: &DeviceState) -> String {
    let mut rows: Vec<_> = state.rows.iter().collect();
    rows.sort_by_key(|row| row.key);
    let mut sum = Sha256::new();
    let mut part = |bytes: &[u8]| {
        sum.update((bytes.len() as u64).to_be_bytes());
        sum.update(bytes);
    };
    let head = &state.head;
    part(head.device.as_str().as_bytes());
    part(&head.version.0.to_be_bytes());
    part(head.last_step.as_ref().map_or(&[][..], |id| &id.0));
    part(head.wrapped_key.as_deref().unwrap_or_default().as_bytes());
    part(state.credentials.as_deref().unwrap_or_default());
    for row in rows {
        part(row.key.kind.as_str().as_bytes());
        part(&row.key.hash.0);
        part(&row.value);
    }
    sum.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
