//! A private Postgres with durable settings, which tests may kill and restart.
//!
//! Durability stays on (`fsync`, `synchronous_commit`): tests that kill the server ask what was really
//! committed. Every connection uses a SCRAM password, as hosted databases do.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::servers::{
    account::Account,
    error::{START_ATTEMPTS_MAX, ServerError},
    folder::Folder,
    ports,
    process::{End, Launch, Process, eventually, log_end},
    tools,
};

/// The superuser's name.
const SUPERUSER: &str = "sessile";
/// The database that exists from the start.
const FIRST_DATABASE: &str = "postgres";
/// One attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long killed processes may take to leave the process table.
const DEATH_LIMIT: Duration = Duration::from_secs(10);
/// The line of `postmaster.pid` with the System V shared memory: `key id`.
const SHARED_MEMORY_LINE: usize = 6;
const SETTINGS: [&str; 9] = [
    "fsync=on",
    "synchronous_commit=on",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
    "timezone=UTC",
    "log_timezone=UTC",
    "huge_pages=off",
    "logging_collector=off",
    "max_wal_size=256MB",
];

/// A running Postgres.
#[derive(Debug)]
pub struct Postgres {
    // Before `folder`: the server ends before its data goes.
    process: Option<Process>,
    launch: Launch,
    port: u16,
    password: String,
    folder: Folder,
}

impl Postgres {
    /// Creates a cluster in a temporary folder and starts it.
    ///
    /// # Errors
    /// When Postgres is not installed or does not come up; the error says which package or shows the log.
    pub async fn start() -> Result<Self, ServerError> {
        let programs = tools::postgres_programs()?;
        let account = Account::unprivileged()?;
        let folder = Folder::create("postgres", account)?;
        let password = random_password()?;
        let data = create_cluster(&programs, &folder, account, &password).await?;
        let mut attempt = 1;
        loop {
            let port = ports::free_port()?;
            let launch = launch(&programs, &folder, &data, account, port);
            match started(&launch, &url(SUPERUSER, &password, port, FIRST_DATABASE)).await {
                Ok(process) => {
                    return Ok(Self { process: Some(process), launch, port, password, folder });
                }
                Err(error) if error.is_port_taken() && attempt < START_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The superuser's URL of the database that exists from the start.
    pub fn url(&self) -> String {
        self.url_for_role(SUPERUSER, &self.password, FIRST_DATABASE)
    }

    /// The URL of `database` for a role that a test created.
    pub fn url_for_role(&self, role: &str, password: &str, database: &str) -> String {
        url(role, password, self.port, database)
    }

    /// Creates an empty database and answers the superuser's URL of it.
    ///
    /// # Errors
    /// When the name is taken or the server does not answer.
    pub async fn create_database(&self, name: &str) -> Result<String, ServerError> {
        self.execute(&format!("create database \"{}\"", name.replace('"', "\"\""))).await?;
        Ok(self.url_for_role(SUPERUSER, &self.password, name))
    }

    /// Runs SQL statements as the superuser in the first database.
    ///
    /// # Errors
    /// When the server refuses them or does not answer.
    pub async fn execute(&self, sql: &str) -> Result<(), ServerError> {
        let refused = |source| ServerError::Postgres { what: format!("run `{sql}`"), source };
        connect(&self.url()).await?.batch_execute(sql).await.map_err(refused)
    }

    /// Where it listens, always on 127.0.0.1. The port stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        log_end(&self.launch.log)
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Kills the server and all its backends at once, as a machine that loses power would.
    ///
    /// # Errors
    /// When a killed process does not go away.
    pub async fn kill_9(&mut self) -> Result<(), ServerError> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let backends = children_of(process.pid());
        process.stop(Signal::KILL).await?;
        for backend in &backends {
            if let Some(pid) = Pid::from_raw(backend.cast_signed()) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let gone = async || backends.iter().all(|pid| !is_alive(*pid)).then_some(());
        eventually("killed backends to go", DEATH_LIMIT, gone).await?;
        self.remove_remains().await;
        Ok(())
    }

    /// Stops the server if it runs and starts it again with the same data on the same port.
    ///
    /// # Errors
    /// When it does not come up again; the error shows the log.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await?;
        self.process = Some(started(&self.launch, &self.url()).await?);
        Ok(())
    }

    /// Stops the server in good order (connections are ended, data is flushed).
    ///
    /// # Errors
    /// When the operating system refuses to tell how the server is doing.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(Signal::INT).await,
            None => Ok(()),
        }
    }

    /// A killed server leaves a pid file, whose number may by then be someone else's process, and a few bytes
    /// of System V shared memory, which nobody would ever remove.
    async fn remove_remains(&self) {
        let pid_file = self.folder.path().join("data/postmaster.pid");
        let Ok(text) = fs::read_to_string(&pid_file) else {
            return;
        };
        let memory = text.lines().nth(SHARED_MEMORY_LINE).and_then(|line| line.split_whitespace().nth(1));
        if let (Some(id), Ok(ipcrm)) = (memory, tools::find("ipcrm", "util-linux")) {
            // A segment that is gone already is what we want.
            let _ = tools::run(&ipcrm, &["-m", id], Path::new("/"), None).await;
        }
        let _ = fs::remove_file(pid_file);
    }
}

/// Connects within a limit; the connection's task ends with the client.
pub(crate) async fn connect(url: &str) -> Result<Client, ServerError> {
    let attempt = timeout(CONNECT_LIMIT, tokio_postgres::connect(url, NoTls)).await;
    let (client, connection) = attempt
        .map_err(|_| ServerError::TimedOut {
            what: "a connection".into(),
            limit: CONNECT_LIMIT,
            log: String::new(),
        })?
        .map_err(|source| ServerError::Postgres { what: "accept a connection".into(), source })?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(client)
}

/// A URL with its parts percent-encoded.
pub(crate) fn url(role: &str, password: &str, port: u16, database: &str) -> String {
    let base = Url::parse(&format!("postgres://127.0.0.1:{port}/"));
    let whole = base.map(|mut url| {
        url.set_path(database);
        let _ = url.set_username(role);
        let _ = url.set_password(Some(password));
        url.to_string()
    });
    whole.unwrap_or_default()
}

async fn create_cluster(
    programs: &Path,
    folder: &Folder,
    account: Option<Account>,
    password: &str,
) -> Result<PathBuf, ServerError> {
    let password_file = folder.write("password", password)?;
    let data = folder.path().join("data");
    let pwfile = format!("--pwfile={}", password_file.display());
    let pgdata = format!("--pgdata={}", data.display());
    let user = format!("--username={SUPERUSER}");
    // `--no-sync` concerns the creation alone; the server itself syncs.
    let options =
        ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"];
    let args: Vec<_> = [&*pgdata, &*user, &*pwfile].into_iter().chain(options).collect();
    tools::run(&programs.join("initdb"), &args, folder.path(), account).await?;
    Ok(data)
}

fn launch(programs: &Path, folder: &Folder, data: &Path, account: Option<Account>, port: u16) -> Launch {
    let sockets = format!("unix_socket_directories={}", folder.path().display());
    let port = format!("port={port}");
    let settings = SETTINGS.iter().copied().chain([&*sockets, &*port]);
    let mut args = vec!["-D".into(), data.into()];
    args.extend(settings.flat_map(|setting| ["-c".into(), setting.into()]));
    Launch {
        server: "postgres",
        program: programs.join("postgres"),
        args,
        env: Vec::new(),
        dir: folder.path().to_path_buf(),
        account,
        end: End::Quit,
        log: folder.path().join("postgres.log"),
    }
}

async fn started(launch: &Launch, url: &str) -> Result<Process, ServerError> {
    let mut process = launch.start()?;
    process.ready(async || connect(url).await.is_ok()).await?;
    Ok(process)
}

fn random_password() -> Result<String, ServerError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| ServerError::Setup(format!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Processes whose parent is `parent`. Backends are in process groups of their own, so a group would miss them.
fn children_of(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| state_and_parent(*pid).is_some_and(|(_, found)| found == parent))
        .collect()
}

/// A zombie is dead; in a container nobody may ever collect it.
fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| !matches!(&*state, "Z" | "X"))
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name is in parentheses and may hold anything, parentheses included.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
