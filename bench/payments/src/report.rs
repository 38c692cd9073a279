//! The table, on the terminal and in docs/benchmarks/payments.md: one text for both.

use crate::Cell;
use std::fmt::Write as _;

/// The targets: ours at least so many times the peer's.
const TARGETS: [(&str, f64); 2] = [("sqlite", 3.0), ("postgres", 2.0)];

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub(crate) fn table(cells: &[Cell], buyers: usize, rounds: usize, seconds: u64) -> String {
    let mut text = format!(
        "# Payments, side by side\n\nWritten by `bench/run-payments`. {buyers} buyers at the same time, each creating, preparing and \
         completing payments; every step is durable before the next. {rounds} rounds of {seconds} s in turns, medians. The peer \
         does the same three steps as hand-written code does them: one transaction each, one statement at a time, through the \
         same driver on the same server. Ours keeps a hash-chained audit row for every change besides.\n\n\
         | engine | | payments/s | min - max | p50 ms | p99 ms |\n|---|---|---|---|---|---|\n"
    );
    for cell in cells {
        let mut rates: Vec<f64> = cell.rounds.iter().map(|round| round.rate).collect();
        let rate = median(&mut rates);
        let (low, high) = (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0));
        let mut p50: Vec<f64> = cell.rounds.iter().map(|round| round.p50_ms).collect();
        let mut p99: Vec<f64> = cell.rounds.iter().map(|round| round.p99_ms).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {rate:.0} | {low:.0} - {high:.0} | {:.1} | {:.1} |",
            cell.engine,
            cell.contender.name(),
            median(&mut p50),
            median(&mut p99)
        );
    }
    text.push_str("\n| ours / peer | measured | target | met |\n|---|---|---|---|\n");
    for (engine, target) in TARGETS {
        let rate = |name: &str| {
            let cell = cells.iter().find(|cell| cell.engine == engine && cell.contender.name() == name)?;
            let mut rates: Vec<f64> = cell.rounds.iter().map(|round| round.rate).collect();
            Some(median(&mut rates))
        };
        if let (Some(ours), Some(peer)) = (rate("ours"), rate("peer")) {
            let ratio = ours / peer;
            let met = if ratio >= target { "yes" } else { "no" };
            let _ = writeln!(text, "| {engine} | {ratio:.2} | at least {target} | {met} |");
        }
    }
    text
}
