//! The rules. Some are about a state, and are checked in every one; some are about a step, and the step that breaks
//! one leaves its name in the state.

use super::shop::{Action, Shop, State};
use super::wire::Money;
use crate::tables::Tables;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutState};
use sessile_core::ledger::{AuditHead, AuditRow, Record, RecordKey, Replay, verify};
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{
    Consequence, Disposition, FailReason, Grant, HoldState, Payment, PaymentEvent, PaymentState, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};

/// A rule about steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    Ledger,
    Absorbs,
    Timer,
    MoneyRefused,
    Repeated,
    Purged,
    Audit,
    NothingNew,
    UnExpired,
}

pub(crate) type Holds = fn(&Shop, &State) -> bool;

/// What holds in every state.
pub(crate) fn always() -> Vec<(&'static str, Holds)> {
    vec![
        ("0 the ledger's contract: unique keys, reads that name what is read", |_, s| {
            s.broken != Some(Rule::Ledger)
        }),
        ("1 one granted payment per checkout, one grant per payment", |_, s| one_grant(&s.tables)),
        ("1 a checkout and none of its renewals are both bought", |_, s| not_bought_twice(&s.tables)),
        ("2 completed and provider_cancelled absorb", |_, s| s.broken != Some(Rule::Absorbs)),
        ("3 completed money is the snapshot's, and was taken", |_, s| {
            s.tables.payments().all(|p| is_exact(s, p))
        }),
        ("3 money that was confirmed did something", |_, s| {
            s.tables.payments().all(|p| did_something(&s.tables, p))
        }),
        ("4 no timer and no person leaves processing", |_, s| s.broken != Some(Rule::Timer)),
        ("5 what was prepared and taken is never refused", |_, s| s.broken != Some(Rule::MoneyRefused)),
        ("6, 15, 18 a repeated request changes nothing", |_, s| s.broken != Some(Rule::Repeated)),
        ("7 a coupon's counters are its holds, and within its limit", |_, s| coupons_count(&s.tables)),
        ("8 one active checkout per place, one open payment per checkout", |_, s| one_of_each(&s.tables)),
        ("9 a renewal chain has no cycle and one active row", |_, s| {
            s.tables.checkouts().all(|c| chain(&s.tables, c))
        }),
        ("10 purge removes nothing that is needed", |_, s| s.broken != Some(Rule::Purged)),
        ("11 refunds are at most what was paid", |_, s| s.tables.payments().all(|p| refunds(&s.tables, p))),
        ("12 no id is used again", |_, s| s.tables.checkouts().all(|row| !s.tables.purged.contains(&row.id))),
        ("13 one audit row per change, and it tells the change", |_, s| s.broken != Some(Rule::Audit)),
        ("14 what the provider last said is what we have", agreed),
        ("19 nothing new for what is over", |_, s| s.broken != Some(Rule::NothingNew)),
        ("20 nothing un-expires", |_, s| s.broken != Some(Rule::UnExpired)),
        ("liveness: whatever is processing is asked about, and any answer ends it", live),
    ]
}

/// What the step from `before` did that none may.
pub(crate) fn judge(
    before: &State,
    after: &Tables,
    action: &Action,
    now: Timestamp,
    audit: &[AuditRow],
    answer: Option<Answer>,
) -> Option<Rule> {
    let was = &before.tables;
    let checks = [
        (Rule::Absorbs, absorbs(was, after)),
        (Rule::Timer, by_provider(action) || !left_processing(was, after)),
        (Rule::MoneyRefused, !money_refused(before, action, answer)),
        (Rule::Purged, after.purged.iter().all(|id| is_purgeable(was, id, now))),
        (Rule::Audit, is_told(was, after, audit)),
        (Rule::NothingNew, after.payments().all(|row| was_wanted(was, row, now))),
        (
            Rule::UnExpired,
            after.checkouts().all(|row| stays_ended(was, row)) && pending_stays(was, after, now),
        ),
    ];
    checks.into_iter().find_map(|(rule, holds)| (!holds).then_some(rule))
}

fn same<'a>(tables: &'a Tables, payment: &Payment) -> Option<&'a Payment> {
    match tables.records.get(&RecordKey::Payment(payment.id.clone())) {
        Some(Record::Payment(row)) => Some(row),
        _ => None,
    }
}

fn absorbs(before: &Tables, after: &Tables) -> bool {
    before.payments().all(|was| {
        let absorbing = was.state.is_completed()
            || matches!(was.state, PaymentState::Failed { reason: FailReason::ProviderCancelled, .. });
        !absorbing || same(after, was).is_some_and(|is| is.state == was.state)
    })
}

fn by_provider(action: &Action) -> bool {
    matches!(action, Action::Prepare(..) | Action::Complete(_) | Action::CancelPaid(_) | Action::Told(..))
}

fn left_processing(before: &Tables, after: &Tables) -> bool {
    let mut processing = before.payments().filter(|was| was.state.is_processing());
    processing.any(|was| !same(after, was).is_some_and(|is| is.state.is_processing()))
}

fn money_refused(before: &State, action: &Action, answer: Option<Answer>) -> bool {
    let Action::Complete(trans) = action else { return false };
    let taken = before.wires.get(trans).is_some_and(|wire| matches!(wire.money, Money::Taken(_)));
    taken && !matches!(answer, Some(Answer::Confirmed | Answer::AlreadyPaid))
}

fn is_purgeable(before: &Tables, id: &sessile_core::checkout::CheckoutId, now: Timestamp) -> bool {
    let Some(row) = before.checkouts().find(|row| row.id == *id) else { return true };
    let week = sessile_core::checkout::RECOVERY_WINDOW;
    let left = row.state.left_active_at().is_some_and(|at| now.since(at) >= week);
    let needed = |payment: &Payment| {
        payment.state.is_processing()
            || payment.state.is_completed()
            || before.refunds().any(|refund| refund.payment == payment.id && refund.state.is_open())
    };
    left && !matches!(row.state, CheckoutState::Completed { .. })
        && !before.payments().any(|payment| payment.checkout.as_ref() == Some(id) && needed(payment))
}

/// The audit of this step tells every row that changed, as it is now, and no other.
fn is_told(before: &Tables, after: &Tables, audit: &[AuditRow]) -> bool {
    let changed = || after.records.iter().filter(|(key, row)| before.records.get(key) != Some(row));
    let mut replay = Replay::default();
    let readable = verify(AuditHead::default(), audit).is_ok() && replay.read(audit).is_ok();
    let told: BTreeSet<RecordKey> = replay.rows().map(Record::key).collect();
    readable
        && changed().map(|(key, _)| key).eq(&told)
        && replay.compare(changed().map(|(_, row)| row.clone())).is_ok()
        && replay.finish().is_ok()
}

/// A payment that is new has a checkout that could be paid.
fn was_wanted(before: &Tables, payment: &Payment, now: Timestamp) -> bool {
    let Some(id) = payment.checkout.as_ref().filter(|_| same(before, payment).is_none()) else { return true };
    before.checkouts().any(|row| row.id == *id && row.is_live(now))
}

fn stays_ended(before: &Tables, row: &Checkout) -> bool {
    let was = before.checkouts().find(|was| was.id == row.id);
    was.is_none_or(|was| was.state == CheckoutState::Active || row.state != CheckoutState::Active)
}

/// What was over is not prepared, and what had left `pending` does not come back to it.
fn pending_stays(before: &Tables, after: &Tables, now: Timestamp) -> bool {
    after.payments().all(|is| {
        same(before, is).is_none_or(|was| {
            let back = is.state == PaymentState::Pending && was.state != PaymentState::Pending;
            let revived = was.is_overdue(now) && is.state.is_processing();
            !back && !revived
        })
    })
}

fn grants(tables: &Tables) -> impl Iterator<Item = &Grant> {
    tables.records.values().filter_map(|record| match record {
        Record::Grant(row) => Some(row),
        _ => None,
    })
}

fn one_grant(tables: &Tables) -> bool {
    let standing = grants(tables).filter(|grant| grant.revoked_at.is_none());
    let mut bought = BTreeMap::new();
    for grant in standing {
        let what =
            grant.checkout.as_ref().map_or_else(|| grant.user.to_string(), |id| id.as_str().to_owned());
        *bought.entry(what).or_insert(0) += 1;
    }
    bought.values().all(|count| *count == 1)
}

fn not_bought_twice(tables: &Tables) -> bool {
    let paid = |row: &Checkout| grants(tables).any(|grant| grant.checkout.as_ref() == Some(&row.id));
    tables.checkouts().all(|row| {
        let from = |row: &&Checkout| {
            row.renewed_from.as_ref().and_then(|id| tables.checkouts().find(|old| old.id == *id))
        };
        let mut before = std::iter::successors(from(&row), from).take(tables.records.len());
        !(paid(row) && before.any(paid))
    })
}

fn is_exact(state: &State, payment: &Payment) -> bool {
    if payment.price.discount > payment.price.original {
        return false;
    }
    let PaymentState::Completed { attempt, .. } = &payment.state else { return true };
    let row = payment.checkout.as_ref().and_then(|id| state.tables.checkouts().find(|row| row.id == *id));
    let snapshot = row.and_then(|row| row.price).is_none_or(|price| price == payment.price);
    let wire = attempt.and_then(|attempt| state.wires.get(&attempt.trans));
    let taken = wire.is_some_and(|wire| matches!(wire.money, Money::Taken(_)) && wire.order == payment.order);
    snapshot && (taken || (attempt.is_none() && payment.price.payable().is_zero()))
}

fn did_something(tables: &Tables, payment: &Payment) -> bool {
    let PaymentState::Completed { disposition, .. } = &payment.state else { return true };
    let grant = grants(tables).find(|grant| grant.payment == payment.id);
    match disposition {
        Disposition::Granted => grant.is_some_and(|grant| grant.checkout == payment.checkout),
        Disposition::Allocated { checkout } => {
            grant.is_some_and(|grant| grant.checkout.as_ref() == Some(checkout))
        }
        Disposition::Refunded { reason } => {
            let back = tables.refunds().find(|refund| refund.payment == payment.id);
            grant.is_none() && back.is_some_and(|refund| refund.reason == *reason)
        }
    }
}

fn coupons_count(tables: &Tables) -> bool {
    tables.coupons().all(|coupon| {
        let of_checkouts = tables.checkouts().filter_map(|row| row.coupon.as_ref());
        let of_payments = tables.payments().filter_map(|row| row.coupon.as_ref());
        let (mut used, mut reserved) = (0, 0);
        for hold in of_checkouts.chain(of_payments).filter(|hold| hold.coupon == coupon.id) {
            match hold.state {
                HoldState::Reserved => reserved += 1,
                HoldState::Consumed => used += 1,
                HoldState::Released | HoldState::OfCheckout => {}
            }
        }
        let audited = tables.payments().any(|payment| payment.flags.coupon_overflow);
        (coupon.used, coupon.reserved) == (used, reserved) && (!coupon.overflows() || audited)
    })
}

fn one_of_each(tables: &Tables) -> bool {
    tables.checkouts().filter(|row| row.state == CheckoutState::Active).all(|row| {
        let beside = |other: &&Checkout| {
            other.state == CheckoutState::Active && other.owner == row.owner && other.slot == row.slot
        };
        let open = |payment: &&Payment| payment.checkout.as_ref() == Some(&row.id) && payment.state.is_open();
        tables.checkouts().filter(beside).count() == 1 && tables.payments().filter(open).count() <= 1
    })
}

/// The chain that ends in `end`.
fn chain(tables: &Tables, end: &Checkout) -> bool {
    let (mut row, mut active, mut length) = (end, usize::from(end.state == CheckoutState::Active), 0);
    while let Some(from) =
        row.renewed_from.as_ref().and_then(|id| tables.checkouts().find(|old| old.id == *id))
    {
        active += usize::from(from.state == CheckoutState::Active);
        length += 1;
        if length > tables.records.len() {
            return false;
        }
        row = from;
    }
    active <= 1
}

fn refunds(tables: &Tables, payment: &Payment) -> bool {
    let back: i64 = tables
        .refunds()
        .filter(|refund| refund.payment == payment.id && refund.state.counts())
        .map(|refund| refund.amount.get())
        .sum();
    back <= if payment.state.is_completed() { payment.price.payable().get() } else { 0 }
}

/// Whatever the order in which the provider's messages came: what is cancelled there is not completed here, and what
/// is completed here was taken there.
fn agreed(_: &Shop, state: &State) -> bool {
    state.tables.payments().all(|payment| {
        let wire = payment.state.attempt().and_then(|attempt| state.wires.get(&attempt.trans));
        let Some(wire) = wire else { return true };
        match (&payment.state, wire.money) {
            (PaymentState::Completed { .. }, Money::Taken(_)) => true,
            (PaymentState::Completed { .. }, _) => false,
            (PaymentState::Failed { reason, .. }, Money::Taken(_)) => *reason == FailReason::Reconciled,
            _ => true,
        }
    })
}

/// With a provider that answers in the end, nothing stays processing for ever.
fn live(_: &Shop, state: &State) -> bool {
    let now = Timestamp::FAR;
    state.tables.payments().filter(|payment| payment.state.is_processing()).all(|payment| {
        let ends = |verdict| {
            let step = payment.on(&PaymentEvent::Told(verdict), now);
            matches!(step.then, Consequence::Complete(_) | Consequence::Release)
        };
        payment.ask.is_some() && ends(Verdict::Paid) && ends(Verdict::NotPaid)
    })
}
