//! A private Postgres in a temporary folder, durable as in production, one database per server under measurement.
//!
//! Started once per run. Checkpoints are spaced out so that none falls into a measurement; nothing that an answer's
//! durability depends on is relaxed.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{Running, child, find, free_port, output};

const REMEDY: &str = "install PostgreSQL 14 or newer (Debian: apt-get install postgresql)";
/// The account that runs the server when the benchmark itself is started by root, which Postgres refuses to be.
const SERVICE_ACCOUNT: &str = "postgres";
/// To Postgres: stop now, in order.
const STOP_SIGNAL: &str = "INT";
const USER: &str = "bench";

const SETTINGS: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=256MB",
    "max_connections=200",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "timezone=UTC",
];

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Postgres {
    running: Running,
    port: u16,
    data: PathBuf,
    pg_ctl: PathBuf,
}

impl Postgres {
    /// Makes and starts one in `folder`.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let data = folder.join("postgres");
        std::fs::create_dir(&data)?;
        if is_root()? {
            let id = |flag| -> Result<u32> {
                let text = output(Command::new("id").args([flag, SERVICE_ACCOUNT]));
                let text = text.context("Postgres does not run as root: create the account `postgres`")?;
                Ok(text.trim().parse()?)
            };
            chown(&data, Some(id("-u")?), Some(id("-g")?))?;
        }
        let mut initdb = unprivileged(&find("initdb", REMEDY)?)?;
        initdb.arg("-D").arg(&data).args(["-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        output(initdb.current_dir(folder)).context("the private Postgres could not be made")?;

        let port = free_port()?;
        let mut server = unprivileged(&find("postgres", REMEDY)?)?;
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]).current_dir(folder).stdout(Stdio::null());
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let running = Running::start(&mut server, &folder.join("postgres.log"))?;
        let mut postgres = Self { running, port, data, pg_ctl: find("pg_ctl", REMEDY)? };
        let ready = find("pg_isready", REMEDY)?;
        let port = port.to_string();
        postgres
            .running
            .wait_until(|| output(Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port])).is_ok())
            .context("the private Postgres does not start")?;
        Ok(postgres)
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// As Postgres says.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.sql("postgres", &format!("create database \"{name}\"")).map(drop)
    }

    /// Where a database is.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement and gives its rows, one a line, columns separated by `|`.
    ///
    /// # Errors
    /// As Postgres says.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = Command::new(find("psql", REMEDY)?);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.url(database));
        output(psql.args(["-c", statement]))
    }

    /// A command for one of Postgres' own programs; the database comes last.
    ///
    /// # Errors
    /// When the program is not installed.
    pub fn client(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(find(program, REMEDY)?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER]);
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A clean stop first: killing the first process alone would leave its shared memory behind.
        let Ok(mut stop) = unprivileged(&self.pg_ctl) else {
            return;
        };
        stop.args(["stop", "-m", "immediate", "-w", "-D"]).arg(&self.data);
        if let Some(folder) = self.data.parent() {
            stop.current_dir(folder);
        }
        if let Err(error) = output(&mut stop) {
            eprintln!("the private Postgres (process {}) did not stop: {error:#}", self.running.id());
        }
    }
}

/// The program itself, or through `setpriv` as the service account when we are root.
fn unprivileged(program: &Path) -> Result<Command> {
    if !is_root()? {
        return Ok(child(program, STOP_SIGNAL));
    }
    let Ok(setpriv) = find("setpriv", "install util-linux") else {
        bail!("Postgres does not run as root and `setpriv` is missing: run the benchmark as another user");
    };
    let mut command = Command::new(setpriv);
    let account = |option: &str| format!("--{option}={SERVICE_ACCOUNT}");
    command
        .args([account("reuid"), account("regid")])
        .args(["--clear-groups", "--pdeathsig", STOP_SIGNAL, "--"])
        .arg(program);
    Ok(command)
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}
