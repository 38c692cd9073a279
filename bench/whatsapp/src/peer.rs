//! The client's own SQLite store, in a process of its own: its driver links another SQLite than ours does, which Cargo
//! allows once per program. It is told what to do line by line, and answers with how long each took.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How durable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// `synchronous=FULL`, as ours is.
    Full,
    /// `synchronous=NORMAL`, as it is by itself: the last steps may be lost with the power.
    Usual,
}

impl Durability {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Usual => "normal",
        }
    }
}

/// The running peer, with a device that has logged in once.
pub(crate) struct Peer {
    pub(crate) durability: Durability,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Peer {
    pub(crate) async fn start(program: &Path, database: &Path, durability: Durability) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg(database).arg(durability.as_str()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().with_context(|| {
            format!("{} does not start: run bench/run-whatsapp, which builds it", program.display())
        })?;
        let orders = child.stdin.take().context("no way to tell the peer")?;
        let answers = BufReader::new(child.stdout.take().context("no way to hear the peer")?).lines();
        let mut peer = Self { durability, orders, answers, _child: child };
        peer.ask("link", 1).await?;
        Ok(peer)
    }

    /// `steps` in microseconds, `loads` in milliseconds.
    pub(crate) async fn ask(&mut self, what: &str, count: u32) -> Result<Vec<f64>> {
        self.orders.write_all(format!("{what} {count}\n").as_bytes()).await?;
        let Some(line) = self.answers.next_line().await? else { bail!("the peer ended at {what}") };
        line.split_whitespace().map(|number| number.parse().context("the peer's answer")).collect()
    }
}
