//! The peer as a process of its own, for tests that need many of it or kill it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::Signal;

use crate::servers::{
    error::ServerError,
    folder::Folder,
    node::listening_port,
    process::{End, Launch, Process},
};

/// Names the folder for everything a test run leaves behind.
const OUTPUT: &str = "SESSILE_TEST_OUTPUT";

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running peer.
#[derive(Debug)]
pub struct PeerApp {
    // Before `_folder`: the process ends before its folder goes.
    process: Option<Process>,
    port: u16,
    log: PathBuf,
    _folder: Folder,
}

impl PeerApp {
    /// Runs `program`, which is `env!("CARGO_BIN_EXE_peer")` in our tests, with `env` added to ours, and waits until
    /// it listens. The port is a free one unless `env` sets `PORT`.
    ///
    /// # Errors
    /// When the program ends before it listens; the error shows what it said.
    pub async fn start(program: impl AsRef<Path>, env: &[(&str, &str)]) -> Result<Self, ServerError> {
        let folder = Folder::create("peer", None)?;
        let log = log_file(&folder)?;
        let own = [("PORT", "0")];
        let launch = Launch {
            server: "peer",
            program: program.as_ref().to_path_buf(),
            args: Vec::new(),
            env: own.iter().chain(env).map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            dir: folder.path().to_path_buf(),
            account: None,
            end: End::Kill,
            log: log.clone(),
        };
        let mut process = launch.start()?;
        let mut port = None;
        process
            .ready(async || {
                port = listening_port(&log);
                port.is_some()
            })
            .await?;
        let silent = || ServerError::Setup("the peer printed no port".to_owned());
        Ok(Self { process: Some(process), port: port.ok_or_else(silent)?, log, _folder: folder })
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Everything that it logged, one JSON object a line.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Kills it at once, as a machine that loses power would.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it is doing.
    pub async fn kill_9(&mut self) -> Result<(), ServerError> {
        self.end(Signal::KILL).await
    }

    /// Asks it to end in good order: requests under way are finished.
    ///
    /// # Errors
    /// When the operating system refuses to tell how it is doing.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        self.end(Signal::TERM).await
    }

    async fn end(&mut self, signal: Signal) -> Result<(), ServerError> {
        match self.process.take() {
            Some(process) => process.stop(signal).await,
            None => Ok(()),
        }
    }
}

/// Where the run's output is kept, or in the peer's own folder.
fn log_file(folder: &Folder) -> Result<PathBuf, ServerError> {
    let Some(output) = std::env::var_os(OUTPUT) else {
        return Ok(folder.path().join("peer.log"));
    };
    let logs = Path::new(&output).join("logs");
    fs::create_dir_all(&logs).map_err(ServerError::io(format!("create {}", logs.display())))?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let file = logs.join(format!("peer-{}-{number}.log", std::process::id()));
    // A process id comes again some day, and an old log would name an old port.
    let _ = fs::remove_file(&file);
    Ok(file)
}
