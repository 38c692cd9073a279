//! What one step does: a call of a real service on a ledger made of the state, then the same call again.

use super::rules::{Rule, judge};
use super::shop::{Action, Reply, Sabotage, Shop, State};
use super::wire::{Attempt, Money};
use crate::ledger::MemoryLedger;
use crate::tables::Tables;
use crate::world::{START, World, backend, browser, message, pays_for, pays_for_tier, run, user, wants};
use sessile_core::Timestamp;
use sessile_core::checkout::{Caller, Checkout, CheckoutError, CheckoutId, NewCheckout, Owner};
use sessile_core::ledger::{PaymentKey, Record};
use sessile_core::login::UserId;
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{
    Ask, Coupon, CreateError, ExpireReason, NewPayment, Payment, PaymentError, PaymentState, ProviderStep,
    RefundEvent, TransId, Word,
};
use std::sync::Arc;

/// Rows that one sweep looks at: all there are.
const ALL: usize = 100;

pub(crate) fn beginning(shop: &Shop) -> State {
    let world = World::on(Arc::new(MemoryLedger::default()), START, shop.terms.clone(), 0);
    if let Some(discount) = shop.coupon {
        world.make_coupon("ONCE", discount, Some(1));
    }
    State { moment: 0, tables: tidy(world.ledger.tables()), wires: super::wire::Wires::new(), broken: None }
}

/// The rows without what no decision reads: counters, the time of the last change, how often a provider was asked,
/// and the messages that were kept.
fn tidy(mut tables: Tables) -> Tables {
    tables.inbox.clear();
    for record in tables.records.values_mut() {
        match record {
            Record::Checkout(row) => (row.version, row.updated_at) = (1, START),
            Record::Payment(row) => {
                (row.version, row.updated_at) = (1, START);
                row.ask = row.ask.map(|_| Ask { at: START, times: 0 });
            }
            Record::Coupon(row) => row.version = 1,
            Record::Grant(row) => row.version = 1,
            Record::Refund(row) => (row.version, row.updated_at) = (1, START),
        }
    }
    tables
}

/// One call and what came of it.
struct Called {
    /// What the provider was told.
    answer: Option<Answer>,
    /// The ledger, as it seemed to the caller, was there.
    heard: bool,
}

pub(crate) fn step(shop: &Shop, state: &State, action: &Action) -> State {
    let mut next = state.clone();
    match action {
        Action::Clock(moment) => next.moment = *moment,
        Action::Take(trans) => decide(&mut next, *trans, Money::Taken),
        Action::Cancel(trans) => decide(&mut next, *trans, Money::Cancelled),
        _ => serve(shop, state, action, &mut next),
    }
    next
}

fn decide(next: &mut State, trans: TransId, to: fn(sessile_core::payment::PrepareId) -> Money) {
    if let Some(wire) = next.wires.get_mut(&trans)
        && let Money::Ready(number) = wire.money
    {
        wire.money = to(number);
    }
}

/// A step of ours.
fn serve(shop: &Shop, state: &State, action: &Action, next: &mut State) {
    let ledger = Arc::new(MemoryLedger::of(state.tables.clone()));
    // New rows get new names: a ledger of other rows, other chance.
    let rows = state.tables.records.len() + state.tables.purged.len();
    let seed = u64::try_from(rows).unwrap_or(u64::MAX);
    let world = World::on(ledger.clone(), shop.at(state.moment), shop.terms.clone(), seed);
    let called = match refused_on_purpose(shop, state, action) {
        Some(answer) => Called { answer: Some(answer), heard: true },
        None => call(&world, state, action),
    };
    sabotage(shop, state, action, &ledger);
    let (after, first_audit, first_told) = (ledger.tables(), ledger.audited().0, ledger.told().len());
    next.tables = tidy(after.clone());
    hear_back(next, action, called.answer);
    next.broken = judge(state, &after, action, world.now(), &first_audit, called.answer);
    if !called.heard || !ledger.broken().is_empty() {
        next.broken = Some(Rule::Ledger);
    }
    // Where nothing happened, nothing happens again.
    if next.tables == state.tables && first_audit.is_empty() {
        return;
    }
    // The caller heard nothing and asks again, with new chance, on what is there now.
    let again = World::on(ledger.clone(), world.now(), shop.terms.clone(), seed + 1000);
    call(&again, state, action);
    let is_question = matches!(action, Action::Told(..));
    let told_again = ledger.told().len() != first_told || ledger.audited().0.len() != first_audit.len();
    if shop.sabotage.is_none() && (tidy(ledger.tables()) != next.tables || (told_again && !is_question)) {
        next.broken = next.broken.or(Some(Rule::Repeated));
    }
}

/// The provider hears what it was told.
fn hear_back(next: &mut State, action: &Action, answer: Option<Answer>) {
    let Action::Prepare(order, trans, reply) = action else { return };
    let wire = next.wires.entry(*trans).or_insert(Attempt { order: order.clone(), money: Money::Asking });
    if let (Money::Asking, Reply::Arrives, Some(Answer::Prepared(number))) = (wire.money, reply, answer) {
        wire.money = Money::Ready(number);
    }
}

fn call(world: &World, state: &State, action: &Action) -> Called {
    let quiet = |heard| Called { answer: None, heard };
    match action {
        Action::Clock(_) | Action::Take(_) | Action::Cancel(_) => quiet(true),
        Action::Prepare(order, trans, _) => says(world, state, order, *trans, Message::Prepare),
        Action::Complete(trans) => completes(world, state, *trans, Message::AsItIs),
        Action::CancelPaid(trans) => completes(world, state, *trans, Message::Cancel),
        Action::Told(id, verdict) => quiet(run(world.payments.told(id, *verdict)).is_ok()),
        Action::SweepPayments => quiet(run(world.payments.sweep(ALL)).is_ok()),
        Action::SweepCheckouts => quiet(run(world.checkouts.sweep(ALL)).is_ok()),
        _ => quiet(orders(world, state, action)),
    }
}

/// What people want; whether the ledger was there.
fn orders(world: &World, state: &State, action: &Action) -> bool {
    let owner = |id: &CheckoutId| {
        let row = state.tables.checkouts().find(|row| row.id == *id);
        row.and_then(|row| row.owner.user.clone()).unwrap_or_else(|| user('a'))
    };
    let browser_of = |user: UserId| Caller::Browser(Owner::user(user));
    let refunds = |id, event| payment_heard(run(world.payments.refunded(id, event, "worker")));
    match action {
        Action::Open(who, package, coupon) => {
            let coupon = coupon.then(|| "ONCE".to_owned());
            checkout_heard(run(world
                .checkouts
                .open(&browser(*who), NewCheckout { coupon, ..wants(package) })))
        }
        Action::Recover(who, named) => {
            checkout_heard(run(world.checkouts.recover(&browser(*who), None, named.as_ref())))
        }
        Action::Validate(id) => checkout_heard(run(world.checkouts.validate(&browser_of(owner(id)), id))),
        Action::Declare(id) => checkout_heard(run(world.checkouts.complete(&browser_of(owner(id)), id))),
        Action::CancelCheckout(id) => checkout_heard(run(world.checkouts.cancel(&Caller::Operator, id))),
        Action::Pay(id) => create_heard(run(world.payments.create(&browser_of(owner(id)), pays_for(id)))),
        Action::BuyTier(key) => {
            let coupon = (*key == 1).then(|| "ONCE".to_owned());
            let new = NewPayment { key: Some(format!("key {key}")), coupon, ..pays_for_tier() };
            create_heard(run(world.payments.create(&browser('a'), new)))
        }
        Action::CancelPayment(id) => payment_heard(run(world.payments.cancel(&Caller::Operator, id))),
        Action::AskRefund(id) => payment_heard(run(world.payments.refund(&backend(), id, "wanted"))),
        Action::SubmitRefund(id) => refunds(id, RefundEvent::Submit),
        Action::RefundDone(id) => refunds(id, RefundEvent::Done),
        Action::RefundRefused(id) => refunds(id, RefundEvent::Refused("no".to_owned())),
        Action::SettleRefund(id) => refunds(id, RefundEvent::Settle("by hand".to_owned())),
        _ => true,
    }
}

fn checkout_heard<T>(answer: Result<T, CheckoutError>) -> bool {
    !matches!(answer, Err(CheckoutError::Unavailable(_)))
}

fn payment_heard<T>(answer: Result<T, PaymentError>) -> bool {
    !matches!(answer, Err(PaymentError::Unavailable(_)))
}

fn create_heard<T>(answer: Result<T, CreateError>) -> bool {
    !matches!(answer, Err(CreateError::Unavailable(_)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Prepare,
    AsItIs,
    Cancel,
}

fn completes(world: &World, state: &State, trans: TransId, what: Message) -> Called {
    match state.wires.get(&trans) {
        Some(wire) => says(world, state, &wire.order, trans, what),
        None => Called { answer: None, heard: true },
    }
}

fn says(
    world: &World,
    state: &State,
    order: &sessile_core::payment::OrderId,
    trans: TransId,
    what: Message,
) -> Called {
    let found = run(world.payments.find(&PaymentKey::Order(order.clone())));
    let Ok(Some(payment)) = found else { return Called { answer: None, heard: found.is_ok() } };
    let exact = Word::Amount(Some(payment.price.payable()));
    let completion = state.wires.get(&trans).and_then(|wire| wire.money.complete(&payment));
    let (step, word) = match (what, completion) {
        (Message::Prepare, _) | (_, None) => (ProviderStep::Prepare, exact),
        (Message::AsItIs, Some((number, word))) => (ProviderStep::Complete(Some(number)), word),
        (Message::Cancel, Some((number, _))) => (ProviderStep::Complete(Some(number)), Word::Failed),
    };
    match run(world.payments.hear(message(order, trans.0, step, word))) {
        Ok(answered) => Called { answer: answered.reply, heard: true },
        Err(_) => Called { answer: None, heard: false },
    }
}

/// Refuses money that comes late, on purpose.
fn refused_on_purpose(shop: &Shop, state: &State, action: &Action) -> Option<Answer> {
    let Action::Complete(trans) = action else { return None };
    let late = state.tables.payments().any(|payment| {
        payment.state.name() == "failed" && payment.state.attempt().is_some_and(|bound| bound.trans == *trans)
    });
    (late && shop.sabotage == Some(Sabotage::LateMoneyRefused)).then_some(Answer::Cancelled)
}

/// Breaks a rule on purpose, after the service has done what it does.
fn sabotage(shop: &Shop, state: &State, action: &Action, ledger: &MemoryLedger) {
    let now = shop.at(state.moment);
    match (shop.sabotage, action) {
        (Some(Sabotage::TimerEndsProcessing), Action::SweepPayments) => {
            let tables = ledger.tables();
            let stale = tables.payments().filter(|row| row.state.is_processing() && now >= row.expires_at);
            for row in stale {
                let attempt = row.state.attempt().copied();
                let state = PaymentState::Expired { attempt, at: now, reason: ExpireReason::Timer };
                ledger.put(Record::Payment(Payment { ask: None, state, ..row.clone() }));
            }
        }
        (Some(Sabotage::CouponForgets), Action::Open(..)) => {
            for coupon in ledger.tables().coupons() {
                ledger.put(Record::Coupon(Coupon { reserved: 0, ..coupon.clone() }));
            }
        }
        (Some(Sabotage::ChangeWithoutAudit), Action::Pay(_)) => {
            for row in ledger.tables().checkouts() {
                ledger.put(Record::Checkout(Checkout { expires_at: Timestamp::FAR, ..row.clone() }));
            }
        }
        _ => {}
    }
}
