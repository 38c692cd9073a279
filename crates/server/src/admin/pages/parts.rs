//! What pages are made of: badges, moments, numbers, and tables that become lists on a phone.

use crate::admin::kinds::{Absent, Fact, Row, search_address, sheet_address};
use crate::admin::series::Subject;
use crate::pages::moment;
use maud::{Markup, html};
use sessile::Timestamp;

/// How a state looks.
pub(in crate::admin) const fn tone(state: &str) -> &'static str {
    match state.as_bytes() {
        b"completed" | b"succeeded" | b"live" | b"granted" | b"done" | b"ready" => "good",
        b"active" | b"processing" | b"running" | b"submitted" | b"requested" => "busy",
        b"failed" | b"error" | b"needs_manual" | b"dead" | b"unreadable" | b"degraded" | b"away" => "bad",
        _ => "idle",
    }
}

/// A state, in words and colour.
pub(in crate::admin) fn badge(state: &str) -> Markup {
    html! { span.state.(tone(state)) { (state.replace('_', " ")) } }
}

/// A moment: how long ago, and exactly.
pub(in crate::admin) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    let iso = at.to_iso8601();
    let words = if at > now { until(at, now) } else { moment::ago(at, now) };
    html! { time datetime=(iso) title=(iso) { (words) } }
}

/// The same with the exact moment to be read, where there is room for it.
pub(in crate::admin) fn exactly(at: Timestamp, now: Timestamp) -> Markup {
    let iso = at.to_iso8601();
    let exact = iso.get(..19).unwrap_or_default().replace('T', " ");
    html! { (ago(at, now)) " " span.soft.small.exact { (exact) } }
}

/// "in 5 minutes".
fn until(at: Timestamp, now: Timestamp) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let seconds = at.since(now).as_secs().max(1);
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length).unwrap_or(UNITS[3]);
    let count = seconds / length;
    format!("in {count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// "1,234,567".
pub(in crate::admin) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "98.2 %".
pub(in crate::admin) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Nothing is there, and that is fine.
pub(in crate::admin) fn empty(sentence: &str) -> Markup {
    html! { p.empty { (sentence) } }
}

/// Why something cannot be shown.
pub(in crate::admin) fn absent(why: &Absent) -> Markup {
    match why {
        Absent::Off(missing) => html! { p.empty { "Not set up here. " (missing) } },
        Absent::Away => {
            html! { p.notice role="status" { "The store did not answer. Reload this page in a few seconds." } }
        }
    }
}

/// One value.
pub(in crate::admin) fn fact(fact: &Fact, now: Timestamp) -> Markup {
    match fact {
        Fact::Text(text) => html! { (text.replace('_', " ")) },
        Fact::Code(text) if text.is_empty() => html! {},
        Fact::Code(text) => html! { code { (text) } },
        Fact::At(at) => ago(*at, now),
        Fact::Link(to, name) => html! { a href=(to) { code { (name) } } },
    }
}

/// Heads of columns whose numbers stand below each other.
const NUMERIC: [&str; 11] =
    ["Row", "Tries", "Runs", "Failed", "Rows", "Took", "Used", "Reserved", "Takes off", "Calls", "Progress"];

fn is_numeric(head: &str) -> bool {
    NUMERIC.contains(&head)
}

/// One cell of a table; on a phone its head stands before it.
pub(in crate::admin) fn cell(head: &str, content: &Markup) -> Markup {
    html! { td.num[is_numeric(head)] role="cell" data-label=(head) { (content) } }
}

/// A table that becomes a list on a phone. Roles are written out, because the layout takes them away there.
pub(in crate::admin) fn reflow(name: &str, heads: &[&str], rows: &[Markup]) -> Markup {
    html! {
        table.reflow role="table" aria-label=(name) {
            thead role="rowgroup" {
                tr role="row" {
                    @for head in heads {
                        th.num[is_numeric(head)] role="columnheader" scope="col" {
                            @if head.is_empty() { span.unseen { "Action" } } @else { (head) }
                        }
                    }
                }
            }
            tbody role="rowgroup" { @for row in rows { tr role="row" { (row) } } }
        }
    }
}

/// Sessions of one kind.
pub(in crate::admin) fn rows_table(name: &str, kind: Subject, rows: &[Row], now: Timestamp) -> Markup {
    let row = |row: &Row| {
        html! {
            (cell("State", &badge(&row.state)))
            (cell("Session", &html! { a href=(sheet_address(kind, &row.id)) title=(row.id) { code { (row.name) } } }))
            (cell("User", &html! {
                @match &row.user {
                    Some(user) => a.plain href=(search_address(user)) title=(user) { code { (crate::admin::kinds::short(user)) } },
                    None => span.soft { "guest" },
                }
            }))
            (cell("What", &html! { span.figure { (row.what) } }))
            (cell("Created", &html! { @if let Some(at) = row.created_at { (ago(at, now)) } }))
            (cell("Changed", &ago(row.updated_at, now)))
        }
    };
    let rows: Vec<Markup> = rows.iter().map(row).collect();
    reflow(name, &["State", "Session", "User", "What", "Created", "Changed"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn numbers_and_moments_read_as_people_say_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((percent(0.5), percent(1.0)), ("50.0 %".to_owned(), "100.0 %".to_owned()));
        let now = Timestamp::from_unix_ms(1_800_000_000_000);
        let said = |seconds| until(now.plus(Duration::from_secs(seconds)), now);
        assert_eq!(
            [0, 59, 60, 7_200, 90_000].map(said),
            ["in 1 second", "in 59 seconds", "in 1 minute", "in 2 hours", "in 1 day"]
        );
    }

    #[test]
    fn what_people_wrote_is_text() {
        let now = Timestamp::EPOCH;
        let html = fact(&Fact::text("<script>"), now).into_string();
        assert_eq!(html, "&lt;script&gt;");
        let html =
            fact(&Fact::Link("/admin/search?q=%22".to_owned(), "\"><b>".to_owned()), now).into_string();
        assert!(!html.contains("<b>"), "{html}");
    }
}
