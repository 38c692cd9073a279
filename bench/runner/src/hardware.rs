//! What a reader has to know of the machine to judge the numbers. It never tells paths, host names or accounts.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::process::output;

const SYNCS: usize = 200;
const PAGE_BYTES: usize = 8192;

/// Name and value, in the order they are printed.
pub type Facts = Vec<(&'static str, String)>;

/// Processor, memory, kernel, and how long the disk in `folder` takes.
///
/// # Errors
/// When the disk cannot be written.
pub fn facts(folder: &Path) -> Result<Facts> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel: Vec<&str> = kernel.trim().split(['.', '-']).take(2).collect();
    Ok(vec![
        ("cores", format!("{cores}, shared by stores, servers and load generator")),
        ("processor", from_proc("/proc/cpuinfo", "model name")),
        ("memory", memory()),
        ("kernel", format!("Linux {}", kernel.join("."))),
        ("write and fdatasync of 8 KiB", format!("{:.0} µs in the median", sync_microseconds(folder)?)),
    ])
}

/// What a program says of its version.
#[must_use]
pub fn version(program: &str) -> String {
    output(Command::new(program).arg("--version")).unwrap_or_default().trim().to_owned()
}

/// The version of the installed Redis.
#[must_use]
pub fn redis_version() -> String {
    let redis = version("redis-server");
    let number = redis.split("v=").nth(1).and_then(|rest| rest.split_whitespace().next());
    number.unwrap_or_default().to_owned()
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

/// An installed npm package's version, from its `package.json`.
#[must_use]
pub fn package_version(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.trim_start().starts_with("\"version\":")).unwrap_or_default();
    line.split('"').nth(3).unwrap_or("(not installed)").to_owned()
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
