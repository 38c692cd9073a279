//! One server process: started in a process group of its own, watched while it comes up, ended on drop.
//!
//! Every process is tied to this one by the kernel's parent-death signal, so that a killed test run leaves no
//! server behind. That signal fires when the *thread* that started the child ends, not the process; therefore
//! one thread that lives as long as the process starts them all.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::servers::{account::Account, error::ServerError, tools};

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(20);
/// How long a server may take to answer after its start, crash recovery included.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long a signalled server may take to end before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Log lines shown in an error.
const LOG_LINES_MAX: usize = 20;

struct Job {
    command: Command,
    reply: mpsc::Sender<std::io::Result<Child>>,
}

static LAUNCHER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        for mut job in queue {
            let _ = job.reply.send(job.command.spawn());
        }
    });
    jobs
});

/// The signal on which a server ends with all its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// For a server without children.
    Kill,
    /// For Postgres: the postmaster ends its backends, then itself.
    Quit,
}

impl End {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Quit => Signal::QUIT,
        }
    }

    /// As `setpriv` spells it.
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// What to start, and how it ends.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) server: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dir: PathBuf,
    pub(crate) account: Option<Account>,
    /// Sent on drop, and by the kernel when this process dies.
    pub(crate) end: End,
    pub(crate) log: PathBuf,
}

impl Launch {
    /// Starts the process; it may not answer yet.
    pub(crate) fn start(&self) -> Result<Process, ServerError> {
        let what = format!("start {}", self.server);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(ServerError::io(format!("open {}", self.log.display())))?;
        let errors = log.try_clone().map_err(ServerError::io(&what))?;
        let mut command = Command::new(tools::find("setpriv", "util-linux")?);
        command
            .args(tools::switch_to(self.account))
            .arg(format!("--pdeathsig={}", self.end.name()))
            .arg("--")
            .arg(&self.program)
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let (reply, answer) = mpsc::channel();
        let gone = || ServerError::Setup(format!("cannot {what}: the starting thread is gone"));
        LAUNCHER.send(Job { command, reply }).map_err(|_| gone())?;
        let child = answer.recv().map_err(|_| gone())?.map_err(ServerError::io(&what))?;
        Ok(Process { child, server: self.server, end: self.end, log: self.log.clone() })
    }
}

/// A started server process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    server: &'static str,
    end: End,
    log: PathBuf,
}

impl Process {
    /// Its process id; the process started with it, so it is also its process group.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `answers` says so; a process that ends first is an error with its log.
    pub(crate) async fn ready(&mut self, mut answers: impl AsyncFnMut() -> bool) -> Result<(), ServerError> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Err(ServerError::Exited { server: self.server, status, log: log_end(&self.log) });
            }
            if answers().await {
                return Ok(());
            }
            if started.elapsed() > READY_LIMIT {
                let what = format!("{} to answer", self.server);
                return Err(ServerError::TimedOut { what, limit: READY_LIMIT, log: log_end(&self.log) });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends `signal` and waits for the end; past the limit the whole group is killed.
    pub(crate) async fn stop(mut self, signal: Signal) -> Result<(), ServerError> {
        self.signal(signal);
        let started = Instant::now();
        while self.exited()?.is_none() && started.elapsed() < STOP_LIMIT {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, ServerError> {
        self.child.try_wait().map_err(ServerError::io(format!("watch {}", self.server)))
    }

    /// Safe against reuse of the id: an ended child keeps its id until we collect it.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(self.end.signal());
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && started.elapsed() < STOP_LIMIT {
            std::thread::park_timeout(POLL);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }
}

/// Repeats `probe` until it answers `Some`, at most for `limit`. For tests, too: no test sleeps a fixed time.
///
/// # Errors
/// [`ServerError::TimedOut`] naming `what` when the limit passes.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T, ServerError> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if started.elapsed() > limit {
            return Err(ServerError::TimedOut { what: what.to_owned(), limit, log: String::new() });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The last lines of a log, for an error.
pub(crate) fn log_end(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
}
