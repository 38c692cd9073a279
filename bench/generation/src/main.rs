//! `bench/run-generation`: Stripe's messages accepted a second (verified, recorded durably, answered), and statuses read
//! a second, ours and the usual Node handler's, in turns in one run.
//!
//! Both are whole programs behind the same load generator. A message counts when it was answered 200; afterwards the
//! store is asked whether it holds all that were.

mod jobs;
mod plan;
mod report;
mod requests;
mod servers;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_load::{Load, Measurement, measure};
use bench_runner::postgres::Postgres;
use clap::Parser;

use crate::plan::{Contender, Scenario, Store, Subject};
use crate::requests::{Questions, Webhooks};
use crate::servers::{Places, Turn};

/// Node compiles what is hot; nobody is measured before that.
const WARMUP: Duration = Duration::from_millis(1500);
/// Messages that are signed for each second of ours and of the peer's; running out fails the run.
const SIGNED_PER_SECOND: [usize; 2] = [150_000, 30_000];

/// Measures webhooks and status reads side by side.
#[derive(Debug, Parser)]
#[command(name = "bench/run-generation")]
struct Options {
    /// Rounds; every round measures everything once, in another order.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that one measurement counts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Keep-alive connections, each with one request under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Only these stores.
    #[arg(long, value_enum, value_delimiter = ',')]
    stores: Vec<Store>,
    /// Only these servers.
    #[arg(long, value_enum, value_delimiter = ',')]
    apps: Vec<Contender>,
    /// Leave the status reads out.
    #[arg(long, conflicts_with = "without_webhooks")]
    without_status: bool,
    /// Leave the webhooks out.
    #[arg(long)]
    without_webhooks: bool,
    /// Where generation.md is written.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Our program.
    #[arg(long, default_value = "../target/release/sessile")]
    ours: PathBuf,
}

impl Options {
    fn wants(&self, subject: Subject, contender: Contender) -> bool {
        let left_out = match subject.scenario {
            Scenario::Webhook => self.without_webhooks,
            Scenario::Status => self.without_status,
        };
        !left_out
            && (self.stores.is_empty() || self.stores.contains(&subject.store))
            && (self.apps.is_empty() || self.apps.contains(&contender))
    }
}

/// One server under one load, and what was found.
struct Cell {
    subject: Subject,
    contender: Contender,
    rounds: Vec<Measurement>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::Builder::new().prefix("bench-").tempdir().context("no temporary folder")?;
    // Postgres' own account passes through it to its data.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    let postgres = Postgres::start(folder.path())?;
    let places = Places {
        bench: std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("no folder of benchmarks")?,
        ours: &options.ours,
        folder: folder.path(),
        postgres: &postgres,
    };
    let mut cells: Vec<Cell> = Subject::ALL
        .into_iter()
        .flat_map(|subject| [Contender::Ours, Contender::Express].map(|contender| (subject, contender)))
        .filter(|(subject, contender)| options.wants(*subject, *contender))
        .map(|(subject, contender)| Cell { subject, contender, rounds: Vec::new() })
        .collect();
    for round in 0..options.rounds.max(1) {
        for (step, at) in order(cells.len(), round).into_iter().enumerate() {
            let Some(cell) = cells.get_mut(at) else { continue };
            let name = format!("turn_{round}_{step}");
            let found = turn(&options, &places, &name, cell)
                .with_context(|| format!("{}, {}", cell.subject.title(), cell.contender.name()))?;
            println!(
                "round {}  {:44} {:8} {:>8.0} /s  p99 {:>6.2} ms  generator at {:.0} % of a core",
                round + 1,
                cell.subject.title(),
                cell.contender.name(),
                found.per_second,
                found.p99.as_secs_f64() * 1e3,
                found.generator_cpu.unwrap_or_default() * 100.0
            );
            cell.rounds.push(found);
        }
    }
    let report = report::markdown(&options, &cells, &report::facts(&places)?);
    println!("\n{report}");
    if let Some(out) = &options.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("generation.md"), &report)?;
    }
    Ok(())
}

/// Contenders of one subject follow each other; who begins changes with the round.
fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.rotate_left((2 * round).checked_rem(count).unwrap_or(0));
    if round % 2 == 1 {
        order.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    }
    order
}

fn turn(options: &Options, places: &Places<'_>, name: &str, cell: &Cell) -> Result<Measurement> {
    let turn = Turn::start(places, name, cell.subject.store, cell.contender)?;
    let load = Load {
        server: turn.address,
        connections: options.connections,
        warmup: WARMUP,
        duration: Duration::from_secs(options.seconds),
    };
    let found = match cell.subject.scenario {
        Scenario::Status => measure(&load, &mut Questions::prepare(turn.address)),
        Scenario::Webhook => {
            let seconds = usize::try_from(options.seconds)? + 2;
            let mut messages =
                Webhooks::prepare(turn.address, seconds * SIGNED_PER_SECOND[cell.contender as usize])?;
            let found = measure(&load, &mut messages);
            if found.is_ok() {
                let (sent, recorded) = (messages.sent(), turn.recorded()?);
                if messages.ran_out() {
                    bail!("{sent} messages were too few: sign more");
                }
                if usize::try_from(recorded)? < sent {
                    bail!("{sent} messages were answered 200 and {recorded} are in the store");
                }
            }
            found
        }
    };
    let found = found.with_context(|| turn.running.log_tail())?;
    turn.end()?;
    Ok(found)
}
