//! `bench/run-whatsapp`: one committed ratchet step and the load of a device, ours on each engine and the client's own SQLite
//! store, in turns; and what many devices in one process take of its memory.

mod ours;
mod peer;
mod report;
mod work;

use anyhow::{Context, Result};
use clap::Parser;
use ours::{Engine, Ours};
use peer::{Durability, Peer};
use std::path::{Path, PathBuf};
use tokio::process::Command;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the storage of WhatsApp devices side by side.
#[derive(Debug, Parser)]
#[command(name = "bench/run-whatsapp")]
struct Options {
    /// Rounds; every round measures everything once, in another order.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Steps of one measurement.
    #[arg(long, default_value_t = 400)]
    steps: u32,
    /// Loads of one measurement.
    #[arg(long, default_value_t = 20)]
    loads: u32,
    /// Devices in one process, for the question of memory; 0 leaves it out.
    #[arg(long, default_value_t = 200)]
    devices: u32,
    /// Leave an engine (files, sqlite, postgres) or the peer out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Where whatsapp.md is written.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The Postgres server, with a database that may be filled.
    #[arg(long, env = "SESSILE_TEST_POSTGRES_URL")]
    postgres: Option<String>,
    /// The peer's program.
    #[arg(long, env = "BENCH_WHATSAPP_PEER")]
    peer: Option<PathBuf>,
    /// Only open the devices of this file and say what each takes; for the process that is measured.
    #[arg(long, hide = true)]
    open: Option<PathBuf>,
}

/// Who is measured.
enum Contender {
    Ours(Box<Ours>),
    Peer(Box<Peer>),
}

/// What is measured of one, a median for each round.
struct Cell {
    name: String,
    contender: Contender,
    steps: Vec<f64>,
    loads: Vec<f64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(path) = &options.open {
        println!("{}", ours::memory_of_many(path, options.devices).await?);
        return Ok(());
    }
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut cells = cells(&options, folder.path()).await?;
    for round in 0..options.rounds.max(1) {
        let places = cells.len();
        for step in 0..places {
            let cell = &mut cells[(step + round) % places];
            measure(cell, &options).await?;
            let (step, load) = (cell.steps.last(), cell.loads.last());
            println!(
                "round {} {:16} {:>8.0} µs a step {:>8.1} ms a load",
                round + 1,
                cell.name,
                step.unwrap_or(&0.0),
                load.unwrap_or(&0.0)
            );
        }
    }
    let bytes = match options.devices {
        0 => None,
        count => Some(memory(folder.path(), count).await?),
    };
    let report = report::table(&cells, &options, bytes);
    println!("\n{report}");
    if let Some(out) = &options.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("whatsapp.md"), &report)?;
    }
    Ok(())
}

async fn cells(options: &Options, folder: &Path) -> Result<Vec<Cell>> {
    let wants = |engine: &str| !options.without.iter().any(|without| without == engine);
    let mut engines = vec![Engine::Files(folder.join("files")), Engine::Sqlite(folder.join("ours.db"))];
    if wants("postgres") {
        let url = options.postgres.clone().context(
            "no Postgres: run bench/run-whatsapp, or set SESSILE_TEST_POSTGRES_URL, or --without postgres",
        )?;
        engines.push(Engine::Postgres(url));
    }
    let mut cells = Vec::new();
    let mut add = |name: String, contender| {
        cells.push(Cell { name, contender, steps: Vec::new(), loads: Vec::new() });
    };
    for engine in engines.into_iter().filter(|engine| wants(engine.name())) {
        let ours = Ours::linked(engine).await?;
        add(format!("ours, {}", ours.engine.name()), Contender::Ours(Box::new(ours)));
    }
    if wants("peer") {
        let program =
            options.peer.as_deref().context("no peer: run bench/run-whatsapp, or --without peer")?;
        for durability in [Durability::Full, Durability::Usual] {
            let (name, file) = match durability {
                Durability::Full => ("peer, FULL", "full.db"),
                Durability::Usual => ("peer, NORMAL", "normal.db"),
            };
            let peer = Peer::start(program, &folder.join(file), durability).await?;
            add(name.to_owned(), Contender::Peer(Box::new(peer)));
        }
    }
    Ok(cells)
}

async fn measure(cell: &mut Cell, options: &Options) -> Result<()> {
    let (steps, loads) = match &mut cell.contender {
        Contender::Ours(ours) => (ours.steps(options.steps).await?, ours.loads(options.loads).await?),
        Contender::Peer(peer) => {
            (peer.ask("steps", options.steps).await?, peer.ask("loads", options.loads).await?)
        }
    };
    cell.steps.push(report::median(&steps));
    cell.loads.push(report::median(&loads));
    Ok(())
}

/// Memory of each of many devices, in a process that does nothing else.
async fn memory(folder: &Path, count: u32) -> Result<u64> {
    let path = folder.join("many.db");
    ours::link_many(&path, count).await?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--open").arg(&path).arg("--devices").arg(count.to_string());
    let output = command.output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().context("bytes of a device")
}
