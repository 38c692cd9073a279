//! The facts about the machine and the versions that a reader needs to judge the numbers.
//!
//! It never tells paths, host names or accounts.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::options::Options;
use crate::postgres::Postgres;
use crate::process::output;

const SYNCS: usize = 200;
const PAGE_BYTES: usize = 8192;

/// Name and value, in the order they are printed.
pub(crate) type Facts = Vec<(&'static str, String)>;

pub(crate) fn facts(options: &Options, postgres: &Postgres, folder: &Path) -> Result<Facts> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = kernel.trim().split(['.', '-']).take(2).collect();
    let version = |program: &str| output(Command::new(program).arg("--version")).unwrap_or_default();
    let redis = version("redis-server");
    let redis = redis.split("v=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let modules = options.bench.join("peers/express/node_modules");
    let package =
        |name: &str| format!("{name} {}", package_version(&modules.join(name).join("package.json")));
    let lock = fs::read_to_string(options.bench.join("peers/tower-sessions/Cargo.lock")).unwrap_or_default();
    let krate = |name: &str| format!("{name} {}", locked_version(&lock, name));
    Ok(vec![
        ("cores", format!("{cores}, shared by stores, servers and load generator")),
        ("processor", from_proc("/proc/cpuinfo", "model name")),
        ("memory", memory()),
        ("kernel", format!("Linux {}", kernel.join("."))),
        ("write and fdatasync of 8 KiB", format!("{:.0} µs in the median", sync_microseconds(folder)?)),
        (
            "Postgres",
            format!("{}, synchronous_commit=on", postgres.sql("postgres", "show server_version")?.trim()),
        ),
        ("Redis", format!("{redis}, no persistence")),
        ("SQLite", "WAL, synchronous=FULL".to_owned()),
        ("Rust", version("rustc").trim().to_owned()),
        ("Node.js", version("node").trim().to_owned()),
        (
            "tower-sessions",
            ["tower-sessions", "tower-sessions-sqlx-store", "tower-sessions-redis-store", "sqlx", "axum"]
                .map(krate)
                .join(", "),
        ),
        (
            "express-session",
            ["express", "express-session", "connect-pg-simple", "connect-redis", "pg", "redis"]
                .map(package)
                .join(", "),
        ),
    ])
}

fn from_proc(file: &str, label: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(label)).unwrap_or_default();
    line.split(':').nth(1).unwrap_or("unknown").trim().to_owned()
}

fn memory() -> String {
    let total = from_proc("/proc/meminfo", "MemTotal");
    let kibibytes = total.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kibibytes.map_or(total, |kibibytes| format!("{} GiB", (kibibytes >> 20) + 1))
}

fn package_version(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.trim_start().starts_with("\"version\":")).unwrap_or_default();
    line.split('"').nth(3).unwrap_or("(not installed)").to_owned()
}

fn locked_version(lock: &str, name: &str) -> String {
    let entry = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1);
    entry.and_then(|rest| rest.split('"').next()).unwrap_or("(not locked)").to_owned()
}

/// How long the disk takes to make a page durable: every durable write waits for that.
fn sync_microseconds(folder: &Path) -> Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let page = vec![7; PAGE_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = Instant::now();
        // In place, as a write-ahead log reuses its files.
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times.get(SYNCS / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6))
}
