//! The tables, on the terminal and in docs/benchmarks/login.md: one text for both.
//!
//! Written once at the end of the run.

use std::fmt::Write as _;
use std::time::Duration;

use crate::plan::{CONNECTIONS, SESSIONS};
use crate::results::{Results, Summary};
use crate::soak::Memory;
use bench_runner::hardware::Facts;

/// How the run was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
}

pub(crate) fn tables(results: &Results, memory: Option<&Memory>) -> String {
    let mut text = String::new();
    let mut rows =
        vec![["", "", "requests/s", "min - max", "p50 ms", "p99 ms", "generator"].map(str::to_owned)];
    for scenario in results.scenarios() {
        for (place, (contender, summary)) in results.of(scenario).into_iter().enumerate() {
            let title = if place == 0 { scenario.title() } else { "" };
            let [rate, spread, p50, p99, cpu] = columns(&summary);
            rows.push([title.to_owned(), contender.name().to_owned(), rate, spread, p50, p99, cpu]);
        }
    }
    push_table(&mut text, &rows);
    let verdicts = results.verdicts();
    if !verdicts.is_empty() || memory.is_some() {
        let mut rows = vec![["ratio of medians", "measured", "target", "met"].map(str::to_owned)];
        for verdict in &verdicts {
            let least = format!("at least {}", verdict.target.at_least);
            rows.push([verdict.title(), format!("{:.2}", verdict.ratio), least, yes(verdict.is_met())]);
        }
        if let Some((memory, growth)) = memory.and_then(|memory| Some((memory, memory.growth()?))) {
            let title =
                format!("sessile: memory after {} s of load / after the first 30 s", memory.seconds());
            rows.push([title, format!("{growth:.2}"), "flat: at most 1.1".to_owned(), yes(memory.is_flat())]);
        }
        text.push('\n');
        push_table(&mut text, &rows);
    }
    if let Some(memory) = memory {
        let samples: Vec<String> = memory.mebibytes.iter().map(|size| format!("{size:.1}")).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "\nResident memory every 30 s, in MiB: {}.", samples.join(", "));
    }
    text
}

pub(crate) fn markdown(results: &Results, memory: Option<&Memory>, facts: &Facts, run: Run) -> String {
    let Run { rounds, seconds } = run;
    let mut text = format!(
        "# Login sessions, side by side\n\n\
         Written by `bench/run`. {rounds} rounds of {seconds} s; medians, with the smallest and largest round.\n\n\
         ![Requests a second](login.svg)\n\n{}\n## How\n\n\
         - Every contender is an HTTP server with the same three routes, driven by the same load generator: \
           {CONNECTIONS} keep-alive connections (one where the table says so), no pipelining, {SESSIONS} distinct \
           sessions in random order. Every answer is checked to belong to its session; one wrong answer fails the run.\n\
         - All contenders run on the same cores in the same run, in turns, in an order that changes from round to round. \
           Only one is under load at a time. Each has its own database in the same Postgres and the same Redis.\n\
         - `generator` is the part of one core that the load generator took.\n\
         - Changes are durable before the answer ends. Redis keeps nothing on disk, for anybody.\n\
         - tower-sessions: release build with our profile, cookies not signed (its default), no ping before a pooled \
           connection is used (its default has one). It saves on a change only; with a touch on every request it runs \
           `with_always_save(true)`.\n\
         - express-session: one process, `NODE_ENV=production`, `resave: false`. The stores touch on every request by \
           default; only the rows with a durable touch leave that on, the others set `disableTouch`.\n\
         - pgbench and redis-benchmark ask the store directly, without HTTP, over TCP as the servers do. pgbench: \
           {CONNECTIONS} clients on two threads, `-M prepared` and `-M simple`, a select or an update by primary key; \
           it prints no percentiles.\n\n## Machine\n\n| | |\n|---|---|\n",
        tables(results, memory),
    );
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

fn columns(summary: &Summary) -> [String; 5] {
    let milliseconds = |latency: Option<Duration>| {
        latency.map_or("-".to_owned(), |latency| format!("{:.2}", latency.as_secs_f64() * 1e3))
    };
    [
        thousands(summary.per_second),
        format!("{} - {}", thousands(summary.min), thousands(summary.max)),
        milliseconds(summary.p50),
        milliseconds(summary.p99),
        summary.generator_cpu.map_or("-".to_owned(), |cpu| format!("{:.0} %", cpu * 100.0)),
    ]
}

/// `71234` as `71,234`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn yes(met: bool) -> String {
    if met { "yes" } else { "NO" }.to_owned()
}

/// A Markdown table whose columns also line up on a terminal; numbers, from the third column of a wide one, to the right.
fn push_table<const N: usize>(text: &mut String, rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    });
    let numbers_from = if N > 4 { 2 } else { 1 };
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if column >= numbers_from {
                write!(text, "| {cell:>width$} ")
            } else {
                write!(text, "| {cell:<width$} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.into_iter().enumerate() {
                let end = if column >= numbers_from { ":" } else { "-" };
                let _ = write!(text, "|{}{end}", "-".repeat(width + 1));
            }
            text.push_str("|\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(7.4), "7");
        assert_eq!(thousands(712.0), "712");
        assert_eq!(thousands(71_234.0), "71,234");
        assert_eq!(thousands(1_000_000.0), "1,000,000");
    }

    #[test]
    fn a_table_lines_up() {
        let mut text = String::new();
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        push_table(&mut text, &[row("what", "n"), row("loads", "12345")]);
        assert_eq!(text, "| what  |     n |\n|-------|------:|\n| loads | 12345 |\n");
    }
}
