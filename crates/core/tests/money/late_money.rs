//! Money that comes when nobody waits for it any more: it buys what it can, or it goes back. It is never dropped.

use crate::world::{BASIC, DAY, HOUR, World, browser, minor, pays_for, pays_for_tier, run, wants};
use sessile_core::checkout::{CheckoutId, CheckoutState, InvalidReason, NewCheckout, RENEWALS_MAX};
use sessile_core::payment::{
    Discount, Disposition, How, NewPayment, Payment, PaymentState, PrepareId, RefundReason, RefundState,
    Reply, Verdict,
};

/// A payment that was prepared and that the provider then said was not paid: its money can still come.
fn given_up(world: &World, checkout: &CheckoutId, trans: i64) -> (Payment, PrepareId) {
    let made = world.pay(&browser('a'), pays_for(checkout)).payment;
    let number = world.prepared(&made, trans);
    run(world.payments.told(&made.id, Verdict::NotPaid)).unwrap();
    (made, number)
}

fn disposition(world: &World, payment: &Payment) -> Disposition {
    match world.state(&payment.id) {
        PaymentState::Completed { how: How::Late, disposition, .. } => disposition,
        other => panic!("not completed late: {other:?}"),
    }
}

fn refunded(reason: RefundReason) -> Disposition {
    Disposition::Refunded { reason }
}

fn comes_late(world: &World, (made, number): &(Payment, PrepareId), trans: i64) -> Disposition {
    assert_eq!(world.complete(made, trans, *number), Reply::Confirmed);
    let did = disposition(world, made);
    let refunds = world.refunds().into_iter().filter(|refund| refund.payment == made.id).collect::<Vec<_>>();
    match &did {
        Disposition::Refunded { reason } => {
            let [refund] = refunds.as_slice() else { panic!("not one refund: {refunds:?}") };
            assert_eq!((refund.state, refund.reason), (RefundState::Requested, *reason));
            assert_eq!(refund.amount, made.price.payable());
        }
        _ => assert_eq!(refunds, []),
    }
    assert_eq!(world.complete(made, trans, *number), Reply::AlreadyPaid);
    world.check();
    did
}

#[test]
fn an_active_checkout_is_still_bought() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &opened.id, 1);
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.checkout(&opened.id).state.name(), "completed");
}

#[test]
fn paid_by_another_payment_goes_back() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &opened.id, 1);
    let other = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    world.paid(&other, 2);
    assert_eq!(comes_late(&world, &late, 1), refunded(RefundReason::AlreadyPaid));
}

#[test]
fn late_money_displaces_a_link_nobody_used() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &opened.id, 1);
    let link = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.state(&link.id).name(), "expired");
    assert_eq!(world.prepare(&link, 2), Reply::Cancelled);
}

#[test]
fn two_payments_under_way_buy_once() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &opened.id, 1);
    let other = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    let number = world.prepared(&other, 2);
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.complete(&other, 2, number), Reply::Confirmed, "the provider is never refused");
    let state = world.state(&other.id);
    let back = refunded(RefundReason::AlreadyPaid);
    assert!(matches!(&state, PaymentState::Completed { disposition, .. } if *disposition == back));
    world.check();
}

#[test]
fn an_entitled_user_gets_the_second_payment_back() {
    let world = World::new();
    let first = world.pay(&browser('a'), pays_for_tier()).payment;
    let second = NewPayment { key: Some("k".to_owned()), ..pays_for_tier() };
    let second = world.pay(&browser('a'), second).payment;
    let (one, two) = (world.prepared(&first, 1), world.prepared(&second, 2));
    world.complete(&first, 1, one);
    assert_eq!(world.complete(&second, 2, two), Reply::Confirmed);
    let back = refunded(RefundReason::AlreadyEntitled);
    let state = world.state(&second.id);
    assert!(matches!(&state, PaymentState::Completed { disposition, .. } if *disposition == back));
    assert_eq!(world.tier('a').as_deref(), Some("premium"));
    world.check();
}

#[test]
fn replaced_by_an_equal_one_buys_that() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.open(&browser('a'), wants("pro"));
    let back = world.open(&browser('a'), wants("basic")).checkout;
    let link = world.pay(&browser('a'), pays_for(&back.id)).payment;
    assert_eq!(comes_late(&world, &late, 1), Disposition::Allocated { checkout: back.id.clone() });
    let done = world.checkout(&back.id);
    assert!(matches!(&done.state, CheckoutState::Completed { payment: Some(by), .. } if *by == late.0.id));
    assert_eq!(world.checkout(&first.id).state.name(), "invalidated", "it stays what it is");
    assert_eq!(world.state(&link.id).name(), "expired");
}

#[test]
fn replaced_by_another_choice_goes_back() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    let other = world.open(&browser('a'), wants("pro")).checkout;
    assert_eq!(comes_late(&world, &late, 1), refunded(RefundReason::Superseded));
    assert_eq!(world.checkout(&other.id).state, CheckoutState::Active, "the buyer's choice stands");
}

#[test]
fn what_does_not_cover_the_successor_goes_back() {
    let world = World::new();
    let coupon = world.make_coupon("ONCE", Discount::Percentage(25), Some(1));
    let cheap = NewCheckout { coupon: Some("ONCE".to_owned()), ..wants("basic") };
    let first = world.open(&browser('a'), cheap).checkout;
    let late = given_up(&world, &first.id, 1);
    let full = world.open(&browser('a'), wants("basic")).checkout;
    assert_eq!(full.price.unwrap().payable(), minor(BASIC));
    assert_eq!(comes_late(&world, &late, 1), refunded(RefundReason::Superseded));
    assert_eq!(world.uses(&coupon.id), (0, 0));
}

#[test]
fn the_successors_coupon_is_the_one_that_is_used() {
    let world = World::new();
    let (dear, cheap) = (
        world.make_coupon("TEN", Discount::Percentage(10), Some(1)),
        world.make_coupon("HALF", Discount::Percentage(50), Some(1)),
    );
    let with = |code: &str| NewCheckout { coupon: Some(code.to_owned()), ..wants("basic") };
    let first = world.open(&browser('a'), with("TEN")).checkout;
    let late = given_up(&world, &first.id, 1);
    let next = world.open(&browser('a'), with("HALF")).checkout;
    assert_eq!(comes_late(&world, &late, 1), Disposition::Allocated { checkout: next.id });
    assert_eq!((world.uses(&dear.id), world.uses(&cheap.id)), ((0, 0), (1, 0)));
    let uses = world.ledger.tables().uses;
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(cheap.id, late.0.id)], "as the counters have it");
}

#[test]
fn an_expired_checkout_is_bought_and_its_renewal_gives_way() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), Some(&first.id)).unwrap();
    let link = world.pay(&browser('a'), pays_for(&renewed.id)).payment;
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.checkout(&first.id).state.name(), "completed");
    let twin = world.checkout(&renewed.id);
    assert!(matches!(
        twin.state,
        CheckoutState::Invalidated { reason: InvalidReason::PaidByPredecessor, .. }
    ));
    assert_eq!(world.state(&link.id).name(), "expired", "nobody pays for it twice");
}

#[test]
fn an_expired_checkout_whose_renewal_was_paid_goes_back() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), Some(&first.id)).unwrap();
    let other = world.pay(&browser('a'), pays_for(&renewed.id)).payment;
    world.paid(&other, 2);
    assert_eq!(comes_late(&world, &late, 1), refunded(RefundReason::AlreadyPaid));
}

#[test]
fn money_for_a_renewal_that_was_paid_before_goes_back() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), Some(&first.id)).unwrap();
    let other = world.pay(&browser('a'), pays_for(&renewed.id)).payment;
    let number = world.prepared(&other, 2);
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.complete(&other, 2, number), Reply::Confirmed);
    let back = refunded(RefundReason::AlreadyPaid);
    assert!(
        matches!(world.state(&other.id), PaymentState::Completed { disposition, .. } if disposition == back)
    );
    world.check();
}

#[test]
fn an_expired_checkout_with_a_coupon_counts_once() {
    let world = World::new();
    let coupon = world.make_coupon("ONCE", Discount::Percentage(25), Some(1));
    let with = NewCheckout { coupon: Some("ONCE".to_owned()), ..wants("basic") };
    let first = world.open(&browser('a'), with.clone()).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    let other = world.open(&browser('b'), with).checkout;
    assert!(other.coupon.is_some(), "the use had been given back");
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert_eq!(world.uses(&coupon.id), (1, 1));
    assert!(world.payment(&late.0.id).flags.coupon_overflow, "and that is written down");
}

#[test]
fn a_purged_checkout_has_nothing_to_give() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    world.clock.advance(7 * DAY);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap().deleted, 1);
    assert_eq!(comes_late(&world, &late, 1), refunded(RefundReason::Missing));
}

#[test]
fn the_application_was_faster_than_the_provider() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    let number = world.prepared(&made, 1);
    run(world.checkouts.complete(&browser('a'), &opened.id)).unwrap();
    world.clock.advance(HOUR);
    assert_eq!(world.complete(&made, 1, number), Reply::Confirmed);
    assert!(matches!(
        world.state(&made.id),
        PaymentState::Completed { disposition: Disposition::Granted, .. }
    ));
    let done = world.checkout(&opened.id);
    assert!(matches!(&done.state, CheckoutState::Completed { payment: Some(by), .. } if *by == made.id));
    world.check();
}

#[test]
fn a_renewal_that_expired_is_not_bought_after_its_predecessor() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(&world, &first.id, 1);
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), Some(&first.id)).unwrap();
    let later = given_up(&world, &renewed.id, 2);
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert!(world.recover(&browser('a'), Some(&renewed.id)).is_err(), "it was bought");
    assert_eq!(comes_late(&world, &later, 2), refunded(RefundReason::AlreadyPaid));
}

/// A checkout that was given up and renewed `times` times, each time after a day: its payment, and the rows.
fn renewed(world: &World, times: usize) -> ((Payment, PrepareId), Vec<CheckoutId>) {
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let late = given_up(world, &first.id, 1);
    let mut chain = vec![first.id];
    for _ in 0..times {
        world.clock.advance(DAY);
        let last = chain.last().unwrap();
        chain.push(world.recover(&browser('a'), Some(last)).unwrap().id);
    }
    (late, chain)
}

#[test]
fn money_for_what_was_renewed_and_renewed_and_paid_goes_back() {
    for times in 1..=4 {
        let world = World::new();
        let (late, chain) = renewed(&world, times);
        let other = world.pay(&browser('a'), pays_for(&chain[times])).payment;
        world.paid(&other, 2);
        assert_eq!(
            comes_late(&world, &late, 1),
            refunded(RefundReason::AlreadyPaid),
            "renewed {times} times"
        );
    }
}

#[test]
fn what_late_money_bought_is_not_bought_by_any_renewal() {
    let world = World::new();
    let (late, chain) = renewed(&world, 2);
    let later = given_up(&world, &chain[2], 2);
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    assert!(world.recover(&browser('a'), Some(&chain[2])).is_err(), "it was bought");
    assert_eq!(comes_late(&world, &later, 2), refunded(RefundReason::AlreadyPaid));
}

/// What was bought stays bought when the row between is purged.
#[test]
fn a_link_that_was_purged_hides_nothing() {
    let world = World::new();
    let (late, chain) = renewed(&world, 2);
    let later = given_up(&world, &chain[2], 2);
    world.clock.advance(5 * DAY);
    run(world.checkouts.sweep(10)).unwrap();
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    world.clock.advance(2 * DAY);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap().deleted, 1, "the one between");
    assert!(world.recover(&browser('a'), Some(&chain[2])).is_err(), "it was bought");
    assert_eq!(comes_late(&world, &later, 2), refunded(RefundReason::AlreadyPaid));
}

#[test]
fn one_choice_is_renewed_so_often_and_no_more() {
    let world = World::new();
    // No sweep has taken the older ones.
    let (late, chain) = renewed(&world, RENEWALS_MAX);
    world.clock.advance(DAY);
    assert!(world.recover(&browser('a'), chain.last()).is_err());
    let again = world.open(&browser('a'), wants("basic")).checkout;
    assert_eq!(again.renewed_from, None, "the same may be chosen anew");
    assert_eq!(comes_late(&world, &late, 1), Disposition::Granted);
    let twin = world.checkout(&again.id).state;
    assert!(matches!(twin, CheckoutState::Invalidated { reason: InvalidReason::PaidByPredecessor, .. }));
}
