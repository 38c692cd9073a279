//! Where WhatsApp devices live: the engine that the configuration names, a journal on this machine in front of a database,
//! and the move from the other place when devices are still there.

use crate::config::{Config, DevicesPlace, Moves, Nodes};
use crate::exit::Stop;
use sessile_core::whatsapp::{DeviceStore, DeviceStoreError, OwnerId};
use sessile_core::{Clock, OsEntropy};
use sessile_store::Choice;
use sessile_store::whatsapp::file::Keep;
use sessile_store::whatsapp::migration::{MigrationError, migrate_all};
use sessile_store::whatsapp::{
    FileDevices, PostgresDevices, SpoolMode, SpooledDevices, SqliteDevices, SupabaseDevices, SupabaseKey,
    TokioPace,
};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

/// The folder, beside the files of a local installation, of the journal in front of a database.
const JOURNAL: &str = "journal";

/// The file, in the data folder, that names this process's owner of devices.
const OWNER: &str = "whatsapp-owner";

/// Where WhatsApp devices live.
#[derive(Clone)]
pub struct DeviceStores {
    /// Their keys.
    pub store: Arc<dyn DeviceStore>,
    /// The same, where they are files: an operator may look at those.
    pub files: Option<Arc<FileDevices>>,
    /// Who owns devices here.
    pub owner: OwnerId,
    /// Held as long as the process lives, where the owner's name is kept.
    _lock: Option<Arc<File>>,
}

/// The owner's name, kept in the data folder, so that a program which was killed has its devices back at once: whoever
/// holds a device gets it again. The lock tells that its last bearer is dead; without it, or without a disk, the name is
/// new, and a lease has to run out first.
fn owner(config: &Config) -> Result<(OwnerId, Option<Arc<File>>), Stop> {
    let fresh = || OwnerId::generate(&OsEntropy).map_err(|error| Stop::failed(error.to_string()));
    let path = config.in_data(OWNER);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let Ok(mut file) = opened else { return Ok((fresh()?, None)) };
    if file.try_lock().is_err() {
        return Ok((fresh()?, None));
    }
    let mut text = String::new();
    let kept = file.read_to_string(&mut text).ok().and_then(|_| OwnerId::parse(text.trim()));
    if let Some(owner) = kept {
        return Ok((owner, Some(Arc::new(file))));
    }
    let owner = fresh()?;
    let written = file.set_len(0).and_then(|()| file.write_all(owner.as_str().as_bytes()));
    if let Err(error) = written.and_then(|()| file.sync_all()) {
        tracing::warn!(%error, "the name of this process could not be kept: after a kill a device waits for its lease");
    }
    Ok((owner, Some(Arc::new(file))))
}

/// Where the configuration says; nowhere when nobody wants any.
pub(super) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Option<DeviceStores>, Stop> {
    let Ok(place) = &config.whatsapp.place else { return Ok(None) };
    let (owner, lock) = owner(config)?;
    let (store, files) = home(config, place, clock).await?;
    Ok(Some(DeviceStores { store, files, owner, _lock: lock }))
}

type Home = (Arc<dyn DeviceStore>, Option<Arc<FileDevices>>);

async fn home(config: &Config, place: &DevicesPlace, clock: Arc<dyn Clock>) -> Result<Home, Stop> {
    Ok(match place {
        DevicesPlace::Files(folder) => {
            let files = Arc::new(FileDevices::open(folder, clock, Keep::State).map_err(refused)?);
            if let Moves::FromPostgres(url) = &config.whatsapp.moves {
                move_all(&PostgresDevices::open(url.expose(), Choice::Yes).await?, &*files).await?;
            }
            (files.clone(), Some(files))
        }
        DevicesPlace::Sqlite(path) => (Arc::new(SqliteDevices::open(path, Choice::Yes)?), None),
        DevicesPlace::Postgres { url, files } => {
            let remote = Arc::new(PostgresDevices::open(url.expose(), Choice::Yes).await?);
            (behind_journal(config, remote, files, clock).await?, None)
        }
        DevicesPlace::Supabase { url, key, files } => {
            let remote = SupabaseDevices::new(url, SupabaseKey::new(key.clone())).map_err(refused)?;
            (behind_journal(config, Arc::new(remote), files, clock).await?, None)
        }
    })
}

/// The same for somebody who only looks, or moves devices by hand: nothing moves, and there is no journal in front.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn look_at_devices(
    config: &Config,
    clock: Arc<dyn Clock>,
    create: Choice,
) -> Result<Option<Arc<dyn DeviceStore>>, Stop> {
    let Ok(place) = &config.whatsapp.place else { return Ok(None) };
    Ok(Some(match place {
        DevicesPlace::Files(folder) => {
            Arc::new(FileDevices::open(folder, clock, Keep::State).map_err(refused)?)
        }
        DevicesPlace::Sqlite(path) => Arc::new(SqliteDevices::open(path, create)?),
        DevicesPlace::Postgres { url, .. } => Arc::new(PostgresDevices::open(url.expose(), create).await?),
        DevicesPlace::Supabase { url, key, .. } => {
            Arc::new(SupabaseDevices::new(url, SupabaseKey::new(key.clone())).map_err(refused)?)
        }
    }))
}

/// Moves what an earlier, local installation left, then puts the journal in front.
async fn behind_journal(
    config: &Config,
    remote: Arc<dyn DeviceStore>,
    files: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn DeviceStore>, Stop> {
    if matches!(config.whatsapp.moves, Moves::FromFiles) && files.is_dir() {
        let local = FileDevices::open(files, clock.clone(), Keep::State).map_err(refused)?;
        move_all(&local, &*remote).await?;
    }
    Ok(match FileDevices::open(&files.join(JOURNAL), clock, Keep::Unsettled) {
        Ok(journal) => {
            let mode = match config.whatsapp.nodes {
                Nodes::One => SpoolMode::OneNode,
                Nodes::Many => SpoolMode::ManyNodes,
            };
            Arc::new(SpooledDevices::new(journal, remote, mode, Arc::new(TokioPace::start())))
        }
        // A read-only disk is no reason not to serve; it is one to say so.
        Err(error) => {
            tracing::warn!(%error, "WhatsApp devices go without a journal on this machine: every outage of the database \
                disconnects them; make SESSION_PATH a folder that can be written");
            remote
        }
    })
}

/// Moves every device that is still in the other place.
async fn move_all(from: &dyn DeviceStore, to: &dyn DeviceStore) -> Result<(), Stop> {
    let owner = OwnerId::generate(&OsEntropy).map_err(|error| Stop::failed(error.to_string()))?;
    let done = migrate_all(from, to, &owner, |_| {}).await;
    let done = done.map_err(|error: MigrationError| {
        let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Stop::failed(format!("WhatsApp devices do not move to their new place: {error}{why}"))
    })?;
    for (device, digest) in &done.moved {
        tracing::info!(device = device.as_str(), digest, to = to.info().place, "a WhatsApp device moved");
    }
    Ok(())
}

fn refused(error: DeviceStoreError) -> Stop {
    Stop::failed(format!("WhatsApp devices: {error}"))
}
