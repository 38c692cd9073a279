//! One turn's store and server. Both are new for every turn and gone after it, so that nothing one contender leaves behind
//! (messages to apply, a file to rewrite, a table to vacuum) falls into another's turn.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use bench_runner::postgres::Postgres;
use bench_runner::process::{Running, child, find, free_port};
use bench_runner::redis::{Persistence, Redis};
use tempfile::TempDir;

use crate::jobs;
use crate::plan::{Contender, Store};
use crate::requests::WEBHOOK_SECRET;

/// Not secrets: they live as long as the run.
const SESSION_SECRET: &str = "benchmark-signing-key-benchmark-signing-key";
const ADMIN_TOKEN: &str = "benchmark-operator-benchmark-operator";

/// Where things are.
pub(crate) struct Places<'p> {
    pub(crate) bench: &'p Path,
    pub(crate) ours: &'p Path,
    pub(crate) folder: &'p Path,
    pub(crate) postgres: &'p Postgres,
}

/// A server that is ready to be measured, on a store of its own.
pub(crate) struct Turn<'p> {
    pub(crate) address: SocketAddr,
    pub(crate) running: Running,
    store: Home<'p>,
    _folder: TempDir,
}

enum Home<'p> {
    Redis { address: SocketAddr, keys_before: u64, _running: Redis },
    Postgres { postgres: &'p Postgres, database: String, table: &'static str },
}

impl<'p> Turn<'p> {
    /// Starts both and makes the jobs. `name` is nobody else's in this run.
    pub(crate) fn start(places: &Places<'p>, name: &str, store: Store, contender: Contender) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("turn-").tempdir_in(places.folder)?;
        let (url, mut home) = match store {
            Store::RedisEverySecond => redis(folder.path(), Persistence::EverySecond)?,
            Store::RedisEveryWrite => redis(folder.path(), Persistence::EveryWrite)?,
            Store::Postgres => {
                places.postgres.create_database(name)?;
                let table = match contender {
                    Contender::Ours => "sessile_generation_event",
                    Contender::Express => "stripe_events",
                };
                let home = Home::Postgres { postgres: places.postgres, database: name.to_owned(), table };
                (places.postgres.url(name), home)
            }
        };
        let (address, running) = match contender {
            Contender::Ours => ours(places, folder.path(), &url)?,
            Contender::Express => express(places, folder.path(), &url, store)?,
        };
        match (contender, &home) {
            (Contender::Ours, _) => jobs::make_ours(&url)?,
            (Contender::Express, Home::Redis { address, .. }) => jobs::make_theirs_on_redis(*address)?,
            (Contender::Express, Home::Postgres { .. }) => {
                jobs::make_theirs_on_postgres(places.postgres, name)?
            }
        }
        if let Home::Redis { address, keys_before, .. } = &mut home {
            *keys_before = jobs::keys_on_redis(*address)?;
        }
        Ok(Self { address, running, store: home, _folder: folder })
    }

    /// Messages that the store holds.
    pub(crate) fn recorded(&self) -> Result<u64> {
        match &self.store {
            Home::Redis { address, keys_before, .. } => {
                Ok(jobs::keys_on_redis(*address)?.saturating_sub(*keys_before))
            }
            Home::Postgres { postgres, database, table } => {
                let count = postgres.sql(database, &format!("select count(*) from {table}"))?;
                count.trim().parse().context("Postgres counts in another way")
            }
        }
    }

    /// Ends the server, then its store.
    pub(crate) fn end(self) -> Result<()> {
        drop(self.running);
        match &self.store {
            Home::Postgres { postgres, database, .. } => {
                postgres.sql("postgres", &format!("drop database \"{database}\" with (force)"))?;
                // Its writing must not go on during the next turn.
                postgres.sql("postgres", "checkpoint").map(drop)
            }
            Home::Redis { .. } => Ok(()),
        }
    }
}

fn redis<'p>(folder: &Path, persistence: Persistence) -> Result<(String, Home<'p>)> {
    let redis = Redis::start_with(folder, persistence)?;
    let url = redis.url(0);
    let address = url.trim_start_matches("redis://").split('/').next().unwrap_or_default();
    let address = address.parse().context("Redis has another address")?;
    Ok((url, Home::Redis { address, keys_before: 0, _running: redis }))
}

/// `sessile serve` as in production, workers included; it logs warnings and worse, as the peer does.
fn ours(places: &Places<'_>, folder: &Path, url: &str) -> Result<(SocketAddr, Running)> {
    let port = free_port()?;
    let logins = folder.join("logins.db");
    let mut command = child(places.ours, "KILL");
    command
        .arg("serve")
        .env_clear()
        .envs([
            ("HOST", "127.0.0.1"),
            ("SESSION_SECRET", SESSION_SECRET),
            ("SESSILE_ADMIN_TOKEN", ADMIN_TOKEN),
            ("SESSILE_LOG", "warn"),
            ("STRIPE_SECRET_KEY", "sk_test_benchmark"),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET),
            ("STRIPE_API_URL", "http://127.0.0.1:9"),
        ])
        .env("PORT", port.to_string())
        .env("APP_URL", format!("http://127.0.0.1:{port}"))
        .env("SESSILE_DATA_DIR", folder);
    if url.starts_with("redis") {
        command.env("REDIS_URL", url).env("DATABASE_URL", format!("sqlite:{}", logins.display()));
    } else {
        command.env("DATABASE_URL", url);
    }
    command.stdout(Stdio::null());
    let mut running = Running::start(&mut command, &folder.join("ours.log"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    running.wait_until(|| TcpStream::connect(address).is_ok()).context("sessile does not start")?;
    Ok((address, running))
}

fn express(places: &Places<'_>, folder: &Path, url: &str, store: Store) -> Result<(SocketAddr, Running)> {
    let mut command = child(&find("node", "install Node.js 20 or newer")?, "KILL");
    command
        .arg(places.bench.join("peers/stripe/server.js"))
        .env("STORE", if store == Store::Postgres { "postgres" } else { "redis" })
        .env("DATABASE_URL", url)
        .env("REDIS_URL", url)
        .env("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("PORT", "0")
        .env("NODE_ENV", "production")
        .stdout(Stdio::piped());
    let mut running = Running::start(&mut command, &folder.join("express.log"))?;
    let port = running.listening().context("the peer does not start")?;
    Ok((SocketAddr::from(([127, 0, 0, 1], port)), running))
}
