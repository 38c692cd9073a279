//! Payments, with their refunds.

use super::checkout::{counted, money};
use super::{
    Absent, Deed, Fact, Form, Kind, Listed, Moment, Row, Sheet, Table, Wanted, sheet_address, short,
};
use crate::admin::counts::{Count, away};
use crate::admin::series::{Mark, Subject};
use crate::app::App;
use crate::http::{Problem, v1};
use crate::limits::{HISTORY_ROWS_MAX, LIST_ROWS};
use crate::pages::price_text;
use async_trait::async_trait;
use sessile::{Timestamp, UserId};
use sessile_core::checkout::Caller;
use sessile_core::ledger::{self, PaymentFilter, PaymentKey, Reads, Record, RecordKey};
use sessile_core::payment::{
    Disposition, OrderId, Payment, PaymentId, PaymentState, Refund, RefundId, RefundState, TransId,
};

/// Payments.
pub(super) struct Payments;

/// What begins the name of a deed that settles a refund.
const SETTLE: &str = "settle.";

/// Nobody sees it as pending once its time is over, whether or not a timer was there.
fn state_of(row: &Payment, now: Timestamp) -> &'static str {
    if row.is_overdue(now) { "expired" } else { row.state.name() }
}

/// As lists show it.
pub(in crate::admin) fn row_of(row: &Payment, now: Timestamp) -> Row {
    Row {
        id: row.id.as_str().to_owned(),
        name: short(row.id.as_str()),
        state: state_of(row, now).to_owned(),
        user: Some(row.user.as_str().to_owned()),
        what: amount(row),
        created_at: Some(row.created_at),
        updated_at: row.updated_at,
    }
}

fn amount(row: &Payment) -> String {
    price_text(row.price.payable(), row.price.currency)
}

fn rows(records: Vec<Record>, now: Timestamp) -> Vec<Row> {
    let of = |record| match record {
        Record::Payment(row) => Some(row_of(&row, now)),
        _ => None,
    };
    records.into_iter().filter_map(of).collect()
}

/// Payments that belong to something else.
pub(super) fn table<'p>(
    title: &'static str,
    payments: impl Iterator<Item = &'p Payment>,
    now: Timestamp,
) -> Table {
    let row = |row: &Payment| {
        vec![
            Fact::Link(sheet_address(Subject::Payment, row.id.as_str()), short(row.id.as_str())),
            Fact::text(state_of(row, now)),
            Fact::text(amount(row)),
            Fact::At(row.updated_at),
        ]
    };
    Table { title, heads: &["Payment", "State", "Amount", "Changed"], rows: payments.map(row).collect() }
}

#[async_trait]
impl Kind for Payments {
    fn subject(&self) -> Subject {
        Subject::Payment
    }

    fn title(&self) -> &'static str {
        "Payments"
    }

    fn states(&self) -> &'static [&'static str] {
        &["pending", "processing", "completed", "failed", "expired"]
    }

    fn busy_state(&self) -> &'static str {
        "processing"
    }

    fn marks(&self) -> &'static [(Mark, &'static str)] {
        &[
            (Mark::Created, "created"),
            (Mark::Completed, "completed"),
            (Mark::Expired, "expired"),
            (Mark::Failed, "failed"),
        ]
    }

    async fn count(&self, app: &App) -> Result<Count, Absent> {
        counted(app, ledger::Kind::Payment).await
    }

    async fn list(&self, app: &App, wanted: &Wanted) -> Result<Listed, Absent> {
        let filter = PaymentFilter { status: wanted.status.clone(), ..PaymentFilter::default() };
        let ledger = &money(app)?.ledger;
        let page = ledger.page(ledger::Kind::Payment, &filter, wanted.after.as_ref(), LIST_ROWS).await;
        let page = page.map_err(|error| away(&error))?;
        Ok(Listed { rows: rows(page.rows, app.clock.now()), next: page.next, note: None })
    }

    /// By our id, by the provider's name for it, by the number of the provider's attempt, by a refund, by user.
    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent> {
        let (ledger, now) = (&money(app)?.ledger, app.clock.now());
        let (id, order) = (PaymentId::parse(needle), OrderId::parse(needle));
        let refund = RefundId::parse(needle);
        let trans = needle.parse().ok().map(TransId);
        let mut reads = Reads::none();
        reads.payments.extend(id.clone().map(PaymentKey::Id));
        reads.payments.extend(order.clone().map(PaymentKey::Order));
        reads.refunds.extend(refund.clone());
        reads.attempts.extend(trans);
        let books = ledger.look(&reads).await.map_err(|error| away(&error))?;
        let bound = trans.and_then(|trans| books.bound(trans)).cloned();
        let mut found: Vec<Row> = Vec::new();
        let named = [
            id.and_then(|id| books.payment(&id)),
            order.and_then(|order| books.payment_by_order(&order)),
            refund.and_then(|refund| books.payment(&books.refund(&refund)?.payment)),
        ];
        found.extend(named.into_iter().flatten().map(|row| row_of(row, now)));
        if let Some(id) = bound {
            let books = ledger.look(&Reads::none().payment(PaymentKey::Id(id.clone()))).await;
            found.extend(books.map_err(|error| away(&error))?.payment(&id).map(|row| row_of(row, now)));
        }
        if let Some(user) = UserId::parse(needle) {
            let filter = PaymentFilter { user: Some(user), ..PaymentFilter::default() };
            let page = ledger.page(ledger::Kind::Payment, &filter, None, LIST_ROWS).await;
            found.extend(rows(page.map_err(|error| away(&error))?.rows, now));
        }
        Ok(found)
    }

    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent> {
        let Some(id) = PaymentId::parse(id) else { return Ok(None) };
        let ledger = &money(app)?.ledger;
        let books = ledger.look(&Reads::none().payment(PaymentKey::Id(id.clone()))).await;
        let books = books.map_err(|error| away(&error))?;
        let Some(row) = books.payment(&id) else { return Ok(None) };
        let history = ledger.history(&RecordKey::Payment(id.clone()), HISTORY_ROWS_MAX).await;
        let history = history.map_err(|error| away(&error))?;
        let refunds: Vec<&Refund> = books.refunds_of(&id).collect();
        Ok(Some(Sheet {
            name: row.id.as_str().to_owned(),
            state: state_of(row, app.clock.now()).to_owned(),
            says: None,
            facts: facts(row),
            tables: refund_table(row, &refunds).into_iter().collect(),
            timeline: history.iter().map(Moment::from).collect(),
            timeline_note: None,
            deeds: deeds(row, &refunds, app.clock.now()),
        }))
    }

    async fn act(&self, app: &App, id: &str, deed: &str, form: &Form) -> Result<Option<String>, Problem> {
        let payments = &v1::money(app)?.payments;
        let id = PaymentId::parse(id).ok_or_else(Problem::payment_not_found)?;
        let (payment, by) = (id.fingerprint(), Caller::Operator);
        if deed == "refund" {
            let key = form.get("key").ok_or_else(Problem::idempotency_key_missing)?;
            let refund = payments.refund(&by, &id, key).await?;
            tracing::info!(refund = refund.id.fingerprint(), payment, %by, "refund requested");
        } else if let Some(refund) = deed.strip_prefix(SETTLE) {
            let note = form.get("note").unwrap_or_default();
            v1::refunds::settle_by_hand(app, refund, note).await?;
        } else {
            payments.cancel(&by, &id).await?;
            tracing::info!(payment, %by, "payment cancelled");
        }
        Ok(None)
    }
}

fn refund_table(payment: &Payment, refunds: &[&Refund]) -> Option<Table> {
    let row = |refund: &&Refund| {
        vec![
            Fact::code(refund.id.as_str()),
            Fact::text(refund.state.name()),
            Fact::text(price_text(refund.amount, payment.price.currency)),
            Fact::text(refund.reason.name()),
            Fact::text(refund.note.clone().unwrap_or_default()),
            Fact::At(refund.updated_at),
        ]
    };
    (!refunds.is_empty()).then(|| Table {
        title: "Refunds",
        heads: &["Refund", "State", "Amount", "Reason", "Note", "Changed"],
        rows: refunds.iter().map(row).collect(),
    })
}

fn facts(row: &Payment) -> Vec<(&'static str, Fact)> {
    let price = row.price;
    let mut facts = vec![
        ("Order", Fact::code(row.order.as_str())),
        ("User", Fact::find(row.user.as_str())),
        ("Address", Fact::text(if row.email.trim().is_empty() { "missing" } else { &row.email })),
        ("Amount", Fact::text(amount(row))),
    ];
    if !price.discount.is_zero() {
        facts.push(("Before discount", Fact::text(price_text(price.original, price.currency))));
    }
    facts.push(("Method", Fact::text(row.method.name())));
    facts.extend(row.coupon.as_ref().map(|hold| ("Coupon", Fact::code(hold.coupon.as_str()))));
    facts.extend(row.checkout.as_ref().map(|id| {
        ("Pays for", Fact::Link(sheet_address(Subject::Checkout, id.as_str()), short(id.as_str())))
    }));
    facts.extend(outcome(&row.state));
    if let Some(attempt) = row.state.attempt() {
        facts.push(("Provider's number", Fact::code(attempt.trans.0.to_string())));
        facts.push(("Customer's number", Fact::code(attempt.paydoc.0.to_string())));
        facts.extend(attempt.prepare.map(|prepare| ("Our number", Fact::code(prepare.get().to_string()))));
    }
    if let Some(ask) = row.ask {
        facts.push(("Asked so far", Fact::text(format!("{} times", ask.times))));
        facts.push(("Asked next", Fact::At(ask.at)));
    }
    for (raised, what) in [
        (row.flags.cancel_after_success, "cancelled by the provider after it had confirmed"),
        (row.flags.amount_differs, "a confirmation named another amount"),
        (row.flags.coupon_overflow, "the coupon's limit is exceeded"),
    ] {
        facts.extend(raised.then(|| ("Look at", Fact::text(what))));
    }
    facts.push(("Created", Fact::At(row.created_at)));
    facts.push(("Changed", Fact::At(row.updated_at)));
    facts.push(("Ends", Fact::At(row.expires_at)));
    facts
}

fn outcome(state: &PaymentState) -> Vec<(&'static str, Fact)> {
    match state {
        PaymentState::Pending | PaymentState::Processing { .. } => Vec::new(),
        PaymentState::Failed { reason, .. } => vec![("Reason", Fact::text(reason.name()))],
        PaymentState::Expired { reason, .. } => vec![("Reason", Fact::text(reason.name()))],
        PaymentState::Completed { how, disposition, .. } => {
            let did = match disposition {
                Disposition::Granted => "it bought what it was for".to_owned(),
                Disposition::Allocated { checkout } => format!("it bought {}", short(checkout.as_str())),
                Disposition::Refunded { reason } => format!("it goes back: {}", reason.name()),
            };
            vec![("Confirmed", Fact::text(how.name())), ("The money", Fact::text(did))]
        }
    }
}

fn deeds(row: &Payment, refunds: &[&Refund], now: Timestamp) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if row.state == PaymentState::Pending && !row.is_overdue(now) {
        deeds.push(Deed {
            name: "cancel".to_owned(),
            label: "Cancel this payment",
            consequence: "The buyer can no longer pay with this link. Nothing was taken. Once the provider has prepared \
                          the payment it cannot be cancelled."
                .to_owned(),
            note: None,
        });
    }
    let going_back = refunds.iter().any(|refund| refund.state.counts());
    if row.state.is_completed() && !row.price.payable().is_zero() && !going_back {
        deeds.push(Deed {
            name: "refund".to_owned(),
            label: "Refund this payment",
            consequence: format!(
                "{} goes back to the buyer, all of it. The provider is asked by a worker; when the money is back, what it \
                 had bought is taken back too. This cannot be undone.",
                amount(row)
            ),
            note: None,
        });
    }
    for refund in refunds.iter().filter(|refund| refund.state == RefundState::NeedsManual) {
        deeds.push(Deed {
            name: format!("{SETTLE}{}", refund.id.as_str()),
            label: "Settle the refund by hand",
            consequence: format!(
                "You have given back {} yourself, for instance in the provider's cabinet. The refund counts as done, and \
                 what the money had bought is taken back.",
                price_text(refund.amount, row.price.currency)
            ),
            note: Some("How the money went back"),
        });
    }
    deeds
}
