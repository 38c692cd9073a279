//! A private Redis without persistence, one numbered database per server under measurement.
//!
//! Started once per run. Redis is measured for its speed alone, so nothing is written to disk.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::{Running, child, find, free_port, output};

const REMEDY: &str = "install Redis 6 or newer (Debian: apt-get install redis-server)";

#[derive(Debug)]
pub(crate) struct Redis {
    /// Held so that the server lives as long as this value.
    _running: Running,
    port: u16,
}

impl Redis {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut server = child(&find("redis-server", REMEDY)?, "KILL");
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        server.current_dir(folder).stdout(Stdio::null());
        let mut running = Running::start(&mut server, &folder.join("redis.log"))?;
        running
            .wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok())
            .context("the private Redis does not start")?;
        Ok(Self { _running: running, port })
    }

    pub(crate) fn url(&self, database: usize) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Runs redis-benchmark against a database of its own and gives its CSV.
    pub(crate) fn benchmark(&self, arguments: &[String]) -> Result<String> {
        let mut command = Command::new(find("redis-benchmark", REMEDY)?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--dbnum", "15", "--csv"]);
        output(command.args(arguments))
    }
}
