//! Checkouts.

use super::{Absent, Deed, Fact, Form, Kind, Listed, Moment, Row, Sheet, Wanted, sheet_address, short};
use crate::admin::counts::{self, Count, away};
use crate::admin::series::{Mark, Subject};
use crate::app::App;
use crate::http::{Problem, v1};
use crate::limits::{HISTORY_ROWS_MAX, LIST_ROWS};
use crate::money::Money;
use crate::pages::price_text;
use async_trait::async_trait;
use sessile::{Timestamp, UserId};
use sessile_core::checkout::{Caller, Checkout, CheckoutId, CheckoutState};
use sessile_core::ledger::{self, CheckoutKey, PaymentFilter, Reads, Record, RecordKey};

/// Checkouts.
pub(super) struct Checkouts;

/// What the money kinds need.
pub(super) fn money(app: &App) -> Result<&Money, Absent> {
    app.money.kinds.as_ref().map_err(|missing| Absent::Off(missing.clone()))
}

/// The counts of one kind of the ledger.
pub(super) async fn counted(app: &App, kind: ledger::Kind) -> Result<Count, Absent> {
    let census = counts::census(app).await?;
    let of_kind = census.counts.into_iter().filter(|(other, ..)| *other == kind);
    let states = of_kind.map(|(_, state, count)| (state, count.unsigned_abs())).collect();
    Ok(Count { states, more: false })
}

/// Nobody sees it as active once its time is over, whether or not a timer was there.
fn state_of(row: &Checkout, now: Timestamp) -> &'static str {
    match &row.state {
        CheckoutState::Active if !row.is_live(now) => "expired",
        state => state.name(),
    }
}

/// As lists show it.
pub(in crate::admin) fn row_of(row: &Checkout, now: Timestamp) -> Row {
    Row {
        id: row.id.as_str().to_owned(),
        name: short(row.id.as_str()),
        state: state_of(row, now).to_owned(),
        user: row.owner.user.as_ref().map(|user| user.as_str().to_owned()),
        what: row.price.map(|price| price_text(price.payable(), price.currency)).unwrap_or_default(),
        created_at: Some(row.created_at),
        updated_at: row.updated_at,
    }
}

#[async_trait]
impl Kind for Checkouts {
    fn subject(&self) -> Subject {
        Subject::Checkout
    }

    fn title(&self) -> &'static str {
        "Checkouts"
    }

    fn states(&self) -> &'static [&'static str] {
        &["active", "completed", "expired", "invalidated"]
    }

    fn busy_state(&self) -> &'static str {
        "active"
    }

    fn marks(&self) -> &'static [(Mark, &'static str)] {
        &[
            (Mark::Created, "created"),
            (Mark::Completed, "completed"),
            (Mark::Expired, "expired"),
            (Mark::Recovered, "recovered"),
        ]
    }

    async fn count(&self, app: &App) -> Result<Count, Absent> {
        counted(app, ledger::Kind::Checkout).await
    }

    async fn list(&self, app: &App, wanted: &Wanted) -> Result<Listed, Absent> {
        let filter = PaymentFilter { status: wanted.status.clone(), ..PaymentFilter::default() };
        let ledger = &money(app)?.ledger;
        let page = ledger.page(ledger::Kind::Checkout, &filter, wanted.after.as_ref(), LIST_ROWS).await;
        let page = page.map_err(|error| away(&error))?;
        Ok(Listed { rows: rows(page.rows, app.clock.now()), next: page.next, note: None })
    }

    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent> {
        let (ledger, now) = (&money(app)?.ledger, app.clock.now());
        let mut found = Vec::new();
        if let Some(id) = CheckoutId::parse(needle) {
            let books = ledger.look(&Reads::none().checkout(CheckoutKey::Id(id.clone()))).await;
            let books = books.map_err(|error| away(&error))?;
            found.extend(books.checkout(&id).map(|row| row_of(row, now)));
        }
        if let Some(user) = UserId::parse(needle) {
            let filter = PaymentFilter { user: Some(user), ..PaymentFilter::default() };
            let page = ledger.page(ledger::Kind::Checkout, &filter, None, LIST_ROWS).await;
            found.extend(rows(page.map_err(|error| away(&error))?.rows, now));
        }
        Ok(found)
    }

    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent> {
        let Some(id) = CheckoutId::parse(id) else { return Ok(None) };
        let ledger = &money(app)?.ledger;
        let books = ledger.look(&Reads::none().checkout(CheckoutKey::Id(id.clone()))).await;
        let books = books.map_err(|error| away(&error))?;
        let Some(row) = books.checkout(&id) else { return Ok(None) };
        let history = ledger.history(&RecordKey::Checkout(id.clone()), HISTORY_ROWS_MAX).await;
        let history = history.map_err(|error| away(&error))?;
        let now = app.clock.now();
        let payments = super::payment::table("Payments", books.payments_of(&id), now);
        Ok(Some(Sheet {
            name: row.id.as_str().to_owned(),
            state: state_of(row, now).to_owned(),
            says: None,
            facts: facts(row),
            tables: vec![payments],
            timeline: history.iter().map(Moment::from).collect(),
            timeline_note: None,
            deeds: deeds(row, now),
        }))
    }

    async fn act(&self, app: &App, id: &str, _deed: &str, _form: &Form) -> Result<Option<String>, Problem> {
        let money = v1::money(app)?;
        let id = CheckoutId::parse(id).ok_or_else(Problem::checkout_not_found)?;
        let row = money.checkouts.cancel(&Caller::Operator, &id).await?;
        tracing::info!(checkout = row.id.fingerprint(), by = %Caller::Operator, "checkout cancelled");
        Ok(None)
    }
}

fn rows(records: Vec<Record>, now: Timestamp) -> Vec<Row> {
    let of = |record| match record {
        Record::Checkout(row) => Some(row_of(&row, now)),
        _ => None,
    };
    records.into_iter().filter_map(of).collect()
}

fn facts(row: &Checkout) -> Vec<(&'static str, Fact)> {
    let link =
        |id: &CheckoutId| Fact::Link(sheet_address(Subject::Checkout, id.as_str()), short(id.as_str()));
    let mut facts = Vec::new();
    match (&row.owner.user, &row.owner.guest) {
        (Some(user), _) => facts.push(("User", Fact::find(user.as_str()))),
        (None, Some(_)) => facts.push(("User", Fact::text("a guest, known by a cookie"))),
        (None, None) => facts.push(("User", Fact::text("nobody: an older application's row"))),
    }
    if let Some(price) = row.price {
        facts.push(("To pay", Fact::text(price_text(price.payable(), price.currency))));
        if !price.discount.is_zero() {
            facts.push(("Discount", Fact::text(price_text(price.discount, price.currency))));
        }
    }
    if let Some(hold) = &row.coupon {
        facts.push(("Coupon", Fact::code(hold.coupon.as_str())));
    }
    match &row.state {
        CheckoutState::Invalidated { reason, .. } => facts.push(("Reason", Fact::text(reason.name()))),
        CheckoutState::Completed { payment: Some(payment), .. } => facts.push((
            "Completed by",
            Fact::Link(sheet_address(Subject::Payment, payment.as_str()), short(payment.as_str())),
        )),
        _ => {}
    }
    facts.extend(row.renewed_from.as_ref().map(|id| ("Continues", link(id))));
    facts.extend(row.superseded_by.as_ref().map(|id| ("Replaced by", link(id))));
    facts.push(("Created", Fact::At(row.created_at)));
    facts.push(("Changed", Fact::At(row.updated_at)));
    facts.push(("Ends", Fact::At(row.expires_at)));
    facts
}

fn deeds(row: &Checkout, now: Timestamp) -> Vec<Deed> {
    let cancel = Deed {
        name: "cancel".to_owned(),
        label: "Cancel this checkout",
        consequence:
            "The buyer can no longer pay for it. Payments that nobody has begun end with it, and a coupon is \
                      given back. A checkout that is being paid for cannot be cancelled."
                .to_owned(),
        note: None,
    };
    (row.state == CheckoutState::Active && row.is_live(now)).then_some(cancel).into_iter().collect()
}
