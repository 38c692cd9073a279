//! The servers under measurement: started once, each on its own database, seeded, then idle until their turn.
//!
//! Used by the rounds and the soak. It knows the contract's environment and nothing of what a server does with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use bench_load::{Kind, Requests, seed};

use crate::million;
use crate::options::Options;
use crate::plan::{Contender, SESSIONS, Server, Store, Stored};
use bench_runner::postgres::Postgres;
use bench_runner::process::{Running, child, find};
use bench_runner::redis::Redis;

/// Not a secret: the sessions it signs live as long as the run.
const SESSION_SECRET: &str = "benchmark-signing-key-benchmark-signing-key";

/// A server that is ready to be measured.
#[derive(Debug)]
pub(crate) struct Ready {
    running: Running,
    pub(crate) address: SocketAddr,
    pub(crate) loads: Requests,
    pub(crate) changes: Requests,
}

/// What every server is started from.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    pub(crate) options: &'a Options,
    pub(crate) folder: &'a Path,
    pub(crate) postgres: &'a Postgres,
    pub(crate) redis: &'a Redis,
}

impl Launcher<'_> {
    /// Starts and seeds a server. `place` is its number in the run, which chooses its Redis database.
    pub(crate) fn launch(&self, server: Server, place: usize) -> Result<Ready> {
        let name = server.name();
        let mut command = self.program(server.contender)?;
        if server.store == Store::Postgres {
            self.postgres.create_database(&name)?;
        }
        command
            .env("STORE", server.store.name())
            .env("DATABASE_URL", self.postgres.url(&name))
            .env("REDIS_URL", self.redis.url(place))
            .env("SQLITE_PATH", self.folder.join(format!("{name}.db")))
            .env("SESSION_SECRET", SESSION_SECRET)
            .env("TOUCH", server.touch.name())
            .env("PORT", "0")
            .env("NODE_ENV", "production")
            .stdout(Stdio::piped());
        let mut running = Running::start(&mut command, &self.folder.join(format!("{name}.log")))?;
        let port = running.listening().with_context(|| format!("the server {name} does not start"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let sessions = seed(address, SESSIONS)
            .with_context(|| format!("the server {name} could not be seeded\n{}", running.log_tail()))?;
        if server.stored == Stored::Million {
            million::fill(self.postgres, &name)?;
        }
        Ok(Ready {
            running,
            address,
            loads: Requests::new(Kind::Load, address, &sessions),
            changes: Requests::new(Kind::Set, address, &sessions),
        })
    }

    /// Whether a contender can run here; if not, a sentence that says why.
    pub(crate) fn missing(&self, contender: Contender) -> Option<String> {
        let (file, remedy) = match contender {
            Contender::Ours => (self.options.ours.clone(), "the package bench-ours is not built"),
            Contender::Tower => (self.options.tower.clone(), "bench/run builds it"),
            Contender::Express => (self.express().join("node_modules"), "bench/run installs it with npm ci"),
            _ => return None,
        };
        (!file.exists())
            .then(|| format!("{} is left out: {} is missing ({remedy}).", contender.name(), file.display()))
    }

    fn program(&self, contender: Contender) -> Result<Command> {
        match contender {
            Contender::Ours => Ok(child(&self.options.ours, "KILL")),
            Contender::Tower => Ok(child(&self.options.tower, "KILL")),
            _ => {
                let mut node = child(&find("node", "install Node.js 20 or newer")?, "KILL");
                node.arg(self.express().join("server.js"));
                Ok(node)
            }
        }
    }

    fn express(&self) -> PathBuf {
        self.options.bench.join("peers/express")
    }
}

impl Ready {
    pub(crate) fn log_tail(&self) -> String {
        self.running.log_tail()
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }
}
