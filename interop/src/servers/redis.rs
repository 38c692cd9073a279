//! A private Redis, which tests may kill and restart.

use std::{path::Path, time::Duration};

use rustix::process::Signal;
use tokio::time::timeout;

use crate::servers::{
    error::{START_ATTEMPTS_MAX, ServerError},
    folder::Folder,
    ports,
    process::{End, Launch, Process, eventually, log_end},
    tools,
};

/// One attempt to connect and to be answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What a Redis remembers when it is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: a restart is a loss of all data, as with a cache.
    Nothing,
    /// Every acknowledged write (append-only file, synced at each write).
    EveryWrite,
    /// What an append-only file that is synced once a second holds (`appendfsync everysec`, Redis's default).
    EverySecond,
}

impl Persistence {
    /// `appendonly` and `appendfsync`.
    const fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("no", "always"),
            Self::EveryWrite => ("yes", "always"),
            Self::EverySecond => ("yes", "everysec"),
        }
    }
}

/// A running Redis.
#[derive(Debug)]
pub struct Redis {
    // Before `folder`: the server ends before its data goes.
    process: Option<Process>,
    launch: Launch,
    port: u16,
    _folder: Folder,
}

impl Redis {
    /// Starts one that remembers nothing over a restart.
    ///
    /// # Errors
    /// When it is not installed or does not come up; the error says which package or shows the log.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(Persistence::Nothing).await
    }

    /// Starts one that remembers what `persistence` says.
    ///
    /// # Errors
    /// As [`Redis::start`].
    pub async fn start_with(persistence: Persistence) -> Result<Self, ServerError> {
        Self::start_on(ports::free_port, persistence, &[]).await
    }

    /// Starts one on a port from `choose`, with more settings.
    pub(crate) async fn start_on(
        choose: impl Fn() -> Result<u16, ServerError>,
        persistence: Persistence,
        settings: &[(&str, &str)],
    ) -> Result<Self, ServerError> {
        let program = tools::find("redis-server", "redis-server")?;
        let folder = Folder::create("redis", None)?;
        let mut attempt = 1;
        loop {
            let port = choose()?;
            let launch = launch(&program, folder.path(), port, persistence, settings);
            match started(&launch, port).await {
                Ok(process) => {
                    return Ok(Self { process: Some(process), launch, port, _folder: folder });
                }
                Err(error) if error.is_port_taken() && attempt < START_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Where it listens, always on 127.0.0.1. The port stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_end(&self.launch.log)
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it is doing.
    pub async fn kill_9(&mut self) -> Result<(), ServerError> {
        self.end(Signal::KILL).await
    }

    /// Waits until everything that it has acknowledged is with the operating system: then killing it loses nothing, however
    /// it syncs. While a sync of `everysec` is under way, Redis answers first and writes up to two seconds later.
    ///
    /// # Errors
    /// [`ServerError::TimedOut`] when that does not come.
    pub async fn wait_until_written(&self) -> Result<(), ServerError> {
        eventually("Redis to have written what it acknowledged", ANSWER_LIMIT, async || {
            let info = ask(self.port, &["INFO", "persistence"]).await?;
            let calm = ["aof_pending_bio_fsync:0", "aof_buffer_length:0", "aof_rewrite_in_progress:0"];
            calm.iter().all(|line| info.lines().any(|said| said == *line)).then_some(())
        })
        .await
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it is doing.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        self.end(Signal::TERM).await
    }

    /// Stops it if it runs and starts it again on the same port, with the data that its persistence kept.
    ///
    /// # Errors
    /// When it does not come up again; the error shows the log.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.stop().await?;
        self.process = Some(started(&self.launch, self.port).await?);
        Ok(())
    }

    async fn end(&mut self, signal: Signal) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(signal).await,
            None => Ok(()),
        }
    }
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

fn launch(
    program: &Path,
    dir: &Path,
    port: u16,
    persistence: Persistence,
    settings: &[(&str, &str)],
) -> Launch {
    let (append, sync) = persistence.settings();
    let port = port.to_string();
    // No snapshots: they would be a second, older truth next to the append-only file.
    let own = [
        ("port", &*port),
        ("bind", "127.0.0.1"),
        ("save", ""),
        ("appendonly", append),
        ("appendfsync", sync),
    ];
    let pairs = own.iter().chain(settings);
    Launch {
        server: "redis",
        program: program.to_path_buf(),
        args: pairs.flat_map(|(name, value)| [format!("--{name}").into(), (*value).into()]).collect(),
        env: Vec::new(),
        dir: dir.to_path_buf(),
        account: None,
        end: End::Kill,
        log: dir.join("redis.log"),
    }
}

async fn started(launch: &Launch, port: u16) -> Result<Process, ServerError> {
    let mut process = launch.start()?;
    // A Redis that still loads its data answers PING with an error, so success means ready.
    process.ready(async || ask(port, &["PING"]).await.is_some()).await?;
    Ok(process)
}

/// Sends one command; `None` when there is no answer or an error.
pub(crate) async fn ask(port: u16, command: &[&str]) -> Option<String> {
    let (name, args) = command.split_first()?;
    let answer = async {
        let client = redis::Client::open(url(port)).ok()?;
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd(name).arg(args).query_async::<String>(&mut connection).await.ok()
    };
    timeout(ANSWER_LIMIT, answer).await.ok()?
}
