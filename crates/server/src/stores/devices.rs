//! Where WhatsApp devices live: the engine that the configuration names, a journal on this machine in front of a database,
//! and the move from the other place when devices are still there.

use crate::config::{Config, DevicesPlace, Moves, Nodes};
use crate::exit::Stop;
use sessile_core::whatsapp::{DeviceStore, DeviceStoreError, OwnerId, StoreInfo};
use sessile_core::{Clock, OsEntropy};
use sessile_store::Choice;
use sessile_store::whatsapp::file::Keep;
use sessile_store::whatsapp::migration::{Migrated, MigrationError, Progress, migrate_all};
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
    /// The same, where a journal of this machine is in front of a database.
    pub spool: Option<Arc<SpooledDevices>>,
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
    move_in(config, place, &owner, &clock).await?;
    let Home { store, files, spool } = home(config, place, clock).await?;
    Ok(Some(DeviceStores { store, files, spool, owner, _lock: lock }))
}

/// An engine, as what it is.
struct Home {
    store: Arc<dyn DeviceStore>,
    files: Option<Arc<FileDevices>>,
    spool: Option<Arc<SpooledDevices>>,
}

impl Home {
    fn plain(store: Arc<dyn DeviceStore>) -> Self {
        Self { store, files: None, spool: None }
    }
}

async fn home(config: &Config, place: &DevicesPlace, clock: Arc<dyn Clock>) -> Result<Home, Stop> {
    let engine = engine(place, &clock, Choice::Yes).await?;
    match place {
        DevicesPlace::Files(_) | DevicesPlace::Sqlite(_) => Ok(engine),
        DevicesPlace::Postgres { files, .. } | DevicesPlace::Supabase { files, .. } => {
            Ok(behind_journal(config, engine.store, files, clock))
        }
    }
}

/// The engine of a place, with nothing in front of it.
async fn engine(place: &DevicesPlace, clock: &Arc<dyn Clock>, create: Choice) -> Result<Home, Stop> {
    Ok(match place {
        DevicesPlace::Files(folder) => {
            let files = Arc::new(FileDevices::open(folder, clock.clone(), Keep::State).map_err(refused)?);
            Home { store: files.clone(), files: Some(files), spool: None }
        }
        DevicesPlace::Sqlite(path) => Home::plain(Arc::new(SqliteDevices::open(path, create)?)),
        DevicesPlace::Postgres { url, .. } => {
            Home::plain(Arc::new(PostgresDevices::open(url.expose(), create).await?))
        }
        DevicesPlace::Supabase { url, key, .. } => {
            let key = SupabaseKey::new(key.clone());
            Home::plain(Arc::new(SupabaseDevices::new(url, key).map_err(refused)?))
        }
    })
}

/// The same for somebody who only looks: nothing moves, and there is no journal in front.
///
/// # Errors
/// [`Stop`] says what to do.
pub(crate) async fn look_at_devices(
    config: &Config,
    clock: Arc<dyn Clock>,
    create: Choice,
) -> Result<Option<Arc<dyn DeviceStore>>, Stop> {
    let Ok(place) = &config.whatsapp.place else { return Ok(None) };
    Ok(Some(engine(place, &clock, create).await?.store))
}

/// The journal of this machine in front of a database.
fn behind_journal(
    config: &Config,
    remote: Arc<dyn DeviceStore>,
    files: &Path,
    clock: Arc<dyn Clock>,
) -> Home {
    match FileDevices::open(&files.join(JOURNAL), clock, Keep::Unsettled) {
        Ok(journal) => {
            let mode = match config.whatsapp.nodes {
                Nodes::One => SpoolMode::OneNode,
                Nodes::Many => SpoolMode::ManyNodes,
            };
            let spool = Arc::new(SpooledDevices::new(journal, remote, mode, Arc::new(TokioPace::start())));
            Home { store: spool.clone(), files: None, spool: Some(spool) }
        }
        // A read-only disk is no reason not to serve; it is one to say so.
        Err(error) => {
            tracing::warn!(%error, "WhatsApp devices go without a journal on this machine: every outage of the database \
                disconnects them; make SESSION_PATH a folder that can be written");
            Home::plain(remote)
        }
    }
}

/// Where devices are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    /// In files of this machine.
    Files,
    /// In the database that is configured.
    Database,
}

/// What is still in the other place moves to `place`, where the configuration says so.
async fn move_in(
    config: &Config,
    place: &DevicesPlace,
    owner: &OwnerId,
    clock: &Arc<dyn Clock>,
) -> Result<(), Stop> {
    let settings = &config.whatsapp;
    let (from, to) = match (&settings.moves, &settings.database) {
        (Moves::FromFiles, _) if settings.files.is_dir() => {
            (DevicesPlace::Files(settings.files.clone()), place.clone())
        }
        (Moves::FromDatabase, Ok(database)) => (database.clone(), place.clone()),
        _ => return Ok(()),
    };
    move_all(config, (&from, &to), owner, clock, |_| {}).await.map(drop)
}

/// Moves every device by hand.
///
/// # Errors
/// [`Stop`] says what to do; running it again is safe.
pub(crate) async fn move_devices(
    config: &Config,
    towards: Towards,
    clock: Arc<dyn Clock>,
    progress: impl FnMut(Progress<'_>) + Send,
) -> Result<(Migrated, StoreInfo), Stop> {
    let settings = &config.whatsapp;
    let needs = |names: &Vec<&'static str>| {
        Stop::usage(format!(
            "there is no database that WhatsApp devices could be in: set {}",
            names.join(" and ")
        ))
    };
    let database = settings.database.clone().map_err(|names| needs(&names))?;
    let files = DevicesPlace::Files(settings.files.clone());
    let ends = match towards {
        Towards::Files => (&database, &files),
        Towards::Database => (&files, &database),
    };
    let (owner, _lock) = owner(config)?;
    move_all(config, ends, &owner, &clock, progress).await
}

/// Moves every device that is still in the other place. What a journal of this machine holds of it comes first.
async fn move_all(
    config: &Config,
    (from, to): (&DevicesPlace, &DevicesPlace),
    owner: &OwnerId,
    clock: &Arc<dyn Clock>,
    progress: impl FnMut(Progress<'_>) + Send,
) -> Result<(Migrated, StoreInfo), Stop> {
    let has_journal = config.whatsapp.files.join(JOURNAL).is_dir();
    let source = match from {
        DevicesPlace::Postgres { .. } | DevicesPlace::Supabase { .. } if has_journal => {
            home(config, from, clock.clone()).await?
        }
        _ => engine(from, clock, Choice::Yes).await?,
    };
    let target = engine(to, clock, Choice::Yes).await?.store;
    let done = migrate_all(&*source.store, &*target, owner, progress).await;
    let done = done.map_err(|error: MigrationError| {
        let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Stop::failed(format!("WhatsApp devices do not move to their new place: {error}{why}"))
    })?;
    for (device, digest) in &done.moved {
        tracing::info!(device = device.as_str(), digest, to = target.info().place, "a WhatsApp device moved");
    }
    Ok((done, target.info()))
}

fn refused(error: DeviceStoreError) -> Stop {
    Stop::failed(format!("WhatsApp devices: {error}"))
}
