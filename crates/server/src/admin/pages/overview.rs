//! The overview: what needs a person, how many of what there are, how it goes over time, which stores are in use.

use super::chart::{Chart, chart};
use super::parts::{absent, ago, badge, cell, empty, number, reflow};
use crate::admin::counts::Count;
use crate::admin::kinds::{Absent, sheet_address};
use crate::admin::series::{Span, Subject, SweepLog, SweepRun};
use maud::{Markup, html};
use sessile::Timestamp;
use sessile_core::ledger::{Effect, EffectRow};

/// Everything on it.
pub(in crate::admin) struct Board {
    pub(in crate::admin) now: Timestamp,
    pub(in crate::admin) began: Timestamp,
    pub(in crate::admin) span: Span,
    pub(in crate::admin) chips: Vec<Chip>,
    pub(in crate::admin) kinds: Vec<KindCard>,
    pub(in crate::admin) rates: Vec<Rate>,
    pub(in crate::admin) charts: Vec<Chart>,
    pub(in crate::admin) stores: Vec<StoreLine>,
    pub(in crate::admin) dead: Result<Vec<EffectRow>, Absent>,
    pub(in crate::admin) sweeps: SweepLog,
}

/// Something that needs a person.
pub(in crate::admin) struct Chip {
    pub(in crate::admin) text: String,
    pub(in crate::admin) address: &'static str,
}

/// One kind's counts.
pub(in crate::admin) struct KindCard {
    pub(in crate::admin) subject: Subject,
    pub(in crate::admin) title: &'static str,
    pub(in crate::admin) states: &'static [&'static str],
    pub(in crate::admin) busy: &'static str,
    pub(in crate::admin) count: Result<Count, Absent>,
}

/// One number with what it is.
pub(in crate::admin) struct Rate {
    pub(in crate::admin) name: &'static str,
    pub(in crate::admin) value: String,
    pub(in crate::admin) note: String,
}

/// One store that is in use.
pub(in crate::admin) struct StoreLine {
    pub(in crate::admin) what: &'static str,
    pub(in crate::admin) engine: String,
    pub(in crate::admin) place: String,
    /// `ready`, `degraded` or `away`.
    pub(in crate::admin) state: &'static str,
    /// Why it is not, or what is to be known.
    pub(in crate::admin) note: String,
}

/// `/admin`.
pub(in crate::admin) fn overview(board: &Board) -> Markup {
    html! {
        h1.unseen { "Overview" }
        div data-live="attention" { (attention(&board.chips)) }
        div.tiles data-live="counts" { @for kind in &board.kinds { (kind_card(kind)) } }
        div.rates data-live="rates" { @for rate in &board.rates { (rate_tile(rate)) } }
        section.panel aria-labelledby="charts" {
            div.head {
                h2 #charts { "Over time" }
                nav.range aria-label="Time shown" {
                    a href="/admin" aria-current=[(board.span == Span::Hour).then_some("true")] { "Last hour" }
                    a href="/admin?range=day" aria-current=[(board.span == Span::Day).then_some("true")] { "Last day" }
                }
            }
            p.soft.small {
                "What this process saw since it started (" (ago(board.began, board.now)) "). The counts above come from the "
                "stores. For more processes and more time, read " code { "/metrics" } " with Prometheus."
            }
            div.charts data-live="charts" { @for each in &board.charts { (chart(each)) } }
        }
        section.panel aria-labelledby="stores" {
            h2 #stores { "Stores in use" }
            div data-live="stores" { (stores(&board.stores)) }
        }
        section.panel aria-labelledby="dead" {
            div.head { h2 #dead { "Dead letters" } a href="/admin/outbox" { "The whole outbox" } }
            div data-live="dead" { (dead(&board.dead, board.now)) }
        }
        section.panel aria-labelledby="sweeps" {
            h2 #sweeps { "Sweeps and clean-ups" }
            div data-live="sweeps" { (sweeps(&board.sweeps, board.now)) }
        }
    }
}

fn attention(chips: &[Chip]) -> Markup {
    html! {
        @if chips.is_empty() {
            p.calm { span.dot.good aria-hidden="true" {} "Nothing needs a person." }
        } @else {
            ul.chips aria-label="Needs a person" {
                @for chip in chips { li { a href=(chip.address) { (chip.text) } } }
            }
        }
    }
}

fn kind_card(kind: &KindCard) -> Markup {
    let KindCard { subject, title, states, busy, count } = kind;
    let name = subject.name();
    html! {
        section.tile aria-labelledby={ "kind-" (name) } {
            h2 id={ "kind-" (name) } { a href={ "/admin/" (name) } { (title) } }
            @match count {
                Err(Absent::Off(_)) => p.soft.small { "Not set up here." },
                Err(Absent::Away) => p.soft.small { "The store did not answer." },
                Ok(count) => {
                    p.big { strong { (more(count.of(busy), count.more)) } " " span.soft { (busy) } }
                    @if states.len() > 1 {
                        dl.states {
                            @for state in states.iter().filter(|state| *state != busy) {
                                div {
                                    dt { a.plain href={ "/admin/" (name) "?status=" (state) } { (state) } }
                                    dd { (number(count.of(state))) }
                                }
                            }
                        }
                    }
                },
            }
        }
    }
}

fn more(count: u64, more: bool) -> String {
    if more { format!("{}+", number(count)) } else { number(count) }
}

fn rate_tile(rate: &Rate) -> Markup {
    html! {
        div.rate {
            p.soft.small { (rate.name) }
            p.value { (rate.value) }
            p.soft.small { (rate.note) }
        }
    }
}

fn stores(lines: &[StoreLine]) -> Markup {
    let row = |line: &StoreLine| {
        html! {
            (cell("Holds", &html! { (line.what) }))
            (cell("Engine", &html! { (line.engine) }))
            (cell("Place", &html! { code { (line.place) } }))
            (cell("State", &badge(line.state)))
            (cell("Note", &html! { (line.note) }))
        }
    };
    let rows: Vec<Markup> = lines.iter().map(row).collect();
    reflow("Stores in use", &["Holds", "Engine", "Place", "State", "Note"], &rows)
}

fn dead(rows: &Result<Vec<EffectRow>, Absent>, now: Timestamp) -> Markup {
    match rows {
        Err(why) => absent(why),
        Ok(rows) if rows.is_empty() => {
            empty("None. Whatever the world has to hear was heard, or is on its way.")
        }
        Ok(rows) => effects("Dead letters", rows, now),
    }
}

/// Effects, with a button for those that were given up.
pub(in crate::admin) fn effects(name: &str, rows: &[EffectRow], now: Timestamp) -> Markup {
    let row = |row: &EffectRow| {
        let is_dead = row.state == sessile_core::ledger::EffectState::Dead;
        let address = format!("/admin/outbox/{}/requeue", crate::admin::kinds::segment(&row.id));
        html! {
            (cell("Effect", &html! { code title=(row.id) { (crate::admin::kinds::short(&row.id)) } }))
            (cell("Kind", &html! { (row.effect.kind().name()) }))
            (cell("About", &about(&row.effect)))
            (cell("Tries", &html! { span.figure { (row.attempts) } }))
            (cell("Last error", &html! { (row.error.as_deref().unwrap_or_default()) }))
            (cell("Written", &ago(row.created_at, now)))
            @if is_dead {
                (cell("", &html! {
                    a.button.small href=(address) aria-label={ "Re-queue " (row.id) } { "Re-queue" }
                }))
            } @else {
                (cell("Next", &ago(row.next_at, now)))
            }
        }
    };
    let last =
        if rows.iter().any(|row| row.state == sessile_core::ledger::EffectState::Dead) { "" } else { "Next" };
    let rows: Vec<Markup> = rows.iter().map(row).collect();
    reflow(name, &["Effect", "Kind", "About", "Tries", "Last error", "Written", last], &rows)
}

fn about(effect: &Effect) -> Markup {
    match effect {
        Effect::Webhook { topic, .. } => html! { (topic) },
        Effect::Refund { payment, .. } => html! {
            "refund of " a href=(sheet_address(Subject::Payment, payment.as_str())) {
                code { (crate::admin::kinds::short(payment.as_str())) }
            }
        },
        Effect::Tier { user, tier } => html! {
            "tier " (tier) " of " a href=(crate::admin::kinds::search_address(user.as_str())) {
                code { (crate::admin::kinds::short(user.as_str())) }
            }
        },
    }
}

fn sweeps(log: &SweepLog, now: Timestamp) -> Markup {
    let sums: Vec<Markup> = log
        .sums()
        .map(|(what, sum)| {
            html! {
                (cell("Sweeps", &html! { (what) }))
                (cell("Runs", &html! { span.figure { (number(sum.runs)) } }))
                (cell("Failed", &html! { span.figure { (number(sum.failures)) } }))
                (cell("Rows", &html! { span.figure { (number(sum.total)) } }))
                (cell("Last run", &ago(sum.last.at, now)))
                (cell("Took", &html! { span.figure { (took(&sum.last)) } }))
            }
        })
        .collect();
    let runs: Vec<Markup> = log
        .runs()
        .map(|run| {
            html! {
                (cell("When", &ago(run.at, now)))
                (cell("Sweep", &html! { (run.what) }))
                (cell("Did", &html! { (did(run)) }))
                (cell("Took", &html! { span.figure { (took(run)) } }))
            }
        })
        .collect();
    html! {
        @if sums.is_empty() {
            (empty("None so far in this process."))
        } @else {
            (reflow("Sweeps by kind", &["Sweeps", "Runs", "Failed", "Rows", "Last run", "Took"], &sums))
        }
        @if !runs.is_empty() {
            h3 { "The last that did something" }
            (reflow("Last sweeps", &["When", "Sweep", "Did", "Took"], &runs))
        }
    }
}

fn took(run: &SweepRun) -> String {
    let ms = run.took.as_secs_f64() * 1000.0;
    if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

fn did(run: &SweepRun) -> String {
    match &run.outcome {
        Err(why) => format!("failed: {why}"),
        Ok(counts) => {
            let parts: Vec<String> = counts
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(what, count)| format!("{} {what}", number(*count)))
                .collect();
            parts.join(", ")
        }
    }
}
