//! `GET /admin/audit`: the last rows of the audit log, the newest first. `sessile audit verify` checks the chain.

use super::counts::away;
use super::kinds::{Fact, search_address, segment, sheet_address, short};
use super::pages::{Here, Page, absent, ago, cell, empty, reflow};
use super::remarks;
use super::series::Subject;
use crate::app::App;
use crate::limits::AUDIT_ROWS;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use sessile::Timestamp;
use sessile_core::ledger::AuditRow;

/// Which page.
#[derive(serde::Deserialize)]
pub(super) struct Asked {
    /// Rows with smaller numbers.
    before: Option<i64>,
}

pub(super) async fn show(State(app): State<App>, Query(asked): Query<Asked>) -> Response {
    let rows = remarks::last(&app, asked.before, AUDIT_ROWS).await.map_err(|error| away(&error));
    let now = app.clock.now();
    let content = html! {
        div.headline { h1 { "Audit log" } }
        p.soft {
            "One row for each change of a checkout, payment, coupon, grant or refund, and for what operators did to other "
            "sessions. The rows are chained by hash: " code { "sessile audit verify" } " checks them."
        }
        @match &rows {
            Err(why) => (absent(why)),
            Ok(rows) if rows.is_empty() => (empty("Nothing has happened yet.")),
            Ok(rows) => {
                div data-live="audit" { (table(rows, now)) }
                @if let Some(last) = rows.last().filter(|row| row.seq > 1) {
                    div.actions { a.button href={ "/admin/audit?before=" (last.seq) } { "Older" } }
                }
            },
        }
    };
    Page::new("Audit log", Here::Audit).render(&content).into_response()
}

fn table(rows: &[AuditRow], now: Timestamp) -> Markup {
    let row = |row: &AuditRow| {
        html! {
            (cell("Row", &html! { span.figure { (row.seq) } }))
            (cell("When", &ago(row.at, now)))
            (cell("What", &html! { (row.event) }))
            (cell("Who", &html! { (row.actor) }))
            (cell("About", &html! {
                @for fact in about(row) { @if let Fact::Link(to, name) = fact { a href=(to) { code { (name) } } " " } }
            }))
        }
    };
    let rows: Vec<Markup> = rows.iter().map(row).collect();
    reflow("Audit log", &["Row", "When", "What", "Who", "About"], &rows)
}

/// Where what the row is about can be looked at.
fn about(row: &AuditRow) -> Vec<Fact> {
    let mut links = Vec::new();
    if let Some(id) = &row.payment {
        links.push(Fact::Link(sheet_address(Subject::Payment, id.as_str()), short(id.as_str())));
    }
    if let Some(id) = &row.checkout {
        links.push(Fact::Link(sheet_address(Subject::Checkout, id.as_str()), short(id.as_str())));
    }
    links.extend(row.remarks().into_iter().map(|subject| {
        let address = match row.event.split_once('.') {
            Some(("login", "revoke_ordered")) => sheet_address(Subject::Login, &subject),
            Some(("generation", _)) => sheet_address(Subject::Generation, &subject),
            Some(("outbox" | "inbox", _)) => format!("/admin/outbox#{}", segment(&subject)),
            _ => search_address(&subject),
        };
        Fact::Link(address, short(&subject))
    }));
    links
}
