//! The tables, on the terminal and in docs/benchmarks/generation.md: one text for both.

use std::fmt::Write as _;

use anyhow::Result;
use bench_runner::hardware::{self, Facts, package_version, redis_version, version};

use crate::plan::{Contender, Subject};
use crate::servers::Places;
use crate::{Cell, Options};

const INTRODUCTION: &str = "\
The peer is the handler that applications write: Express, `constructEvent` of Stripe's own SDK on the raw body, then one
`SET … NX EX` (the `redis` package, which pipelines by itself) or one `INSERT … ON CONFLICT DO NOTHING` (`pg`, its own pool
of 10), then the answer; a status is one `GET` or one `SELECT`. One Node process, as these applications are started. Ours is
`sessile serve` as in production, its workers included: while messages are accepted, the older ones are being applied to their
jobs. Both log warnings and errors only.

Every message is another event of 3.5 KB as Stripe renders it, with a valid signature of its own, made before the
measurement. Both keep the whole message, once for each event id. A message counts when it was answered 200, and after every
turn the store is asked whether it holds all that were. Postgres runs with `synchronous_commit=on` and `fsync=on`; Redis keeps
an append-only file, synced as each line says, the same for both. With `everysec` a message that was answered can be lost when
the machine (not Redis alone) dies within about a second; with `always`, and on Postgres, it cannot. Every turn has a store and
a server of its own, started for it and ended after it.
";

pub(crate) fn facts(places: &Places<'_>) -> Result<Facts> {
    let modules = places.bench.join("peers/stripe/node_modules");
    let package =
        |name: &str| format!("{name} {}", package_version(&modules.join(name).join("package.json")));
    let mut facts = hardware::facts(places.folder)?;
    facts.extend([
        ("Postgres", places.postgres.sql("postgres", "show server_version")?.trim().to_owned()),
        ("Redis", redis_version()),
        ("Rust", version("rustc")),
        ("Node.js", version("node")),
        ("peer", ["express", "stripe", "redis", "pg"].map(package).join(", ")),
    ]);
    Ok(facts)
}

/// Lowest, middle and highest.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self { low: at(0), median: at(values.len() / 2), high: at(values.len().saturating_sub(1)) }
    }
}

fn rates(cell: &Cell) -> Spread {
    Spread::of(cell.rounds.iter().map(|round| round.per_second).collect())
}

pub(crate) fn markdown(options: &Options, cells: &[Cell], facts: &Facts) -> String {
    let mut text = format!(
        "# Paid jobs, side by side\n\nWritten by `bench/run-generation`: {} rounds of {} s in turns, {} connections with one \
         request under way each, medians.\n\n{INTRODUCTION}\n\
         | | | a second | min - max | p50 ms | p99 ms |\n|---|---|---|---|---|---|\n",
        options.rounds, options.seconds, options.connections
    );
    for cell in cells {
        let spread = rates(cell);
        let ms = |pick: fn(&bench_load::Measurement) -> std::time::Duration| {
            Spread::of(cell.rounds.iter().map(|round| pick(round).as_secs_f64() * 1e3).collect()).median
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} - {:.0} | {:.2} | {:.2} |",
            cell.subject.title(),
            cell.contender.name(),
            spread.median,
            spread.low,
            spread.high,
            ms(|round| round.p50),
            ms(|round| round.p99)
        );
    }
    text.push_str("\n| ours / express | measured | target | met |\n|---|---|---|---|\n");
    for subject in Subject::ALL {
        let rate = |contender| {
            let cell = cells.iter().find(|cell| cell.subject == subject && cell.contender == contender)?;
            Some(rates(cell).median)
        };
        if let (Some(ours), Some(theirs)) = (rate(Contender::Ours), rate(Contender::Express)) {
            let ratio = ours / theirs;
            let met = if ratio >= Subject::TARGET { "yes" } else { "no" };
            let _ =
                writeln!(text, "| {} | {ratio:.1} | at least {} | {met} |", subject.title(), Subject::TARGET);
        }
    }
    text.push_str("\n| machine | |\n|---|---|\n");
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}
