//! `sessile serve`, or another of the program's commands that goes on, as a process that can be killed and comes back, on
//! its port and with the same data.

use crate::load::Outcome;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use sessile_interop::servers::eventually;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long the program may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long one of its commands may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// The program.
pub(crate) struct Server {
    // Before `folder`: the process ends before its data goes.
    child: Option<Child>,
    does: &'static str,
    port: u16,
    env: Vec<(&'static str, String)>,
    http: Client,
    log: PathBuf,
    folder: TempDir,
}

impl Server {
    pub(crate) fn new(
        name: &str,
        port: u16,
        env: Vec<(&'static str, String)>,
        http: Client,
    ) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let log = match std::env::var_os("SESSILE_TEST_OUTPUT") {
            Some(output) => {
                let logs = PathBuf::from(output).join("logs");
                std::fs::create_dir_all(&logs)?;
                logs.join(format!("{name}-{}.log", std::process::id()))
            }
            None => folder.path().join("sessile.log"),
        };
        Ok(Self { child: None, does: "serve", port, env, http, log, folder })
    }

    /// From its next start on, with this setting; `None` takes it away.
    pub(crate) fn set(&mut self, name: &'static str, value: Option<&str>) {
        self.env.retain(|(known, _)| *known != name);
        self.env.extend(value.map(|value| (name, value.to_owned())));
    }

    /// Whether it does not run, or has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Outcome<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Does this instead of serving.
    pub(crate) fn doing(mut self, command: &'static str) -> Self {
        self.does = command;
        self
    }

    /// Where it keeps its data when no database was named, as an address.
    pub(crate) fn file_url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("data/sessile.db").display())
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything on its disk is gone, as after a deploy. It must not be running.
    pub(crate) fn lose_disk(&self) -> Outcome {
        Ok(std::fs::remove_dir_all(self.data())?)
    }

    /// It does nothing any more, and does not know.
    pub(crate) fn pause(&self) -> Outcome {
        self.signal(Signal::STOP)
    }

    /// It goes on where it was.
    pub(crate) fn resume(&self) -> Outcome {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Outcome {
        let id = self.child.as_ref().and_then(Child::id).ok_or("it does not run")?;
        let id = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or("its process has no id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Bytes of memory that it holds now, as the kernel counts them.
    pub(crate) fn memory(&self) -> Outcome<u64> {
        let id = self.child.as_ref().and_then(Child::id).ok_or("it does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Starts and is ready.
    pub(crate) async fn start(&mut self) -> Outcome {
        self.spawn().await?;
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let ready = async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        let came_up = eventually("the program to be ready", READY_LIMIT, ready).await;
        came_up.map_err(|error| format!("{error}; it said:\n{}", self.said()).into())
    }

    /// Starts, and leaves it to itself.
    pub(crate) async fn spawn(&mut self) -> Outcome {
        self.kill_9().await?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = self.command(&[self.does]).await?;
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Kills it at once, as a machine that loses power would.
    pub(crate) async fn kill_9(&mut self) -> Outcome {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// One of its other commands, with the same settings, to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Outcome<Output> {
        let run = self.command(args).await?.output();
        Ok(tokio::time::timeout(COMMAND_LIMIT, run).await??)
    }

    async fn command(&self, args: &[&str]) -> Outcome<Command> {
        // Tied to this process by the kernel: a killed test run leaves no server behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "--"]).arg(binary().await?).args(args);
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("SESSILE_DATA_DIR", self.folder.path().join("data"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        Ok(command)
    }
}

/// The program as it is built beside the other binaries; built now when it is not.
async fn binary() -> Outcome<PathBuf> {
    let file = Path::new(env!("CARGO_BIN_EXE_peer")).with_file_name("sessile");
    if !file.is_file() {
        let build = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "sessile-server"]).status();
        if !build.await?.success() || !file.is_file() {
            return Err(format!("{} is missing: run `cargo build -p sessile-server`", file.display()).into());
        }
    }
    Ok(file)
}
