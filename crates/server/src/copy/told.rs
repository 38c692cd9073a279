//! What a copy tells while it works: a bar for people, or one JSON object a line for machines.

use super::carry::{Carried, Counts, Way};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sessile_store::whatsapp::migration::Migrated;
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines for machines.
const LINE_EVERY: Duration = Duration::from_secs(1);
const BAR: &str = "{prefix} {msg} [{bar:30}] {human_pos} of {human_len} ({per_sec}, {eta} left)";

/// Where it is told.
pub(super) struct Told {
    way: Way,
    json: bool,
    bar: ProgressBar,
    step: Step,
    /// The most memory that this process was seen to have.
    peak: Option<u64>,
}

/// What is being done now.
struct Step {
    name: &'static str,
    of: u64,
    began: Instant,
    /// Rows that an earlier run had done.
    before: u64,
    last_line: Option<Instant>,
}

impl Told {
    /// Begins to tell.
    pub(super) fn of(way: &Way, json: bool) -> Self {
        let told = Self::quiet(way, json);
        told.fact(
            &format!("from {} to {}", way.from, way.to),
            &json!({ "step": "begin", "from": way.from, "to": way.to }),
        );
        told
    }

    /// The same for a kind of which there is nothing to tell.
    pub(super) fn quiet(way: &Way, json: bool) -> Self {
        // A bar hides itself where nobody looks.
        let bar = if json { ProgressBar::hidden() } else { ProgressBar::no_length() };
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        bar.set_prefix(way.kind);
        let step = Step { name: "copy", of: 0, began: Instant::now(), before: 0, last_line: None };
        Self { way: way.clone(), json, bar, step, peak: None }
    }

    /// A step over about `of` rows begins, where an earlier run has done `before`.
    pub(super) fn begin(&mut self, name: &'static str, of: u64, before: u64) {
        if before > 0 && !self.json {
            self.bar.suspend(|| println!("{}: goes on after {before} rows", self.way.kind));
        }
        self.step = Step { name, of, began: Instant::now(), before, last_line: None };
        self.bar.reset();
        self.bar.set_length(of.max(before));
        self.bar.set_position(before);
        self.bar.reset_eta();
        self.bar.set_message(name);
        self.at(before);
    }

    /// So many rows of this step are done.
    pub(super) fn at(&mut self, rows: u64) {
        if rows > self.bar.length().unwrap_or(0) {
            self.bar.set_length(rows);
        }
        self.bar.set_position(rows);
        self.peak = self.peak.max(memory());
        if !self.json || self.step.last_line.is_some_and(|last| last.elapsed() < LINE_EVERY) {
            return;
        }
        self.step.last_line = Some(Instant::now());
        let rate = rate(rows.saturating_sub(self.step.before), self.step.began.elapsed());
        let left = self.step.of.saturating_sub(rows);
        let seconds_left = if rate > 0 { Some(left.div_ceil(rate)) } else { None };
        self.line(&json!({
            "step": self.step.name, "rows": rows, "of": self.step.of, "rate": rate, "seconds_left": seconds_left,
        }));
    }

    /// The source has changed on the way.
    pub(super) fn again(&self, carried: &Carried) {
        let compared = &carried.compared;
        let (missing, differing) = (compared.missing, compared.differing);
        if self.json {
            self.line(&json!({ "step": "again", "missing": missing, "differing": differing }));
        } else {
            self.bar.suspend(|| {
                println!("{}: {missing} rows are missing and {differing} differ; once more", self.way.kind);
            });
        }
    }

    /// The end.
    pub(super) fn result(&self, carried: &Carried) {
        self.bar.finish_and_clear();
        if self.json {
            self.line(&machine(carried, self.peak));
        } else {
            print!("{}", people(self.way.kind, carried, self.peak));
        }
    }

    /// Devices moved.
    pub(super) fn devices(&self, moved: &Migrated) {
        self.bar.finish_and_clear();
        let Migrated { moved, were_there } = moved;
        if self.json {
            let moved: Vec<Value> =
                moved.iter().map(|(id, digest)| json!({ "device": id.as_str(), "digest": digest })).collect();
            self.line(
                &json!({ "step": "end", "agree": true, "moved": moved, "were_there": were_there.len() }),
            );
            return;
        }
        println!("{}: {} devices moved, {} had moved before", self.way.kind, moved.len(), were_there.len());
        for (device, digest) in moved {
            println!("  {} {digest}", device.as_str());
        }
    }

    /// One more fact about the end of it.
    pub(super) fn fact(&self, sentence: &str, facts: &Value) {
        if self.json {
            self.line(facts);
        } else {
            println!("{}: {sentence}", self.way.kind);
        }
    }

    fn line(&self, facts: &Value) {
        let mut line = json!({ "kind": self.way.kind });
        if let (Some(line), Some(facts)) = (line.as_object_mut(), facts.as_object()) {
            line.extend(facts.clone());
        }
        println!("{line}");
    }
}

fn rate(rows: u64, took: Duration) -> u64 {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    rows.saturating_mul(1000) / ms
}

fn machine(carried: &Carried, peak: Option<u64>) -> Value {
    let Carried { counts, compared, took, copied, copying } = carried;
    json!({
        "step": "end",
        "agree": carried.agrees(),
        "new": counts.new,
        "renewed": counts.renewed,
        "kept": counts.kept,
        "refused": counts.refused,
        "unreadable": counts.unreadable,
        "from": { "count": compared.from.count(), "digest": compared.from.to_string() },
        "to": { "count": compared.to.count(), "digest": compared.to.to_string() },
        "newer": compared.newer,
        "missing": compared.missing,
        "differing": compared.differing,
        "rows": compared.named,
        "seconds": took.as_secs_f64(),
        "rate": rate(*copied, *copying),
        "peak_memory": peak,
    })
}

fn people(kind: &str, carried: &Carried, peak: Option<u64>) -> String {
    let Carried { counts, compared, copied, copying, .. } = carried;
    let Counts { new, renewed, kept, refused, unreadable } = counts;
    let memory = peak.map_or_else(String::new, |bytes| format!(", {} MiB at most", bytes >> 20));
    let mut lines = vec![format!(
        "{kind}: {new} rows new, {renewed} renewed, {kept} there already, {refused} refused ({} a second{memory})",
        rate(*copied, *copying)
    )];
    if *unreadable > 0 {
        lines.push(format!("{kind}: {unreadable} values cannot be read; they stay where they are"));
    }
    if compared.newer > 0 {
        lines.push(format!("{kind}: {} rows are newer at the destination and stay so", compared.newer));
    }
    if carried.agrees() {
        lines.push(format!(
            "{kind}: {} rows compared, both ends agree: {}",
            compared.from.count(),
            compared.from
        ));
    } else {
        lines.push(format!(
            "{kind}: THE ENDS DO NOT AGREE: {} rows are missing, {} differ; stop what changes the source and run it \
             again",
            compared.missing, compared.differing
        ));
        lines.extend(compared.named.iter().map(|named| format!("  {named}")));
    }
    lines.join("\n") + "\n"
}

/// The memory that is this process's own, where the system tells: pages of a database file that are mapped are the system's.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
