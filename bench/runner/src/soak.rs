//! Our server's memory under minutes of load.
//!
//! Loads and changes take turns; after each turn the resident memory is printed. Run after the rounds, so that every
//! pool and cache is already at its working size.

use std::time::Duration;

use anyhow::{Context, Result};
use bench_load::{Load, measure};

use crate::plan::CONNECTIONS;
use crate::servers::Ready;

const TURN_SECONDS: u64 = 30;
/// Growth from the first turn's end to the last one's that still counts as flat.
const FLAT_AT_MOST: f64 = 1.10;

/// Resident memory in MiB after each turn.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) mebibytes: Vec<f64>,
}

impl Memory {
    pub(crate) fn growth(&self) -> Option<f64> {
        let (first, last) = (self.mebibytes.first()?, self.mebibytes.last()?);
        Some(last / first)
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.growth().is_some_and(|growth| growth <= FLAT_AT_MOST)
    }

    pub(crate) fn seconds(&self) -> u64 {
        u64::try_from(self.mebibytes.len()).unwrap_or_default() * TURN_SECONDS
    }
}

pub(crate) fn soak(ready: &mut Ready, seconds: u64) -> Result<Memory> {
    let mut memory = Memory { mebibytes: Vec::new() };
    for turn in 0..seconds.div_ceil(TURN_SECONDS) {
        let load = Load {
            server: ready.address,
            connections: CONNECTIONS,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(TURN_SECONDS),
        };
        let (name, requests) =
            if turn % 2 == 0 { ("loads", &mut ready.loads) } else { ("changes", &mut ready.changes) };
        let found = measure(&load, requests).context("the soak failed")?;
        let resident = resident_mebibytes(ready.id())?;
        println!(
            "soak {:>4} s  {resident:>8.1} MiB resident  {:>9.0} {name}/s",
            (turn + 1) * TURN_SECONDS,
            found.per_second
        );
        memory.mebibytes.push(resident);
    }
    Ok(memory)
}

fn resident_mebibytes(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .context("the soak needs Linux: it reads a process's memory from /proc")?;
    let kibibytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .context("no VmRSS in the process's status")?;
    Ok(kibibytes / 1024.0)
}
