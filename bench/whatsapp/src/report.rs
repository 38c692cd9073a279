//! The table, on the terminal and in docs/benchmarks/whatsapp.md: one text for both.

use crate::{Cell, Options};
use std::fmt::Write as _;

/// Ours may take at most so many times what the peer takes.
const TARGET: f64 = 1.0;
/// The contender that ours is held against: as durable as ours.
const PEER: &str = "peer, FULL";

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The least and the most.
fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::MAX, 0.0), |(low, high), value| (low.min(*value), high.max(*value)))
}

pub(crate) fn table(cells: &[Cell], options: &Options, bytes_of_a_device: Option<u64>) -> String {
    let Options { rounds, steps, loads, devices, .. } = options;
    let mut text = format!(
        "# WhatsApp devices, side by side\n\nWritten by `bench/run-whatsapp`. {rounds} rounds in turns, each of {steps} committed \
         ratchet steps one after the other and {loads} loads of a device with 812 pre-keys and 20 sessions; medians of the \
         rounds' medians, and their least and most. The calls are the client's own storage calls. The peer is the client's \
         own SQLite store (`whatsapp-rust-sqlite-storage`): plain values, no owner, and by itself `synchronous=NORMAL`; with \
         `FULL` it is as durable as ours. Ours seals every value, fences by an epoch, and numbers every step. A load opens \
         the store and reads everything, as a start does.\n\n\
         | | step, µs | min - max | load, ms | min - max |\n|---|---|---|---|---|\n"
    );
    for cell in cells {
        let (step_low, step_high) = spread(&cell.steps);
        let (load_low, load_high) = spread(&cell.loads);
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.0} | {step_low:.0} - {step_high:.0} | {:.1} | {load_low:.1} - {load_high:.1} |",
            cell.name,
            median(&cell.steps),
            median(&cell.loads)
        );
    }
    if let Some(peer) = cells.iter().find(|cell| cell.name == PEER) {
        text.push_str(&ratios(cells, peer));
    }
    if let Some(bytes) = bytes_of_a_device {
        let kib = bytes / 1024;
        let _ = writeln!(
            text,
            "\n{devices} devices in one process, each with its vault and its client, not connected: {kib} KiB of memory for \
             each device, above what a process with one device takes."
        );
    }
    text
}

fn ratios(cells: &[Cell], peer: &Cell) -> String {
    let mut text = String::from(
        "\n| ours / peer, FULL (less is faster) | step | load | target | met |\n|---|---|---|---|---|\n",
    );
    for cell in cells.iter().filter(|cell| cell.name.starts_with("ours")) {
        let step = median(&cell.steps) / median(&peer.steps);
        let load = median(&cell.loads) / median(&peer.loads);
        let met = |ratio: f64| if ratio <= TARGET { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {} | {step:.2} | {load:.2} | at most {TARGET:.2} | {}, {} |",
            cell.name,
            met(step),
            met(load)
        );
    }
    text
}
