//! The rules about steps, each broken on purpose: what a short history has left is changed as no service would change
//! it, and the rule that forbids it has to be the one that notices.

use super::life::leave;
use super::place::Place;
use super::rules::Rule;
use super::script::{History, Pause, Step, What};
use super::shop::{Action, State};
use super::steps::Lived;
use super::world::START;
use crate::tables::Tables;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutState};
use sessile_core::ledger::{Record, RecordKey};
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{ExpireReason, Payment, PaymentState};
use std::time::Duration;

/// When the history below is over.
const NOW: Duration = Duration::from_secs(26 * 60 * 60);

/// One buyer has paid; another one's checkout has expired, and a third payment is under way.
fn history() -> History {
    let step = |what| Step { what, beside: None, fault: None, again: 0 };
    let steps = [
        What::Open(2, false, false),
        What::Wait(Pause::PastADay),
        What::SweepCheckouts,
        What::Open(0, false, false),
        What::Pay(0),
        What::Prepare(0, false, false),
        What::Take(0),
        What::Complete(0, false),
        What::Open(0, true, false),
        What::Pay(0),
        What::Prepare(0, false, false),
    ];
    History { seed: 1, coupon: (25, 1), steps: steps.map(step).into() }
}

/// Says what was not noticed.
pub(crate) async fn sabotaged(place: &Place) -> Result<(), String> {
    let state = leave(place, &history()).await?;
    let completed = find(&state, |payment| payment.state.is_completed())?;
    let processing = find(&state, |payment| payment.state.is_processing())?;
    let trans = completed.state.attempt().ok_or("an attempt")?.trans;
    let expired = |payment: &Payment| {
        let state = PaymentState::Expired { attempt: None, at: START, reason: ExpireReason::Timer };
        Record::Payment(Payment { state, ..payment.clone() })
    };
    let mut active = state.tables.checkouts().filter(|row| row.state == CheckoutState::Active).cloned();
    let over =
        state.tables.checkouts().find(|row| matches!(row.state, CheckoutState::Expired { .. })).cloned();
    let (active, over) = (active.next().ok_or("an active one")?, over.ok_or("an expired one")?);
    let back = Checkout { state: CheckoutState::Active, ..over };
    let longer = Checkout { expires_at: Timestamp::FAR, ..active.clone() };

    let calm = Lived { before: &state, after: &state.tables, done: &[], now: now(), news: &[] };
    expect("nothing", calm.broken(), None)?;
    let put = |record: Record| {
        let mut tables = state.tables.clone();
        tables.records.insert(record.key(), record);
        tables
    };
    let lives = |after: &Tables| Lived { before: &state, after, done: &[], now: now(), news: &[] }.broken();
    expect("a completed payment expires", lives(&put(expired(&completed))), Some(Rule::Absorbs))?;
    expect("a timer ends processing", lives(&put(expired(&processing))), Some(Rule::Timer))?;
    let mut without = state.tables.clone();
    without.records.remove(&RecordKey::Checkout(active.id));
    expect("an active checkout is purged", lives(&without), Some(Rule::Purged))?;
    let unaudited = put(Record::Checkout(longer));
    expect("a change that nobody audits", lives(&unaudited), Some(Rule::Audit))?;
    let revived = put(Record::Checkout(back));
    expect("an expired checkout comes back", lives(&revived), Some(Rule::UnExpired))?;
    let refused = [(Action::Complete(trans), Some(Answer::Cancelled))];
    let refused = Lived { before: &state, after: &state.tables, done: &refused, now: now(), news: &[] };
    expect("taken money is refused", refused.broken(), Some(Rule::MoneyRefused))?;

    let mut before = state.clone();
    before.tables.records.remove(&RecordKey::Payment(processing.id));
    let late = Lived { before: &before, after: &state.tables, done: &[], now: Timestamp::FAR, news: &[] };
    expect("a payment for what is over", late.broken(), Some(Rule::NothingNew))
}

fn now() -> Timestamp {
    START.plus(NOW)
}

fn find(state: &State, is: impl Fn(&Payment) -> bool) -> Result<Payment, String> {
    state.tables.payments().find(|payment| is(payment)).cloned().ok_or_else(|| "a payment".to_owned())
}

fn expect(what: &str, noticed: Option<Rule>, wanted: Option<Rule>) -> Result<(), String> {
    if noticed == wanted { Ok(()) } else { Err(format!("{what}: {noticed:?} in place of {wanted:?}")) }
}
