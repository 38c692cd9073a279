//! Wiring of the stores: login sessions with their fallback, users, and the ledger, as the configuration chose them.
//!
//! Called once at the start of `serve`, `dev` and `sweep`. The only place of the program that knows engines.

mod devices;

pub use devices::DeviceStores;
pub(crate) use devices::{Towards, look_at_devices, move_devices};

use crate::config::Config;
use crate::exit::Stop;
use crate::tour::Line;
use sessile::LoginStore;
use sessile_core::generation::GenerationStore;
use sessile_core::ledger::LedgerStore;
use sessile_core::user::UserDirectory;
use sessile_core::{Clock, StoreError};
use sessile_store::fallback::Fallback;
use sessile_store::generation::open_generations;
use sessile_store::ledger::{LedgerOptions, open_ledger};
use sessile_store::users::{MemoryUsers, PostgresUsers, SpooledUsers, SqliteUsers};
use sessile_store::{Choice, LoginOptions, OpenError, StoreUrl, open_logins};
use std::sync::Arc;
use std::time::Duration;

/// How often spooled arrivals are offered to the users' database.
const DRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// How long the store may take to be there at the start.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that is stored, behind its traits.
pub struct Stores {
    /// Login sessions.
    pub logins: Arc<dyn LoginStore>,
    /// The same, where a spool stands behind it: for metrics.
    pub fallback: Option<Arc<Fallback>>,
    /// Users.
    pub users: Arc<dyn UserDirectory>,
    /// Checkouts and payments; `None` in memory, where money is not kept.
    pub ledger: Option<Arc<dyn LedgerStore>>,
    /// Paid jobs; `None` where none are configured, and in memory.
    pub generations: Option<Arc<dyn GenerationStore>>,
    /// WhatsApp devices, once [`Stores::open_devices`] has opened them; `None` where none are configured.
    pub devices: Option<DeviceStores>,
    spooled_users: Option<Arc<SpooledUsers>>,
}

impl Stores {
    /// Opens both, and creates what is missing.
    ///
    /// # Errors
    /// [`Stop`] says what to do.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, Stop> {
        let opened = async {
            let (logins, fallback) = logins(config, clock).await?;
            let (users, spooled_users) = users(config).await?;
            // After the users, whose table it changes.
            let ledger = ledger(config).await?;
            let generations = generations(config).await?;
            Ok(Self { logins, fallback, users, ledger, generations, devices: None, spooled_users })
        };
        let late =
            || Stop::failed(format!("session storage did not answer within {} s", OPEN_TIMEOUT.as_secs()));
        tokio::time::timeout(OPEN_TIMEOUT, opened).await.map_err(|_| late())?
    }

    /// Opens the home of WhatsApp devices too: moves what is still in the other place, and is then the one process that
    /// keeps a journal here. For a process that runs devices; one that only looks uses `look_at_devices`.
    ///
    /// # Errors
    /// [`Stop`] says what to do.
    pub async fn open_devices(&mut self, config: &Config, clock: Arc<dyn Clock>) -> Result<(), Stop> {
        self.devices = devices::open(config, clock).await?;
        Ok(())
    }

    /// Hands over what was spooled for the users' database, until the future is dropped.
    pub fn drain_users(&self) -> impl Future<Output = ()> + Send + 'static {
        let spooled = self.spooled_users.clone();
        async move {
            let Some(users) = spooled else { return };
            loop {
                tokio::time::sleep(DRAIN_INTERVAL).await;
                match users.drain().await {
                    Ok(0) => {}
                    Ok(handed) => tracing::info!(handed, "spooled users handed over"),
                    Err(error) => tracing::debug!(%error, "spooled users wait"),
                }
            }
        }
    }
}

type Logins = (Arc<dyn LoginStore>, Option<Arc<Fallback>>);

async fn logins(config: &Config, clock: Arc<dyn Clock>) -> Result<Logins, Stop> {
    let options = options_for(&config.store.login, &config.login_options);
    let primary = open_logins(config.store.login_url.expose(), &options).await?;
    let line = config.line();
    // A line that can be cut is as good as a server that can be away.
    if !is_server(&config.store.login) && line.is_none() {
        return Ok((primary, None));
    }
    let primary = line.map_or(primary.clone(), |line| Line::logins(line, primary));
    let spool = config.in_data("login-spool.db");
    match Fallback::open(primary.clone(), &spool, &options, clock).await {
        Ok(fallback) => {
            let fallback = Arc::new(fallback);
            Ok((fallback.clone(), Some(fallback)))
        }
        // A read-only disk is no reason not to serve; it is one to say so.
        Err(error @ (OpenError::Unreachable { .. } | OpenError::Schema { .. })) => {
            tracing::warn!(%error, "without a spool nobody can sign in while the session store is away: make \
                SESSILE_DATA_DIR a folder that can be written");
            Ok((primary, None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Table names mean tables of a server or of the embedded file, not those of another engine.
pub(crate) fn options_for(url: &StoreUrl, options: &LoginOptions) -> LoginOptions {
    match url {
        StoreUrl::Postgres(_) => options.clone(),
        StoreUrl::Memory | StoreUrl::Sqlite(_) | StoreUrl::Redis(_) => {
            LoginOptions { schema: None, ..options.clone() }
        }
    }
}

pub(crate) const fn is_server(url: &StoreUrl) -> bool {
    matches!(url, StoreUrl::Postgres(_) | StoreUrl::Redis(_))
}

type Users = (Arc<dyn UserDirectory>, Option<Arc<SpooledUsers>>);

async fn users(config: &Config) -> Result<Users, Stop> {
    let table = &config.users_table;
    match &config.store.users {
        StoreUrl::Memory => Ok((Arc::new(MemoryUsers::default()), None)),
        StoreUrl::Postgres(url) => {
            Ok(spooled(config, Arc::new(PostgresUsers::open(url, table, Choice::Yes).await?)))
        }
        StoreUrl::Sqlite(path) => {
            let users: Arc<dyn UserDirectory> = Arc::new(SqliteUsers::open(path, table)?);
            Ok(if config.line().is_some() { spooled(config, users) } else { (users, None) })
        }
        // The configuration never puts users into Redis.
        StoreUrl::Redis(_) => Ok((Arc::new(SqliteUsers::open(&config.in_data("sessile.db"), table)?), None)),
    }
}

/// Users that can be away, with a spool behind them.
fn spooled(config: &Config, primary: Arc<dyn UserDirectory>) -> Users {
    let primary = config.line().map_or(primary.clone(), |line| Line::users(line, primary));
    match SqliteUsers::open(&config.in_data("users-spool.db"), &config.users_table) {
        Ok(spool) => {
            let users = Arc::new(SpooledUsers::new(primary, spool));
            (users.clone(), Some(users))
        }
        Err(error) => {
            tracing::warn!(%error, "without a spool nobody can sign in while the users' database is away");
            (primary, None)
        }
    }
}

/// Beside the users: a payment changes a user's tier in its own transaction.
async fn ledger(config: &Config) -> Result<Option<Arc<dyn LedgerStore>>, Stop> {
    let Some(url) = ledger_url(config) else { return Ok(None) };
    let ledger = open_ledger(&url, &ledger_options(config)).await?;
    Ok(Some(config.line().map_or(ledger.clone(), |line| Line::ledger(line, ledger))))
}

/// On Redis where it is configured, else beside the users.
async fn generations(config: &Config) -> Result<Option<Arc<dyn GenerationStore>>, Stop> {
    match config.generation.store.as_ref().filter(|_| config.generation.is_wanted()) {
        Some(url) => {
            let jobs = open_generations(url.expose()).await?;
            Ok(Some(config.line().map_or(jobs.clone(), |line| Line::generations(line, jobs))))
        }
        None => Ok(None),
    }
}

/// Where checkouts and payments are kept; `None` where they are not.
pub(crate) fn ledger_url(config: &Config) -> Option<String> {
    match &config.store.users {
        StoreUrl::Memory | StoreUrl::Redis(_) => None,
        StoreUrl::Postgres(url) => Some(url.clone()),
        StoreUrl::Sqlite(path) => Some(format!("sqlite:{}", path.display())),
    }
}

pub(crate) fn ledger_options(config: &Config) -> LedgerOptions {
    LedgerOptions { users_table: config.users_table.clone(), ..LedgerOptions::default() }
}

/// Which store is in use for what, as it was configured. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What it holds.
    pub(crate) what: &'static str,
    pub(crate) engine: &'static str,
    /// Host and database, or file.
    pub(crate) place: String,
}

impl Place {
    /// Those of checkouts and payments, and of paid jobs; the store of login sessions says itself which one it is.
    pub(crate) fn all_of(config: &Config) -> Vec<Self> {
        let jobs = config.generation.store.as_ref().filter(|_| config.generation.is_wanted());
        let of = |what, url: Option<String>| url.and_then(|url| Self::of(what, &url));
        let ledger = of("Checkouts and payments", ledger_url(config));
        let jobs = of("Paid jobs", jobs.map(|url| url.expose().to_owned()));
        [ledger, jobs].into_iter().flatten().collect()
    }

    fn of(what: &'static str, url: &str) -> Option<Self> {
        let (engine, place) = match StoreUrl::parse(url).ok()? {
            StoreUrl::Memory => ("memory", String::new()),
            StoreUrl::Sqlite(path) => ("sqlite", path.display().to_string()),
            StoreUrl::Postgres(url) => ("postgres", without_secrets(&url)),
            StoreUrl::Redis(url) => ("redis", without_secrets(&url)),
        };
        Some(Self { what, engine, place })
    }
}

/// Hosts and database of a URL: what stands between the credentials and the options.
fn without_secrets(url: &str) -> String {
    let one = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        rest.rsplit_once('@').map_or(rest, |(_, place)| place).to_owned()
    };
    // A list of nodes is several URLs, a failover pair is one with several hosts.
    let nodes: Vec<&str> = url.split(',').collect();
    if nodes.iter().all(|node| node.contains("://")) {
        return nodes.into_iter().map(one).collect::<Vec<_>>().join(", ");
    }
    one(url)
}

/// The innermost reason, which is the one that helps.
pub(crate) fn reason_of(error: &StoreError) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_no_password() {
        let told = |url| Place::of("x", url).map(|place| format!("{} {}", place.engine, place.place));
        assert_eq!(
            told("postgres://me:s3cret@a:5432,b:5433/app?password=s3cret").unwrap(),
            "postgres a:5432,b:5433/app"
        );
        assert_eq!(told("redis://:s3cret@cache:6379/1").unwrap(), "redis cache:6379/1");
        assert_eq!(told("redis://u:p@a:1,redis://u:p@b:2").unwrap(), "redis a:1, b:2");
        assert_eq!(told("sqlite:/data/sessile.db").unwrap(), "sqlite /data/sessile.db");
    }
}
