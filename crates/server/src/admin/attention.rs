//! `GET /admin/attention`: the lists that an operator works off, without SQL.

use super::counts::away;
use super::kinds::{Absent, Row, checkout, generation, payment, sheet_address, short};
use super::pages::{Here, Page, absent, ago, badge, cell, empty, reflow, rows_table};
use super::series::Subject;
use crate::app::App;
use crate::limits::LIST_ROWS;
use crate::money::Money;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use sessile::Timestamp;
use sessile_core::StoreError;
use sessile_core::checkout::RECOVERY_WINDOW;
use sessile_core::generation::Refund as JobRefund;
use sessile_core::ledger::{
    CheckoutKey, Due, Kind, PAGE_MAX, PaymentFilter, PaymentKey, Reads, Record, RecordKey,
};
use sessile_core::payment::{Payment, PaymentState, Refund};
use std::time::Duration;

/// A payment that has been processing for longer than this is stale.
const STALE_AFTER: Duration = Duration::from_secs(60 * 60);
/// Pages of processing payments that are looked through: there are as many as are being paid.
const STALE_PAGES_MAX: usize = 5;

/// One list.
struct Concern {
    id: &'static str,
    title: &'static str,
    /// What it means, and what to do.
    says: &'static str,
    none: &'static str,
    table: Result<Option<Markup>, Absent>,
}

impl Concern {
    const fn is_clear(&self) -> bool {
        matches!(self.table, Ok(None))
    }
}

/// `GET /admin/attention`.
pub(super) async fn show(State(app): State<App>) -> Response {
    let now = app.clock.now();
    let concerns = [
        refunds(&app, now).await,
        stale(&app, now).await,
        jobs_due(&app, now).await,
        nameless(&app, now).await,
        overdue(&app, now).await,
        purges(&app, now).await,
        orphans(&app, now).await,
    ];
    let content = html! {
        div.headline { h1 { "Attention" } }
        p.soft { "At most " (LIST_ROWS) " rows of each list, the longest waiting first." }
        div data-live="concerns" {
            @for concern in concerns.iter().filter(|concern| !concern.is_clear()) { (section(concern)) }
            (clear(concerns.iter().filter(|concern| concern.is_clear())))
        }
    };
    Page::new("Attention", Here::Attention).render(&content).into_response()
}

fn section(concern: &Concern) -> Markup {
    html! {
        section.panel aria-labelledby=(concern.id) {
            h2 id=(concern.id) { (concern.title) }
            p.soft.small { (concern.says) }
            @match &concern.table {
                Err(why) => (absent(why)),
                Ok(None) => (empty(concern.none)),
                Ok(Some(table)) => (table),
            }
        }
    }
}

/// The lists that nobody has to look at, in a few lines.
fn clear<'c>(concerns: impl Iterator<Item = &'c Concern>) -> Markup {
    let concerns: Vec<&Concern> = concerns.collect();
    html! {
        @if !concerns.is_empty() {
            section.panel aria-labelledby="clear" {
                h2 #clear { "In order" }
                dl.clear {
                    @for concern in &concerns { div id=(concern.id) { dt { (concern.title) } dd { (concern.none) } } }
                }
            }
        }
    }
}

fn money(app: &App) -> Result<&Money, Absent> {
    app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))
}

fn payments_table(title: &'static str, rows: &[Row], now: Timestamp) -> Option<Markup> {
    (!rows.is_empty()).then(|| rows_table(title, Subject::Payment, rows, now))
}

async fn page(money: &Money, kind: Kind, status: &str) -> Result<Vec<Record>, StoreError> {
    let filter = PaymentFilter { status: Some(status.to_owned()), ..PaymentFilter::default() };
    Ok(money.ledger.page(kind, &filter, None, LIST_ROWS).await?.rows)
}

/// Rows that `due` names, in its order.
async fn due(money: &Money, due: Due, now: Timestamp) -> Result<Vec<Record>, StoreError> {
    let keys = money.ledger.due(due, now, LIST_ROWS).await?;
    let mut reads = Reads::none();
    for key in &keys {
        match key {
            RecordKey::Payment(id) => reads.payments.push(PaymentKey::Id(id.clone())),
            RecordKey::Checkout(id) => reads.checkouts.push(CheckoutKey::Id(id.clone())),
            RecordKey::Refund(id) => reads.refunds.push(id.clone()),
            RecordKey::Coupon(_) | RecordKey::Grant(_) => {}
        }
    }
    let books = if keys.is_empty() { return Ok(Vec::new()) } else { money.ledger.look(&reads).await? };
    Ok(keys.iter().filter_map(|key| books.record(key).cloned()).collect())
}

fn payment_rows(records: &[Record], now: Timestamp) -> Vec<Row> {
    let of = |record: &Record| match record {
        Record::Payment(row) => Some(payment::row_of(row, now)),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

async fn refunds(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let found = page(money(app)?, Kind::Refund, "needs_manual").await.map_err(|error| away(&error))?;
        let refunds = found.iter().filter_map(|record| match record {
            Record::Refund(refund) => Some(refund_row(refund, now)),
            _ => None,
        });
        let rows: Vec<Markup> = refunds.collect();
        let heads = ["State", "Refund", "Payment", "Why", "Changed"];
        Ok((!rows.is_empty()).then(|| reflow("Refunds that need a person", &heads, &rows)))
    };
    Concern {
        id: "refunds",
        title: "Refunds that need a person",
        says: "The provider refused to give the money back, or nobody knows whether it did. Give it back in the provider's \
               cabinet, then settle the refund on the payment's page.",
        none: "No refund waits for a person.",
        table: table.await,
    }
}

fn refund_row(refund: &Refund, now: Timestamp) -> Markup {
    let address = sheet_address(Subject::Payment, refund.payment.as_str());
    html! {
        (cell("State", &badge(refund.state.name())))
        (cell("Refund", &html! { code { (short(refund.id.as_str())) } }))
        (cell("Payment", &html! { a href=(address) { code { (short(refund.payment.as_str())) } } }))
        (cell("Why", &html! { (refund.note.as_deref().unwrap_or(refund.reason.name())) }))
        (cell("Changed", &ago(refund.updated_at, now)))
    }
}

/// Since when a payment is being processed.
fn processing_since(payment: &Payment) -> Option<Timestamp> {
    match payment.state {
        PaymentState::Processing { at, .. } => Some(at),
        _ => None,
    }
}

async fn stale(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let ledger = &money(app)?.ledger;
        let filter = PaymentFilter { status: Some("processing".to_owned()), ..PaymentFilter::default() };
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..STALE_PAGES_MAX {
            let page = ledger.page(Kind::Payment, &filter, after.as_ref(), PAGE_MAX).await;
            let page = page.map_err(|error| away(&error))?;
            found.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let before = now.minus(STALE_AFTER);
        let is_stale = |record: &Record| matches!(record, Record::Payment(row) if processing_since(row).is_some_and(|at| at < before));
        found.retain(is_stale);
        found.reverse();
        found.truncate(LIST_ROWS);
        Ok(payments_table("Payments processing for too long", &payment_rows(&found, now), now))
    };
    Concern {
        id: "stale",
        title: "Payments processing for too long",
        says: "The provider prepared these more than an hour ago and has not said how it went. No timer ends them; \
               reconciliation asks the provider again and again. Look them up in its cabinet.",
        none: "No payment has been processing for more than an hour.",
        table: table.await,
    }
}

async fn jobs_due(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let jobs = app.generation.jobs.as_ref().map_err(|missing| Absent::Off(missing.clone()))?;
        let failed = jobs.store().recent(Some("error"), LIST_ROWS).await.map_err(|error| away(&error))?;
        let due = failed.iter().filter(|job| job.own().refund == JobRefund::Due);
        let rows: Vec<Row> = due.map(generation::row_of).collect();
        let name = "Paid jobs that failed";
        Ok((!rows.is_empty()).then(|| rows_table(name, Subject::Generation, &rows, now)))
    };
    Concern {
        id: "jobs",
        title: "Paid jobs that failed",
        says: "Paid for, and something of it was not made. Retry them, or give the money back.",
        none: "No paid job waits for a decision.",
        table: table.await,
    }
}

async fn nameless(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let found = due(money(app)?, Due::WithoutEmail, now).await.map_err(|error| away(&error))?;
        Ok(payments_table("Payments without an address", &payment_rows(&found, now), now))
    };
    Concern {
        id: "nameless",
        title: "Rows with missing user data",
        says: "Payments whose buyer cannot be written to: the application that made them sent no address.",
        none: "Every payment has an address.",
        table: table.await,
    }
}

async fn overdue(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let money = money(app)?;
        let payments = due(money, Due::Payments, now).await.map_err(|error| away(&error))?;
        let checkouts = due(money, Due::Checkouts, now).await.map_err(|error| away(&error))?;
        let payments = payments_table("Overdue payments", &payment_rows(&payments, now), now);
        let checkouts = checkout_table("Overdue checkouts", &checkouts, now);
        let both: Vec<Markup> = payments.into_iter().chain(checkouts).collect();
        Ok((!both.is_empty()).then(|| html! { @for table in &both { (table) } }))
    };
    Concern {
        id: "overdue",
        title: "Expired and due for a sweep",
        says: "Their time is over and no sweep has said so yet; everybody already sees them as expired. Rows that stay here \
               mean that no worker runs: start sessile serve, or sessile worker.",
        none: "Nothing is overdue: the sweeps keep up.",
        table: table.await,
    }
}

fn checkout_table(name: &'static str, records: &[Record], now: Timestamp) -> Option<Markup> {
    let of = |record: &Record| match record {
        Record::Checkout(row) => Some(checkout::row_of(row, now)),
        _ => None,
    };
    let rows: Vec<Row> = records.iter().filter_map(of).collect();
    (!rows.is_empty()).then(|| rows_table(name, Subject::Checkout, &rows, now))
}

async fn purges(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let purges = Due::Purges { left_before: now.minus(RECOVERY_WINDOW) };
        let found = due(money(app)?, purges, now).await.map_err(|error| away(&error))?;
        Ok(checkout_table("Checkouts due for cleanup", &found, now))
    };
    Concern {
        id: "cleanup",
        title: "Due for cleanup",
        says: "Checkouts that nobody can recover any more; the next sweep removes them.",
        none: "Nothing is due for cleanup.",
        table: table.await,
    }
}

async fn orphans(app: &App, now: Timestamp) -> Concern {
    let table = async {
        let found = page(money(app)?, Kind::Payment, "expired").await.map_err(|error| away(&error))?;
        Ok(payments_table("Orphans", &payment_rows(&found, now), now))
    };
    Concern {
        id: "orphans",
        title: "Orphans: created, never completed",
        says: "Payments that were begun and that nobody paid in time, the newest first. Nothing was taken. Many of them at \
               once mean that buyers do not reach the provider's page.",
        none: "No payment ran out of time.",
        table: table.await,
    }
}
