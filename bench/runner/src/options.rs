//! The command line of `bench/run`.
//!
//! A run of everything writes the report into docs/benchmarks; a partial one prints its table and writes nothing
//! unless it is told where.

use std::path::PathBuf;

use clap::Parser;

use crate::plan::{App, Contender, Scenario};

/// Measures session stores through HTTP, side by side, in one run.
#[derive(Debug, Parser)]
#[command(name = "bench/run")]
pub(crate) struct Options {
    /// One round of two seconds each, for tuning.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many rounds; every round measures everything once, in another order.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How many seconds one measurement counts.
    #[arg(long, default_value_t = 4)]
    pub(crate) seconds: u64,
    /// Only these scenarios.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1..)]
    pub(crate) only: Vec<Scenario>,
    /// Only these contenders.
    #[arg(long, value_enum, value_delimiter = ',', num_args = 1..)]
    pub(crate) apps: Vec<App>,
    /// Watch our server's memory for so many seconds of load [default: 300 in a run of everything, else 0].
    #[arg(long)]
    pub(crate) soak: Option<u64>,
    /// Where login.md and login.svg are written [default: docs/benchmarks in a run of everything].
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// The bench folder.
    #[arg(long, hide = true, default_value = ".")]
    pub(crate) bench: PathBuf,
    /// Where our own server was built.
    #[arg(long, hide = true, default_value = "target/release/bench-ours")]
    pub(crate) ours: PathBuf,
    /// Where the tower-sessions server was built.
    #[arg(long, hide = true, default_value = "target/tower-sessions/release/bench-tower-sessions")]
    pub(crate) tower: PathBuf,
}

const SOAK_SECONDS: u64 = 300;

impl Options {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds.max(1) }
    }

    pub(crate) fn seconds(&self) -> u64 {
        if self.quick { 2 } else { self.seconds.max(1) }
    }

    pub(crate) fn wants(&self, scenario: Scenario, contender: Contender) -> bool {
        (self.only.is_empty() || self.only.contains(&scenario))
            && (self.apps.is_empty() || self.apps.contains(&contender.app()))
    }

    /// A run of everything, fit to be published.
    pub(crate) fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty() && self.apps.is_empty()
    }

    pub(crate) fn soak_seconds(&self) -> u64 {
        self.soak.unwrap_or(if self.is_whole() { SOAK_SECONDS } else { 0 })
    }
}
