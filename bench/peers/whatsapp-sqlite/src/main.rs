//! The client's own SQLite store, measured by the same calls as ours: `bench-whatsapp-sqlite FILE full|normal`, then a line
//! for each measurement on its standard input: `link 1`, `steps N`, `loads N`. It answers with a line of numbers.

#[path = "../../../whatsapp/src/work.rs"]
mod work;

use anyhow::{Context, Result, bail};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use whatsapp_rust_sqlite_storage::{SqliteStore, SqliteStoreConfig, Synchronous};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn open(file: &str, synchronous: Synchronous) -> Result<SqliteStore> {
    let config = SqliteStoreConfig { synchronous, ..SqliteStoreConfig::default() };
    Ok(SqliteStore::with_config(file, config).await?)
}

async fn loads(file: &str, synchronous: Synchronous, count: u32) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let store = open(file, synchronous).await?;
        work::read(&store).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, durability] = arguments.as_slice() else { bail!("bench-whatsapp-sqlite FILE full|normal") };
    let synchronous = if durability == "full" { Synchronous::Full } else { Synchronous::Normal };
    let mut store = Some(open(file, synchronous).await?);
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    while let Some(order) = orders.next_line().await? {
        let (what, count) = order.split_once(' ').context("WHAT COUNT")?;
        let count: u32 = count.parse()?;
        let took = match what {
            "link" => work::link(store.as_ref().context("a store")?).await.map(|()| Vec::new()),
            "steps" => work::steps(store.as_ref().context("a store")?, count).await,
            "loads" => {
                store = None;
                let took = loads(file, synchronous, count).await;
                store = Some(open(file, synchronous).await?);
                took
            }
            _ => bail!("{what} is not known"),
        }?;
        let numbers: Vec<String> = took.iter().map(f64::to_string).collect();
        out.write_all(format!("{}\n", numbers.join(" ")).as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}
