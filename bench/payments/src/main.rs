//! `bench/run-payments`: completed payments a second (create, prepare, complete; each durable before it counts), ours
//! and the way peers do the same three steps, in turns in one process on one database server.
//!
//! It measures the services, without HTTP: what differs is what happens between the request and the disk.

mod buyers;
mod ours;
mod peer_postgres;
mod peer_sqlite;
mod report;

use anyhow::{Context, Result};
use buyers::{Contender, Round};
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures completed payments side by side.
#[derive(Debug, Parser)]
#[command(name = "bench/run-payments")]
struct Options {
    /// Rounds; every round measures everything once, in another order.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that one measurement counts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Buyers at the same time.
    #[arg(long, default_value_t = 64)]
    buyers: usize,
    /// Stored payments for the question whether the cost grows; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// Leave an engine (sqlite, postgres) or a contender (ours, peer) out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Where payments.md is written.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The Postgres server, with a database that may be filled.
    #[arg(long, env = "SESSILE_TEST_POSTGRES_URL")]
    postgres: Option<String>,
}

/// What is measured.
struct Cell {
    engine: &'static str,
    contender: Contender,
    rounds: Vec<Round>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut cells = cells(&options, folder.path()).await?;
    let count = Duration::from_secs(options.seconds);
    for round in 0..options.rounds.max(1) {
        let places = cells.len();
        for step in 0..places {
            let cell = &mut cells[(step + round) % places];
            let measured = buyers::measure(&cell.contender, options.buyers, count).await?;
            println!("round {} {:8} {:6} {:>8.0} payments/s", round + 1, cell.engine, cell.contender.name(), measured.rate);
            cell.rounds.push(measured);
        }
    }
    let mut report = report::table(&cells, options.buyers, options.rounds, options.seconds);
    if options.stored > 0 {
        report.push_str(&growth(&options, &cells, count).await?);
    }
    println!("\n{report}");
    if let Some(out) = &options.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("payments.md"), &report)?;
    }
    Ok(())
}

async fn cells(options: &Options, folder: &std::path::Path) -> Result<Vec<Cell>> {
    let wants = |engine: &str| !options.without.iter().any(|without| without == engine);
    let mut cells = Vec::new();
    let mut add = |engine, contender| cells.push(Cell { engine, contender, rounds: Vec::new() });
    if wants("sqlite") {
        let ours = format!("sqlite:{}", folder.join("ours.db").display());
        add("sqlite", Contender::Ours(ours::open(&ours).await?));
        add("sqlite", Contender::PeerSqlite(peer_sqlite::Peer::open(&folder.join("peer.db"))?));
    }
    if wants("postgres") {
        let url = options.postgres.as_deref().context(
            "no Postgres: run bench/run-payments, or set SESSILE_TEST_POSTGRES_URL, or --without postgres",
        )?;
        add("postgres", Contender::Ours(ours::open(url).await?));
        add("postgres", Contender::PeerPostgres(peer_postgres::Peer::open(url).await?));
    }
    cells.retain(|cell| wants(cell.contender.name()));
    Ok(cells)
}

/// The cost of one payment with few and with many rows stored.
async fn growth(options: &Options, cells: &[Cell], count: Duration) -> Result<String> {
    let mut lines = String::from("\n| stored payments | engine | payments/s |\n|---|---|---|\n");
    for cell in cells {
        let Contender::Ours(ours) = &cell.contender else { continue };
        for stored in [10_000, options.stored] {
            ours.fill(stored).await?;
            let mut rates = Vec::new();
            for _ in 0..options.rounds.max(1) {
                rates.push(buyers::measure(&cell.contender, options.buyers, count).await?.rate);
            }
            let rate = report::median(&mut rates);
            lines.push_str(&format!("| {stored} | {} | {rate:.0} |\n", cell.engine));
        }
    }
    Ok(lines)
}
