//! A Node program that serves HTTP on a port of its own choosing and prints `listening <port>`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::servers::{
    error::ServerError,
    folder::Folder,
    process::{End, Launch, Process, log_end},
    tools,
};

/// What the program prints before its port.
const LISTENING: &str = "listening ";

/// A running Node program.
#[derive(Debug)]
pub struct NodeApp {
    _process: Process,
    port: u16,
    log: PathBuf,
    _folder: Folder,
}

impl NodeApp {
    /// Runs `app.js` of the folder `dir` with `env` added to ours and `PORT=0`, and waits until it listens.
    ///
    /// # Errors
    /// When Node or the folder's packages are missing, or the program ends; the error says what to do.
    pub async fn start(dir: impl AsRef<Path>, env: &[(&str, &str)]) -> Result<Self, ServerError> {
        let dir = dir.as_ref();
        let program = tools::find("node", "nodejs")?;
        if !dir.join("node_modules").is_dir() {
            let advice = format!("no packages in {}: run `npm ci --prefix {0}`", dir.display());
            return Err(ServerError::Setup(advice));
        }
        let folder = Folder::create("node", None)?;
        let log = folder.path().join("node.log");
        let own = [("PORT", "0")];
        let launch = Launch {
            server: "node",
            program,
            args: vec![dir.join("app.js").into()],
            env: own.iter().chain(env).map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            dir: dir.to_path_buf(),
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
        let silent = || ServerError::Setup(format!("{} printed no port", dir.display()));
        Ok(Self { _process: process, port: port.ok_or_else(silent)?, log, _folder: folder })
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of what it printed.
    pub fn log(&self) -> String {
        log_end(&self.log)
    }
}

/// Only a whole line counts: half a number is a wrong number.
pub(crate) fn listening_port(log: &Path) -> Option<u16> {
    let text = fs::read_to_string(log).ok()?;
    let whole = &text[..text.rfind('\n')?];
    whole.lines().find_map(|line| line.strip_prefix(LISTENING)?.trim().parse().ok())
}
