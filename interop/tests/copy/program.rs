//! The program `sessile copy` as a test runs it: to its end, or killed on the way.

use serde_json::Value;
use sessile_core::portable::Sum;
use sessile_interop::servers::eventually;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Memory that a copy may take at most, however many rows there are.
const MEMORY_MAX: u64 = 160 << 20;
/// How long a copy may take to get where it is to be killed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the long version was asked for.
pub(crate) fn is_long() -> bool {
    std::env::var("SESSILE_TEST_LONG").is_ok_and(|value| value == "1")
}

/// The program as it is built beside the other binaries; built now when it is not.
pub(crate) async fn program() -> Outcome<PathBuf> {
    let file = Path::new(env!("CARGO_BIN_EXE_peer")).with_file_name("sessile");
    if !file.is_file() {
        let build = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "sessile-server"]).status();
        if !build.await?.success() || !file.is_file() {
            return Err(format!("{} is missing: run `cargo build -p sessile-server`", file.display()).into());
        }
    }
    Ok(file)
}

/// One way that something is copied.
pub(crate) struct Copy {
    folder: PathBuf,
    args: Vec<String>,
}

impl Copy {
    pub(crate) fn new(folder: &Path, from: &str, to: &str) -> Self {
        let args = ["copy", "--json", "--from", from, "--to", to];
        Self { folder: folder.to_owned(), args: args.map(str::to_owned).to_vec() }
    }

    pub(crate) fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    async fn command(&self, more: &[&str]) -> Outcome<Command> {
        let mut command = Command::new(program().await?);
        command.args(&self.args).args(more).env_clear().current_dir(&self.folder).kill_on_drop(true);
        command.env("SESSILE_DATA_DIR", self.folder.join("data")).stdin(Stdio::null());
        Ok(command)
    }

    async fn output(&self) -> Outcome<Output> {
        Ok(self.command(&[]).await?.output().await?)
    }

    /// Runs it to its end, which is to be `code`.
    pub(crate) async fn run(&self, code: i32) -> Outcome<Told> {
        let output = self.output().await?;
        let (said, told) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        if output.status.code() != Some(code) {
            return Err(
                format!("it ended with {:?}, not {code}: {said}\n{told}", output.status.code()).into()
            );
        }
        let lines: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let end =
            lines.iter().find(|line| line["step"] == "end").ok_or_else(|| format!("no end in: {told}"))?;
        Ok(Told { end: end.clone(), lines })
    }

    /// Runs it where it refuses; answers what it says.
    pub(crate) async fn refused(&self, code: i32) -> Outcome<String> {
        let output = self.output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(code) {
            return Err(format!("it ended with {:?}, not {code}: {said}", output.status.code()).into());
        }
        Ok(said)
    }

    /// Starts it, and kills it (`kill -9`) as soon as its checkpoint tells of so many rows; answers how many that were.
    pub(crate) async fn killed_after(&self, rows: u64) -> Outcome<u64> {
        let mut command = self.command(&["--batch", "100"]).await?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let reached = eventually("the copy's checkpoint", PATIENCE, async || {
            self.rows_in_checkpoint().filter(|reached| *reached >= rows)
        });
        let reached = reached.await?;
        child.kill().await?;
        // A copy that is done has removed its checkpoint: then this test has proven nothing.
        self.rows_in_checkpoint()
            .ok_or_else(|| format!("it was done before it was killed, at {reached} rows").into())
    }

    fn rows_in_checkpoint(&self) -> Option<u64> {
        let files = std::fs::read_dir(self.folder.join("data")).ok()?.flatten();
        let mut rows = None;
        for file in files.filter(|file| file.path().extension().is_some_and(|ext| ext == "json")) {
            let kept: Value = serde_json::from_str(&std::fs::read_to_string(file.path()).ok()?).ok()?;
            let counts = &kept["counts"];
            if kept["stage"] == "copying" {
                let of = |name: &str| counts[name].as_u64().unwrap_or_default();
                rows = Some(of("new") + of("renewed") + of("kept"));
            }
        }
        rows
    }
}

/// What a copy told.
pub(crate) struct Told {
    end: Value,
    pub(crate) lines: Vec<Value>,
}

impl Told {
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.end[name].as_u64().unwrap_or(u64::MAX)
    }

    pub(crate) fn digest(&self) -> &str {
        self.end["to"]["digest"].as_str().unwrap_or_default()
    }

    /// Both ends agree, and with what was put in.
    pub(crate) fn check(&self, expected: &Sum, what: &str) -> Outcome {
        let Self { end, .. } = self;
        let (rate, memory) = (self.number("rate"), self.number("peak_memory") >> 20);
        println!(
            "{what}: {} rows, {rate} a second, {memory} MiB at most, {}",
            expected.count(),
            self.digest()
        );
        assert_eq!(end["agree"], true, "{what}: {end}");
        for side in ["from", "to"] {
            assert_eq!(end[side]["count"].as_u64(), Some(expected.count()), "{what}: {end}");
            assert_eq!(end[side]["digest"].as_str(), Some(expected.to_string().as_str()), "{what}: {end}");
        }
        Ok(())
    }

    pub(crate) fn bounded_memory(&self) -> Outcome {
        let memory = self.number("peak_memory");
        if memory > MEMORY_MAX {
            return Err(
                format!("it took {} MiB, at most {} are allowed", memory >> 20, MEMORY_MAX >> 20).into()
            );
        }
        Ok(())
    }
}
