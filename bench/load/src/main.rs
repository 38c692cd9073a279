//! `bench-load`: seeds a server and measures it, for tuning by hand. The runner uses the library instead.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use bench_load::{Kind, Load, Requests, measure, seed};
use clap::{Parser, ValueEnum};

#[derive(Parser)]
#[command(about = "Seeds a server of the benchmark's contract and measures it")]
struct Options {
    /// The server, for example 127.0.0.1:8080.
    server: SocketAddr,
    /// What to send.
    #[arg(long, value_enum, default_value = "load")]
    kind: KindOption,
    /// How many keep-alive connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to count.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How many distinct sessions.
    #[arg(long, default_value_t = 10_000)]
    sessions: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindOption {
    Load,
    Set,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let sessions = seed(options.server, options.sessions)?;
    let kind = match options.kind {
        KindOption::Load => Kind::Load,
        KindOption::Set => Kind::Set,
    };
    let mut requests = Requests::new(kind, options.server, &sessions);
    let load = Load {
        server: options.server,
        connections: options.connections,
        warmup: Duration::from_millis(300),
        duration: Duration::from_secs(options.seconds),
    };
    let found = measure(&load, &mut requests)?;
    println!(
        "{:.0} requests/s, p50 {:.3} ms, p99 {:.3} ms, {} answers, 0 errors, generator at {:.0} % of a core",
        found.per_second,
        found.p50.as_secs_f64() * 1e3,
        found.p99.as_secs_f64() * 1e3,
        found.answers,
        found.generator_cpu.unwrap_or_default() * 100.0,
    );
    Ok(())
}
