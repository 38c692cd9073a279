//! All about one session; the page that asks back before something is done; and the page that says why it was not.

use super::parts::{badge, cell, empty, exactly, fact, reflow};
use crate::admin::kinds::{Deed, Fact, Moment, Sheet, Table};
use crate::http::Problem;
use maud::{Markup, html};
use sessile::Timestamp;

/// The sheet, at its own address.
pub(in crate::admin) fn sheet(title: &str, address: &str, sheet: &Sheet, now: Timestamp) -> Markup {
    html! {
        div.headline {
            div { p.soft.small.over { (title) } h1.name { (sheet.name) } }
            span data-live="state" { (badge(&sheet.state)) }
        }
        div.columns {
            section.panel aria-labelledby="facts" {
                h2 #facts { "Facts" }
                div data-live="facts" {
                    @if let Some(says) = &sheet.says { p { (says) } }
                    dl.sheet {
                        @for (name, value) in &sheet.facts {
                            div { dt { (name) } dd { (told(value, now)) } }
                        }
                    }
                }
            }
            section.panel aria-labelledby="timeline" {
                h2 #timeline { "Timeline" }
                @if let Some(note) = sheet.timeline_note { p.soft.small { (note) } }
                div data-live="timeline" { (timeline(&sheet.timeline, now)) }
            }
        }
        section.panel aria-labelledby="deeds" {
            h2 #deeds { "What you may do" }
            div data-live="deeds" {
                @if sheet.deeds.is_empty() {
                    (empty("Nothing: this session has come to its end, or works by itself."))
                } @else {
                    div.deeds { @for deed in &sheet.deeds { a.button href={ (address) "/" (deed.name) } { (deed.label) } } }
                    p.soft.small { "You are asked back first. What you do is recorded in the audit log." }
                }
            }
        }
        @for table in &sheet.tables {
            section.panel aria-label=(table.title) { h2 { (table.title) } (table_of(table, now)) }
        }
    }
}

/// A fact, with moments to the second.
fn told(value: &Fact, now: Timestamp) -> Markup {
    match value {
        Fact::At(at) => exactly(*at, now),
        other => fact(other, now),
    }
}

fn timeline(moments: &[Moment], now: Timestamp) -> Markup {
    html! {
        @if moments.is_empty() { (empty("Nothing is recorded.")) }
        ol.timeline {
            @for moment in moments.iter().rev() {
                li {
                    strong { (moment.what) }
                    @if let Some(by) = &moment.by { " " span.soft { "by " (by) } }
                    span.soft.small.when {
                        (exactly(moment.at, now))
                        @if let Some(seq) = moment.seq { " · audit row " (seq) }
                    }
                }
            }
        }
    }
}

fn table_of(table: &Table, now: Timestamp) -> Markup {
    let row = |facts: &Vec<Fact>| {
        html! { @for (head, value) in table.heads.iter().zip(facts) { (cell(head, &fact(value, now))) } }
    };
    let rows: Vec<Markup> = table.rows.iter().map(row).collect();
    html! { @if rows.is_empty() { (empty("None.")) } @else { (reflow(table.title, table.heads, &rows)) } }
}

/// Asks back. `key` makes sending the form twice do one thing.
pub(in crate::admin) fn asked_back(about: &str, deed: &Deed, action: &str, back: &str, key: &str) -> Markup {
    html! {
        section.card.ask aria-labelledby="ask" {
            p.soft.small.over { (about) }
            h1 #ask { (deed.label) "?" }
            p { (deed.consequence) }
            form method="post" action=(action) {
                input type="hidden" name="key" value=(key);
                @if let Some(label) = deed.note {
                    label for="note" { (label) }
                    input #note type="text" name="note" required maxlength="500";
                }
                div.actions {
                    button.main type="submit" { (deed.label) }
                    a.button href=(back) { "No, go back" }
                }
            }
            p.soft.small { "Recorded in the audit log as done by the operator." }
        }
    }
}

/// Why something was not done.
pub(in crate::admin) fn problem(problem: &Problem, back: &str) -> Markup {
    let (_, title, detail, remedy) = problem.told();
    html! {
        section.card.ask {
            h1 { (title) }
            p { (detail) }
            p.soft { (remedy) }
            div.actions { a.button href=(back) { "Go back" } }
        }
    }
}
