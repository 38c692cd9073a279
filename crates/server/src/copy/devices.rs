//! WhatsApp devices move and do not stay behind: one copy of a device's keys may be in use, so each is taken over under a newer
//! epoch at the destination and left as a tombstone at the source.

use super::ends::Side;
use super::told::Told;
use crate::cli::CopyArgs;
use crate::exit::{Exit, Stop};
use sessile_core::whatsapp::{DeviceStore, OwnerId};
use sessile_store::whatsapp::migration::{Migrated, MigrationError, Progress, migrate_all};
use sessile_store::whatsapp::{PostgresDevices, SqliteDevices};
use sessile_store::{OpenError, StoreUrl};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// One end; `None` where devices cannot live at that address.
///
/// # Errors
/// [`OpenError`] when it cannot be opened.
pub(super) async fn end(url: &str, side: Side) -> Result<Option<Arc<dyn DeviceStore>>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Sqlite(path) => Some(Arc::new(SqliteDevices::open(&path, side.create())?)),
        StoreUrl::Postgres(url) => Some(Arc::new(PostgresDevices::open(&url, side.create()).await?)),
        StoreUrl::Redis(_) | StoreUrl::Memory => None,
    })
}

/// Moves every device.
///
/// # Errors
/// [`Stop`] names the device that did not move; those before it have.
pub(super) async fn moved(
    args: &CopyArgs,
    from: &dyn DeviceStore,
    to: &dyn DeviceStore,
    told: &mut Told,
) -> Result<Exit, Stop> {
    // The same name whenever this copy is run: a run that was killed need not wait for its own leases to end.
    let digest = Sha256::digest(format!("{}\0{}", args.from, args.to).as_bytes());
    let name: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let owner =
        OwnerId::parse(&format!("copy-{name}")).ok_or_else(|| Stop::failed("no name for the owner"))?;
    let mut done = 0;
    let moving = migrate_all(from, to, &owner, |progress| match progress {
        Progress::Found(devices) => told.begin("move", devices as u64, 0),
        Progress::Moved(_) | Progress::WasThere(_) => {
            done += 1;
            told.at(done);
        }
        Progress::Read(..) | Progress::Copied(..) => {}
    });
    let moved: Migrated = moving.await.map_err(stopped)?;
    told.devices(&moved);
    Ok(Exit::Done)
}

fn stopped(error: MigrationError) -> Stop {
    let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Stop::failed(format!("{error}{why}. Those before it have moved; run the same command again"))
}
