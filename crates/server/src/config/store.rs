//! Where sessions live: the choice, and what has to be said about it before anybody relies on it.
//!
//! `SESSILE_LOGIN_STORE` wins over `DATABASE_URL`. `REDIS_URL` alone moves nothing: other kinds of session use it
//! too; `SESSILE_LOGIN_STORE=redis` is what puts logins there.

use super::Mode;
use super::source::Source;
use sessile_store::StoreUrl;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The remedy of every warning, word for word what operators search for.
pub(super) const SET_DATABASE_URL: &str = "Set DATABASE_URL=postgresql://user:password@host:port/dbname";

/// Variables that platforms with short-lived disks set.
const SHORT_LIVED: [&str; 8] = [
    "VERCEL",
    "AWS_LAMBDA_FUNCTION_NAME",
    "K_SERVICE",
    "RENDER",
    "RAILWAY_ENVIRONMENT",
    "DYNO",
    "FUNCTION_TARGET",
    "NETLIFY",
];

/// Platforms of that list that offer a lasting disk, and the variable that says one is mounted.
const MOUNTED: [(&str, &str); 1] = [("RAILWAY_ENVIRONMENT", "RAILWAY_VOLUME_MOUNT_PATH")];

/// Whether the disk outlives a deploy, as far as the platform tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// Nothing says otherwise.
    Lasting,
    /// This variable says it does not.
    ShortLived(&'static str),
}

impl Disk {
    /// Looks for the platforms' variables.
    #[must_use]
    pub fn of(env: &BTreeMap<String, String>) -> Self {
        let is_set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let mounted = |name: &str| MOUNTED.iter().any(|(platform, disk)| *platform == name && is_set(disk));
        let found = SHORT_LIVED.iter().find(|name| is_set(name) && !mounted(name));
        found.map_or(Self::Lasting, |name| Self::ShortLived(name))
    }
}

/// Why sessions will not last, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The whole sentence.
    pub sentence: String,
}

/// Where sessions live.
#[derive(Debug, Clone)]
pub struct StoreChoice {
    /// Of login sessions.
    pub login: StoreUrl,
    /// The same as text, with its credentials.
    pub login_url: sessile_core::Secret,
    /// Where users live, when that is not beside the sessions.
    pub users: StoreUrl,
    /// Said at the start, when sessions will not last.
    pub warning: Option<Warning>,
}

/// What a setting's address turned out to be.
enum Given {
    Nothing,
    Known(StoreUrl, String),
    NotUnderstood(&'static str),
}

pub(super) fn choose(source: &Source, mode: Mode, data_dir: &Path, disk: &Disk) -> StoreChoice {
    let allowed = source.yes_or_no("SESSILE_ALLOW_EPHEMERAL").unwrap_or(false);
    let database = given("DATABASE_URL", source.secret("DATABASE_URL"));
    let redis = source.secret("REDIS_URL");
    let own = source.secret("SESSILE_LOGIN_STORE").map(|url| short_names(source, url, redis));
    let embedded = data_dir.join("sessile.db");
    let users = match &database {
        Given::Known(url @ (StoreUrl::Postgres(_) | StoreUrl::Sqlite(_) | StoreUrl::Memory), _) => {
            url.clone()
        }
        _ => StoreUrl::Sqlite(embedded.clone()),
    };
    let login = match given("SESSILE_LOGIN_STORE", own) {
        Given::Nothing => database,
        own => own,
    };
    let choice = |login: StoreUrl, text: String, users: StoreUrl, reason: Option<String>| {
        let warning = reason.map(|reason| warning(&login, &reason));
        StoreChoice { login, login_url: sessile_core::Secret::new(text), users, warning }
    };
    let chosen = match login {
        Given::Known(url @ StoreUrl::Memory, text) => {
            let reason = "memory was asked for".to_owned();
            choice(url, text, StoreUrl::Memory, Some(reason))
        }
        Given::Known(url @ StoreUrl::Sqlite(_), text) => {
            let users = url.clone();
            choice(url, text, users, short_lived(disk))
        }
        Given::Known(url @ StoreUrl::Postgres(_), text) => {
            let users = url.clone();
            choice(url, text, users, None)
        }
        Given::Known(url @ StoreUrl::Redis(_), text) => choice(url, text, users, None),
        Given::Nothing => beside(embedded, disk, choice),
        Given::NotUnderstood(name) => {
            let reason = format!(
                "{name} is not understood: it has to begin with postgresql://, postgres://, sqlite:, redis://, \
                 rediss:// or memory:"
            );
            choice(StoreUrl::Memory, "memory:".to_owned(), StoreUrl::Memory, Some(reason))
        }
    };
    if let (Some(warning), Mode::Production, false) = (&chosen.warning, mode, allowed) {
        source.complain(format!("{} (or accept that with SESSILE_ALLOW_EPHEMERAL=1)", warning.sentence));
    }
    chosen
}

fn beside(
    file: PathBuf,
    disk: &Disk,
    choice: impl Fn(StoreUrl, String, StoreUrl, Option<String>) -> StoreChoice,
) -> StoreChoice {
    let url = StoreUrl::Sqlite(file.clone());
    choice(url.clone(), format!("sqlite:{}", file.display()), url, short_lived(disk))
}

/// `redis` and `postgres` alone stand for the address that the application has configured anyway.
fn short_names(source: &Source, url: String, redis: Option<String>) -> String {
    let (name, address) = match url.as_str() {
        "redis" => ("REDIS_URL", redis),
        "postgres" | "postgresql" => ("DATABASE_URL", source.secret("DATABASE_URL")),
        _ => return url,
    };
    address.unwrap_or_else(|| {
        source.complain(format!("SESSILE_LOGIN_STORE={url} needs {name}; set it to the server's address"));
        // The start ends with that sentence; a second one about memory would only distract.
        "redis:".to_owned()
    })
}

fn given(name: &'static str, url: Option<String>) -> Given {
    let Some(url) = url else { return Given::Nothing };
    match StoreUrl::parse(&url) {
        Ok(known) => Given::Known(known, url),
        Err(_) => Given::NotUnderstood(name),
    }
}

fn short_lived(disk: &Disk) -> Option<String> {
    match disk {
        Disk::Lasting => None,
        Disk::ShortLived(variable) => Some(format!(
            "the disk of this platform is short-lived ({variable} is set) and no server database is set"
        )),
    }
}

fn warning(login: &StoreUrl, reason: &str) -> Warning {
    let store = match login {
        StoreUrl::Sqlite(path) => format!("the SQLite file {}", path.display()),
        _ => "memory".to_owned(),
    };
    let sentence = format!(
        "{reason}. Login sessions are kept in {store}: they will NOT persist between requests or deploys. {SET_DATABASE_URL}"
    );
    Warning { sentence }
}
