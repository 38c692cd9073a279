//! What timers are given: what is due and nothing else, the longest due first.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::TestLedger;
use sessile_core::checkout::{Checkout, CheckoutState, InvalidReason, Owner};
use sessile_core::ledger::{Due, Record, RecordKey};
use sessile_core::payment::{Ask, Payment, RefundState};

async fn due(test: &TestLedger, due: Due, limit: usize) -> Vec<RecordKey> {
    test.ledger.due(due, test.base, limit).await.must("due")
}

fn user_checkout(test: &TestLedger) -> Checkout {
    given::checkout(Owner::user(given::user()), test.before(100_000))
}

fn payment_of(test: &TestLedger, checkout: &Checkout) -> Payment {
    Payment { checkout: Some(checkout.id.clone()), ..given::payment(given::user(), test.before(100_000)) }
}

/// Writes the rows, checkouts before payments, and gives their keys.
async fn keys(test: &TestLedger, records: Vec<Record>) -> Vec<RecordKey> {
    let keys = records.iter().map(Record::key).collect();
    test.given(records).await;
    keys
}

pub(crate) async fn overdue_checkouts_are_due_unless_money_is_under_way(test: &TestLedger) {
    let ending = |seconds| Checkout { expires_at: test.before(seconds), ..user_checkout(test) };
    let (latest, earliest, now) = (ending(1), ending(3_000), ending(0));
    let (held, with_pending) = (ending(9_000), ending(2_000));
    let live = Checkout { expires_at: test.after(1), ..user_checkout(test) };
    let mut over = ending(5_000);
    over.state = CheckoutState::Expired { at: test.base };
    let payments = [given::processing(payment_of(test, &held), test.base), payment_of(test, &with_pending)]
        .map(Record::Payment);
    let rows = [&latest, &earliest, &now, &held, &with_pending, &live, &over]
        .map(|row| Record::Checkout(row.clone()));
    let keys = keys(test, rows.to_vec()).await;
    test.given(payments).await;
    let expected = [&keys[1], &keys[4], &keys[0], &keys[2]].map(Clone::clone);
    assert_eq!(due(test, Due::Checkouts, 100).await, expected);
    assert_eq!(due(test, Due::Checkouts, 2).await, expected[..2]);
}

pub(crate) async fn overdue_payments_are_due_while_they_are_pending(test: &TestLedger) {
    let ending =
        |seconds| Payment { expires_at: test.before(seconds), ..given::payment(given::user(), test.base) };
    let rows = vec![
        ending(10),
        ending(500),
        ending(0),
        given::processing(ending(900), test.base),
        given::paid(ending(900), test.base),
        Payment { expires_at: test.after(1), ..ending(0) },
    ];
    let keys = keys(test, rows.into_iter().map(Record::Payment).collect()).await;
    let expected = [&keys[1], &keys[0], &keys[2]].map(Clone::clone);
    assert_eq!(due(test, Due::Payments, 100).await, expected);
    assert_eq!(due(test, Due::Payments, 1).await, expected[..1]);
}

pub(crate) async fn payments_without_an_address_are_listed(test: &TestLedger) {
    let of = |email: &str, seconds| Payment {
        email: email.to_owned(),
        ..given::payment(given::user(), test.before(seconds))
    };
    let rows = vec![of("", 10), of("ada@example.org", 20), of("  ", 30)];
    let keys = keys(test, rows.into_iter().map(Record::Payment).collect()).await;
    let expected = [&keys[2], &keys[0]].map(Clone::clone);
    assert_eq!(due(test, Due::WithoutEmail, 100).await, expected);
    assert_eq!(due(test, Due::WithoutEmail, 1).await, expected[..1]);
}

pub(crate) async fn payments_are_asked_about_when_it_is_time(test: &TestLedger) {
    let asked = |payment: Payment, at| Payment { ask: Some(Ask { at, times: 3 }), ..payment };
    let fresh = || given::payment(given::user(), test.before(1_000));
    let rows = vec![
        asked(given::processing(fresh(), test.base), test.before(5)),
        // The provider takes back what it had confirmed: it is asked then too.
        asked(given::paid(fresh(), test.base), test.before(50)),
        asked(given::processing(fresh(), test.base), test.after(1)),
        asked(given::processing(fresh(), test.base), test.base),
        fresh(),
    ];
    let keys = keys(test, rows.into_iter().map(Record::Payment).collect()).await;
    let expected = [&keys[1], &keys[0], &keys[3]].map(Clone::clone);
    assert_eq!(due(test, Due::Asks, 100).await, expected);
    assert_eq!(due(test, Due::Asks, 2).await, expected[..2]);
}

pub(crate) async fn refunds_are_due_until_the_provider_is_asked(test: &TestLedger) {
    let payment = given::paid(given::payment(given::user(), test.base), test.base);
    test.given([Record::Payment(payment.clone())]).await;
    let refund = |state, seconds| Record::Refund(given::refund(&payment, state, test.before(seconds)));
    let rows = vec![
        refund(RefundState::Requested, 10),
        refund(RefundState::Requested, 20),
        refund(RefundState::Submitted, 30),
        refund(RefundState::Succeeded, 30),
        refund(RefundState::NeedsManual, 30),
        refund(RefundState::Failed, 30),
    ];
    let keys = keys(test, rows).await;
    let expected = [&keys[1], &keys[0]].map(Clone::clone);
    assert_eq!(due(test, Due::Refunds, 100).await, expected);
    assert_eq!(due(test, Due::Refunds, 1).await, expected[..1]);
}

pub(crate) async fn what_money_touched_is_not_purged(test: &TestLedger) {
    let left = |seconds| {
        let state = CheckoutState::Expired { at: test.before(seconds) };
        Checkout { state, ..user_checkout(test) }
    };
    let invalidated = Checkout {
        state: CheckoutState::Invalidated { at: test.before(700), reason: InvalidReason::Superseded },
        ..user_checkout(test)
    };
    let completed = Checkout {
        state: CheckoutState::Completed { at: test.before(900), payment: None },
        ..user_checkout(test)
    };
    let (plain, exact, recent) = (left(600), left(500), left(400));
    let (processing, paid, refunding, refunded, failed) =
        (left(901), left(902), left(903), left(904), left(905));
    let rows = [
        &plain,
        &invalidated,
        &exact,
        &recent,
        &completed,
        &processing,
        &paid,
        &refunding,
        &refunded,
        &failed,
    ];
    let keys = keys(test, rows.map(|row| Record::Checkout(row.clone())).to_vec()).await;
    let of = |row| payment_of(test, row);
    let (open, over) = (of(&refunding), of(&refunded));
    let failed_payment =
        |payment: Payment| Payment { version: 1, ..given::moved_to_failed(&payment, test.before(1_000)) };
    let refund = |payment, state| Record::Refund(given::refund(payment, state, test.base));
    test.given([
        Record::Payment(given::processing(of(&processing), test.base)),
        Record::Payment(given::paid(of(&paid), test.base)),
        Record::Payment(failed_payment(of(&failed))),
        refund(&open, RefundState::NeedsManual),
        refund(&over, RefundState::Succeeded),
        Record::Payment(failed_payment(open)),
        Record::Payment(failed_payment(over)),
    ])
    .await;
    let purges = Due::Purges { left_before: test.before(500) };
    let expected = [&keys[9], &keys[8], &keys[1], &keys[0]].map(Clone::clone);
    assert_eq!(due(test, purges, 100).await, expected);
    assert_eq!(due(test, purges, 3).await, expected[..3]);
}
