//! What is configured for WhatsApp devices: which device is meant when nobody names one, where the keys live, and what
//! they are sealed under.
//!
//! In development devices live in files and their sealing key is made at the first start. In production they live in the
//! database that is configured, and nothing is made that other processes would have to share.

use super::Mode;
use super::secrets::SealingSource;
use super::source::Source;
use super::store::{Disk, StoreChoice};
use sessile_core::Secret;
use sessile_core::whatsapp::DeviceId;
use sessile_store::StoreUrl;
use std::path::{Path, PathBuf};
use url::Url;

/// Everything about devices.
#[derive(Debug)]
pub struct WhatsAppConfig {
    /// The device that is meant when nobody names one.
    pub device: DeviceId,
    /// Where the keys live; `Err` names what is missing.
    pub place: Result<DevicesPlace, Vec<&'static str>>,
    /// What the keys are sealed under.
    pub sealing: SealingSource,
    /// How many processes may want one device. With one, on a lasting disk, its journal is the commit point.
    pub nodes: Nodes,
    /// Whether devices that are in the other place, the database or the files, are moved here at the start.
    pub moves: Moves,
    /// Another server than WhatsApp's, for tests; builds for releases refuse it.
    pub server: Option<String>,
}

/// How many processes may want one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// This one, on a disk that stays.
    One,
    /// Several, or one on a disk that goes.
    Many,
}

/// What moves at the start by itself.
#[derive(Debug, Clone)]
pub enum Moves {
    /// Nothing.
    Nothing,
    /// From files of an earlier, local installation to the database.
    FromFiles,
    /// From this Postgres to files, because an operator of a production server has asked for files.
    FromPostgres(Secret),
}

/// Where devices live.
#[derive(Debug, Clone)]
pub enum DevicesPlace {
    /// In files of this folder.
    Files(PathBuf),
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// In Postgres; the folder is that of the files that may have come before.
    Postgres {
        /// Where.
        url: Secret,
        /// Where files of an earlier, local installation would be.
        files: PathBuf,
    },
    /// In a Supabase project, over REST.
    Supabase {
        /// The project.
        url: Url,
        /// Its service key.
        key: Secret,
        /// Where files of an earlier, local installation would be.
        files: PathBuf,
    },
}

pub(super) fn whatsapp(
    source: &Source,
    mode: Mode,
    store: &StoreChoice,
    disk: &Disk,
    data_dir: &Path,
) -> WhatsAppConfig {
    let words = [("one", Nodes::One), ("many", Nodes::Many)];
    let usual = if mode == Mode::Development && disk == &Disk::Lasting { Nodes::One } else { Nodes::Many };
    let files = source.get("SESSION_PATH").map_or_else(|| data_dir.join("whatsapp"), PathBuf::from);
    let sealing = super::secrets::device_sealing(source, mode, data_dir);
    let place = place(source, mode, store, files, &sealing);
    WhatsAppConfig {
        device: device(source),
        moves: moves(source, mode, store, &place),
        place,
        sealing,
        nodes: source.word("SESSILE_WHATSAPP_NODES", &words).unwrap_or(usual),
        server: source.get("SESSILE_WHATSAPP_SERVER").map(str::to_owned),
    }
}

fn device(source: &Source) -> DeviceId {
    let given = source.get("CLIENT_ID");
    if given.is_some_and(|name| DeviceId::parse(name).is_none()) {
        source.complain(
            "CLIENT_ID names the WhatsApp device: 1 to 64 letters, digits, `.`, `_` or `-`, not beginning with a dot",
        );
    }
    given.and_then(DeviceId::parse).unwrap_or_default()
}

/// Nobody's devices cost nothing: in production somebody has to have named one, or where they live.
fn place(
    source: &Source,
    mode: Mode,
    store: &StoreChoice,
    files: PathBuf,
    sealing: &SealingSource,
) -> Result<DevicesPlace, Vec<&'static str>> {
    let by_rest = source.yes_or_no("USE_SUPABASE").unwrap_or(false);
    let words = [("file", Where::Files), ("database", Where::Database), ("supabase", Where::Supabase)];
    let asked = source.word("SESSILE_WHATSAPP_STORE", &words);
    let is_named = ["CLIENT_ID", "SESSION_PATH"].iter().any(|name| source.get(name).is_some());
    let is_wanted = mode == Mode::Development || is_named || by_rest || asked.is_some();
    if !is_wanted {
        return Err(vec!["CLIENT_ID", "SESSILE_SEALING_KEY"]);
    }
    if matches!(sealing, SealingSource::None) {
        return Err(vec!["SESSILE_SEALING_KEY"]);
    }
    let default = match mode {
        _ if by_rest => Where::Supabase,
        Mode::Development => Where::Files,
        Mode::Production => Where::Database,
    };
    match asked.unwrap_or(default) {
        Where::Files => Ok(DevicesPlace::Files(files)),
        Where::Supabase => supabase(source, files),
        Where::Database => Ok(match &store.users {
            StoreUrl::Postgres(url) => DevicesPlace::Postgres { url: Secret::new(url.clone()), files },
            StoreUrl::Sqlite(_) if source.secret("DATABASE_URL").is_none() => DevicesPlace::Files(files),
            StoreUrl::Sqlite(path) => DevicesPlace::Sqlite(path.clone()),
            StoreUrl::Memory | StoreUrl::Redis(_) => DevicesPlace::Files(files),
        }),
    }
}

/// Files move to the database by themselves. The way back has to be asked for, on a production server: a developer whose
/// environment names the real database must not take its devices away.
fn moves(
    source: &Source,
    mode: Mode,
    store: &StoreChoice,
    place: &Result<DevicesPlace, Vec<&'static str>>,
) -> Moves {
    let asked = source.get("SESSILE_WHATSAPP_STORE").is_some_and(|word| word.eq_ignore_ascii_case("file"));
    match (place, &store.users) {
        (Ok(DevicesPlace::Postgres { .. } | DevicesPlace::Supabase { .. }), _) => Moves::FromFiles,
        (Ok(DevicesPlace::Files(_)), StoreUrl::Postgres(url)) if asked && mode == Mode::Production => {
            Moves::FromPostgres(Secret::new(url.clone()))
        }
        _ => Moves::Nothing,
    }
}

#[derive(Debug, Clone, Copy)]
enum Where {
    Files,
    Database,
    Supabase,
}

fn supabase(source: &Source, files: PathBuf) -> Result<DevicesPlace, Vec<&'static str>> {
    let url = source.get("SUPABASE_URL").and_then(|text| Url::parse(text).ok());
    match (url, source.secret("SUPABASE_SERVICE_ROLE_KEY")) {
        (Some(url), Some(key)) => Ok(DevicesPlace::Supabase { url, key: Secret::new(key), files }),
        _ => Err(vec!["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]),
    }
}
