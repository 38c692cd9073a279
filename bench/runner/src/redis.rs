//! A private Redis, one numbered database per server under measurement.
//!
//! Started once per run. Where Redis is measured for its speed alone, nothing is written to disk; where it stands for a
//! durable store, it keeps an append-only file, synced as the caller says.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::{Running, child, find, free_port, output};

const REMEDY: &str = "install Redis 6 or newer (Debian: apt-get install redis-server)";

/// What is on disk when a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing.
    Nothing,
    /// `appendfsync everysec`: what is older than about a second.
    EverySecond,
    /// `appendfsync always`: that write.
    EveryWrite,
}

impl Persistence {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Nothing => &["--appendonly", "no"],
            Self::EverySecond => &["--appendonly", "yes", "--appendfsync", "everysec"],
            Self::EveryWrite => &["--appendonly", "yes", "--appendfsync", "always"],
        }
    }
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Redis {
    /// Held so that the server lives as long as this value.
    _running: Running,
    port: u16,
}

impl Redis {
    /// Starts one that keeps nothing.
    ///
    /// # Errors
    /// When Redis is not installed or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, Persistence::Nothing)
    }

    /// Starts one. Its file, if it keeps one, lies in `folder`: one folder each.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub fn start_with(folder: &Path, persistence: Persistence) -> Result<Self> {
        let port = free_port()?;
        let mut server = child(&find("redis-server", REMEDY)?, "KILL");
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        server.args(persistence.settings());
        server.current_dir(folder).stdout(Stdio::null());
        let mut running = Running::start(&mut server, &folder.join("redis.log"))?;
        running
            .wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok())
            .context("the private Redis does not start")?;
        Ok(Self { _running: running, port })
    }

    /// Where a numbered database is.
    #[must_use]
    pub fn url(&self, database: usize) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Runs redis-benchmark against a database of its own and gives its CSV.
    ///
    /// # Errors
    /// When it is not installed or fails.
    pub fn benchmark(&self, arguments: &[String]) -> Result<String> {
        let mut command = Command::new(find("redis-benchmark", REMEDY)?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--dbnum", "15", "--csv"]);
        output(command.args(arguments))
    }
}
