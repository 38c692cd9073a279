//! The stores' own benchmarks: pgbench on single-row statements, redis-benchmark on GET and SET.
//!
//! They say what the store gives to a client that does nothing but ask it. Called by the rounds, like a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::plan::{CONNECTIONS, Contender, SESSIONS, Scenario};
use crate::results::Sample;
use bench_runner::postgres::Postgres;
use bench_runner::redis::Redis;

const DATABASE: &str = "pgbench";
/// Ids are numbers to pgbench; from here on they all have 18 digits.
const FIRST_ID: u64 = 100_000_000_000_000_001;
/// About what a session of the contract takes in its store.
const VALUE_BYTES: usize = 300;
/// redis-benchmark counts requests, not seconds: so many for each second, so that it takes about as long as the others.
const REDIS_REQUESTS_PER_SECOND: u64 = 80_000;

/// A space after every colon: pgbench takes `:1` and `:true` for variables of its own.
const SESSION_JSON: &str = r#"{"cookie": {"originalMaxAge": null, "expires": null, "httpOnly": true, "path": "/"}, "userId": "1", "n": 1, "cart": [{"sku": "A-1001", "qty": 1, "price": 1999}, {"sku": "B-2002", "qty": 2, "price": 499}, {"sku": "C-3003", "qty": 3, "price": 2500}], "views": 0, "theme": "dark"}"#;

/// The scripts and the table they work on.
#[derive(Debug)]
pub(crate) struct Pgbench {
    select: PathBuf,
    update: PathBuf,
}

impl Pgbench {
    pub(crate) fn prepare(postgres: &Postgres, folder: &Path) -> Result<Self> {
        postgres.create_database(DATABASE)?;
        postgres.sql(
            DATABASE,
            "create table session (sid varchar primary key, sess json not null, expire timestamp(6) not null);
             create index on session (expire);",
        )?;
        postgres.sql(
            DATABASE,
            &format!(
                "insert into session select ({FIRST_ID} + i)::text, '{SESSION_JSON}', now() + interval '7 days'
                 from generate_series(0, {SESSIONS} - 1) i"
            ),
        )?;
        postgres.sql(DATABASE, "vacuum analyze session")?;
        let last = FIRST_ID + u64::from(SESSIONS) - 1;
        let script = |name: &str, statement: &str| -> Result<PathBuf> {
            let file = folder.join(name);
            std::fs::write(&file, format!("\\set id random({FIRST_ID}, {last})\n{statement};\n"))?;
            Ok(file)
        };
        Ok(Self {
            select: script("select.sql", "select sess from session where sid = :id::text")?,
            update: script(
                "update.sql",
                &format!("update session set sess = '{SESSION_JSON}' where sid = :id::text"),
            )?,
        })
    }

    pub(crate) fn measure(
        &self,
        postgres: &Postgres,
        scenario: Scenario,
        contender: Contender,
        seconds: u64,
    ) -> Result<Sample> {
        let script = if scenario.changes() { &self.update } else { &self.select };
        let mode = if contender == Contender::PgbenchSimple { "simple" } else { "prepared" };
        let mut command = postgres.client("pgbench")?;
        command.args([
            "-n",
            "-M",
            mode,
            "-j",
            "2",
            "-c",
            &CONNECTIONS.to_string(),
            "-T",
            &seconds.to_string(),
        ]);
        let text = bench_runner::process::output(command.arg("-f").arg(script).arg(DATABASE))?;
        // Debian's pgbench has no percentiles, only the mean.
        Ok(Sample { per_second: value_after(&text, "tps = ")?, p50: None, p99: None, generator_cpu: None })
    }
}

pub(crate) fn measure_redis(redis: &Redis, scenario: Scenario, seconds: u64) -> Result<Sample> {
    let run = |command: &str, requests: u64| {
        redis.benchmark(
            &[
                ("-t", command.to_owned()),
                ("-n", requests.to_string()),
                ("-c", CONNECTIONS.to_string()),
                ("-r", SESSIONS.to_string()),
                ("-d", VALUE_BYTES.to_string()),
            ]
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect::<Vec<String>>(),
        )
    };
    let requests = REDIS_REQUESTS_PER_SECOND * seconds;
    let csv = if scenario.changes() {
        run("set", requests)?
    } else {
        // A GET of a key that is not there would be a cheaper answer.
        run("set", u64::from(SESSIONS) * 5)?;
        run("get", requests)?
    };
    let line = csv.lines().last().context("redis-benchmark printed nothing")?;
    let columns: Vec<f64> =
        line.split(',').skip(1).filter_map(|column| column.trim_matches('"').parse().ok()).collect();
    let [per_second, _mean, _min, p50, _p95, p99, ..] = columns.as_slice() else {
        anyhow::bail!("redis-benchmark's output is not understood (it needs Redis 6.2 or newer): {line}");
    };
    let latency = |milliseconds: f64| Some(Duration::from_secs_f64(milliseconds / 1e3));
    Ok(Sample { per_second: *per_second, p50: latency(*p50), p99: latency(*p99), generator_cpu: None })
}

fn value_after(text: &str, label: &str) -> Result<f64> {
    let rest = text.split(label).nth(1).with_context(|| format!("`{label}` is missing in: {text}"))?;
    rest.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("no number in: {rest}"))
}
