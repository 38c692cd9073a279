//! `bench/run`: starts private stores and every contender, measures them in turns, writes the report.
//!
//! One thread that waits for other programs. It must never leave one of them behind, nor weaken a store's durability
//! for anybody.

mod chart;
mod machine;
mod million;
mod native;
mod options;
mod plan;
mod report;
mod results;
mod rounds;
mod servers;
mod soak;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bench_runner::{postgres, redis};
use clap::{Parser, ValueEnum};

use crate::native::Pgbench;
use crate::options::Options;
use crate::plan::{App, Contender, Scenario};
use crate::report::Run;
use crate::results::Results;
use crate::rounds::{Bench, Cell};
use crate::servers::Launcher;
use crate::soak::Memory;

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::Builder::new().prefix("bench-").tempdir().context("no temporary folder")?;
    // Postgres' own account passes through it to its data.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    let postgres = postgres::Postgres::start(folder.path())?;
    let redis = redis::Redis::start(folder.path())?;
    let launcher = Launcher { options: &options, folder: folder.path(), postgres: &postgres, redis: &redis };

    let cells = cells(&options, &launcher)?;
    let mut bench = Bench {
        postgres: &postgres,
        redis: &redis,
        pgbench: None,
        servers: BTreeMap::new(),
        seconds: options.seconds(),
    };
    if cells.iter().any(|(_, contender)| contender.app() == App::Pgbench) {
        bench.pgbench = Some(Pgbench::prepare(&postgres, folder.path())?);
    }
    let servers: BTreeSet<_> =
        cells.iter().filter_map(|(scenario, contender)| scenario.server(*contender)).collect();
    for (place, server) in servers.into_iter().enumerate() {
        println!("starting and seeding {}", server.name());
        bench.servers.insert(server, launcher.launch(server, place)?);
    }
    let results = bench.run(&cells, options.rounds())?;
    let memory = watch_memory(&options, &mut bench)?;
    println!("\n{}", report::tables(&results, memory.as_ref()));

    if let Some(out) = out_folder(&options, &cells) {
        let facts = machine::facts(&options, &postgres, folder.path())?;
        let run = Run { rounds: options.rounds(), seconds: options.seconds() };
        fs::create_dir_all(&out)?;
        fs::write(out.join("login.md"), report::markdown(&results, memory.as_ref(), &facts, run))?;
        fs::write(out.join("login.svg"), chart::svg(&results))?;
        println!("Written: {} and login.svg beside it.", out.join("login.md").display());
    }
    fail_on_missed_targets(&options, &results, memory.as_ref())
}

/// What is measured: everything that was chosen and can run here.
fn cells(options: &Options, launcher: &Launcher<'_>) -> Result<Vec<Cell>> {
    let mut missing = BTreeMap::new();
    let mut cells = Vec::new();
    for scenario in Scenario::value_variants() {
        for contender in scenario.contenders() {
            if !options.wants(*scenario, *contender) {
                continue;
            }
            match launcher.missing(*contender) {
                Some(sentence) => drop(missing.insert(*contender, sentence)),
                None => cells.push((*scenario, *contender)),
            }
        }
    }
    for sentence in missing.values() {
        println!("{sentence}");
    }
    if cells.is_empty() {
        bail!("nothing is left to measure: choose other --only and --apps, or build what is missing");
    }
    Ok(cells)
}

fn watch_memory(options: &Options, bench: &mut Bench<'_>) -> Result<Option<Memory>> {
    let seconds = options.soak_seconds();
    if seconds == 0 {
        return Ok(None);
    }
    let ready =
        Scenario::LoadPostgres.server(Contender::Ours).and_then(|server| bench.servers.get_mut(&server));
    match ready {
        Some(ready) => soak::soak(ready, seconds).map(Some),
        None => {
            println!(
                "The soak is left out: it watches our own server on Postgres, which is not part of this run."
            );
            Ok(None)
        }
    }
}

/// A run without our own server, or of a part, is not published unless it is told where.
fn out_folder(options: &Options, cells: &[Cell]) -> Option<PathBuf> {
    let whole = options.is_whole() && cells.iter().any(|(_, contender)| *contender == Contender::Ours);
    options.out.clone().or_else(|| whole.then(|| options.bench.join("../docs/benchmarks")))
}

/// A quick run is for looking; a full one says by its exit status whether the targets are met.
fn fail_on_missed_targets(options: &Options, results: &Results, memory: Option<&Memory>) -> Result<()> {
    let missed = results.verdicts().iter().filter(|verdict| !verdict.is_met()).count();
    let grown = memory.is_some_and(|memory| !memory.is_flat());
    if options.is_whole() && (missed > 0 || grown) {
        bail!(
            "{missed} ratios are below their targets, memory is {}",
            if grown { "growing" } else { "flat" }
        );
    }
    Ok(())
}
