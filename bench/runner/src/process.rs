//! Child processes that end with the run, and where to find programs.
//!
//! Used for the stores, the servers and the stores' own benchmarks. It must never end a process it did not start.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const LISTENING_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a failed program's errors is shown.
const LOG_TAIL_LINES: usize = 15;

/// A child that is killed when this value goes.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program whose standard error goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).context("the log file could not be made")?;
        let child = command
            .stdin(Stdio::null())
            .stderr(Stdio::from(file))
            .spawn()
            .with_context(|| format!("{} could not be started", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line `listening <port>` on the standard output, which must be piped.
    ///
    /// # Errors
    /// When that fails; the error shows the end of its log.
    pub fn listening(&mut self) -> Result<u16> {
        let output = self.child.stdout.take().context("the output is not piped")?;
        let (found, port) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(port) = line.strip_prefix("listening ").and_then(|text| text.trim().parse().ok())
                {
                    // Nobody waits any more after the first; later lines are read so that the pipe never fills.
                    let _ = found.send(port);
                }
            }
        });
        port.recv_timeout(LISTENING_TIMEOUT)
            .map_err(|_| anyhow::anyhow!("it never printed `listening <port>`\n{}", self.log_tail()))
    }

    /// Repeats `ready` until it is true.
    ///
    /// # Errors
    /// When the program ends or time runs out.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + LISTENING_TIMEOUT;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}\n{}", self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("it was not ready after {LISTENING_TIMEOUT:?}\n{}", self.log_tail());
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The end of what it said.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(LOG_TAIL_LINES))
            .map(|line| format!("    {line}\n"))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A program that the kernel ends when this one dies, however it dies, where `setpriv` is there to ask for it.
#[must_use]
pub fn child(program: &Path, signal: &str) -> Command {
    let Ok(setpriv) = find("setpriv", "") else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// Runs a program to its end and gives its standard output.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{name} could not be started"))?;
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program from PATH, or from the newest of Debian's Postgres folders.
///
/// # Errors
/// When there is none; the error says `remedy`.
pub fn find(program: &str, remedy: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut versions: Vec<PathBuf> = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort();
    places.extend(versions.into_iter().rev().map(|version| version.join("bin")));
    places
        .into_iter()
        .map(|place| place.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("`{program}` was not found: {remedy}"))
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("no free port")?.local_addr()?.port())
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "this program is one thread that waits for other programs")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
