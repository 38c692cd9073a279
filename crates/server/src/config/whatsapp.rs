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
    /// The folder of a local installation, whichever place is used.
    pub files: PathBuf,
    /// The database that is configured, whichever place is used; `Err` names what is missing.
    pub database: Result<DevicesPlace, Vec<&'static str>>,
    /// What the keys are sealed under.
    pub sealing: SealingSource,
    /// How many processes may want one device. With one, on a lasting disk, its journal is the commit point.
    pub nodes: Nodes,
    /// Whether devices that are in the other place, the database or the files, are moved here at the start.
    pub moves: Moves,
    /// Another server than WhatsApp's, for tests; builds for releases refuse it.
    pub server: Option<String>,
}

impl WhatsAppConfig {
    /// Whether the database that is configured is a Supabase project, over REST.
    #[must_use]
    pub fn database_is_supabase(&self) -> bool {
        matches!(self.database, Ok(DevicesPlace::Supabase { .. }))
    }
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
    /// From the database to files, because an operator of a production server has asked for files.
    FromDatabase,
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
    let asked = Asked::of(source);
    let database = database(source, asked, store, &files);
    let place = place(source, asked, mode, &files, &database, &sealing);
    WhatsAppConfig {
        device: device(source),
        moves: moves(asked, mode, &place, &database),
        place,
        files,
        database,
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
    asked: Asked,
    mode: Mode,
    files: &Path,
    database: &Result<DevicesPlace, Vec<&'static str>>,
    sealing: &SealingSource,
) -> Result<DevicesPlace, Vec<&'static str>> {
    let is_named = ["CLIENT_ID", "SESSION_PATH"].iter().any(|name| source.get(name).is_some());
    let is_wanted = mode == Mode::Development || is_named || asked.by_rest || asked.place.is_some();
    if !is_wanted {
        return Err(vec!["CLIENT_ID", "SESSILE_SEALING_KEY"]);
    }
    if matches!(sealing, SealingSource::None) {
        return Err(vec!["SESSILE_SEALING_KEY"]);
    }
    let default = match mode {
        _ if asked.by_rest => Where::Supabase,
        Mode::Development => Where::Files,
        Mode::Production => Where::Database,
    };
    match asked.place.unwrap_or(default) {
        Where::Files => Ok(DevicesPlace::Files(files.to_owned())),
        Where::Supabase => supabase(source, files),
        // Without a database that keeps them, files are what is left.
        Where::Database => Ok(match database {
            Ok(place @ (DevicesPlace::Postgres { .. } | DevicesPlace::Sqlite(_))) => place.clone(),
            _ => DevicesPlace::Files(files.to_owned()),
        }),
    }
}

/// What was asked for in so many words.
#[derive(Debug, Clone, Copy)]
struct Asked {
    by_rest: bool,
    place: Option<Where>,
}

impl Asked {
    fn of(source: &Source) -> Self {
        let words = [("file", Where::Files), ("database", Where::Database), ("supabase", Where::Supabase)];
        Self {
            by_rest: source.yes_or_no("USE_SUPABASE").unwrap_or(false),
            place: source.word("SESSILE_WHATSAPP_STORE", &words),
        }
    }

    fn is_supabase(self) -> bool {
        self.place == Some(Where::Supabase) || self.by_rest && self.place != Some(Where::Database)
    }
}

/// The database that devices live in, or would live in.
fn database(
    source: &Source,
    asked: Asked,
    store: &StoreChoice,
    files: &Path,
) -> Result<DevicesPlace, Vec<&'static str>> {
    let files = files.to_owned();
    match &store.users {
        _ if asked.is_supabase() => supabase(source, &files),
        StoreUrl::Postgres(url) => Ok(DevicesPlace::Postgres { url: Secret::new(url.clone()), files }),
        StoreUrl::Sqlite(path) if source.secret("DATABASE_URL").is_some() => {
            Ok(DevicesPlace::Sqlite(path.clone()))
        }
        // Whoever asked for files may still name the project that they come from.
        _ => supabase(source, &files).map_err(|_| vec!["DATABASE_URL"]),
    }
}

/// Files move to the database by themselves. The way back has to be asked for, on a production server: a developer whose
/// environment names the real database must not take its devices away.
fn moves(
    asked: Asked,
    mode: Mode,
    place: &Result<DevicesPlace, Vec<&'static str>>,
    database: &Result<DevicesPlace, Vec<&'static str>>,
) -> Moves {
    let asked_for_files = asked.place == Some(Where::Files) && mode == Mode::Production;
    match (place, database) {
        // A project that is named for something else may have no devices, nor the functions that say so.
        (Ok(DevicesPlace::Files(_)), Ok(DevicesPlace::Supabase { .. })) if !asked.by_rest => Moves::Nothing,
        (Ok(DevicesPlace::Postgres { .. } | DevicesPlace::Supabase { .. } | DevicesPlace::Sqlite(_)), _) => {
            Moves::FromFiles
        }
        (Ok(DevicesPlace::Files(_)), Ok(_)) if asked_for_files => Moves::FromDatabase,
        _ => Moves::Nothing,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Files,
    Database,
    Supabase,
}

fn supabase(source: &Source, files: &Path) -> Result<DevicesPlace, Vec<&'static str>> {
    let url = source.get("SUPABASE_URL").and_then(|text| Url::parse(text).ok());
    match (url, source.secret("SUPABASE_SERVICE_ROLE_KEY")) {
        (Some(url), Some(key)) => {
            Ok(DevicesPlace::Supabase { url, key: Secret::new(key), files: files.to_owned() })
        }
        _ => Err(vec!["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"]),
    }
}
