//! Coupons through the services: a use is reserved, consumed or given back, and never more often than allowed.

use crate::world::{
    BASIC, DAY, HOUR, MINUTE, World, backend, browser, minor, pays_for, pays_for_tier, run, terms, wants,
};
use sessile_core::checkout::{Caller, CheckoutState, NewCheckout, Opening};
use sessile_core::payment::{
    Coupon, CouponError, Discount, Disposition, HoldState, How, Method, NewCoupon, NewPayment, PaymentState,
    Standing, Terms, Verdict, Word,
};

fn with_coupon(code: &str) -> NewPayment {
    NewPayment { coupon: Some(code.to_owned()), ..pays_for_tier() }
}

fn wants_with(package: &str, code: &str) -> NewCheckout {
    NewCheckout { coupon: Some(code.to_owned()), ..wants(package) }
}

fn once(world: &World, discount: Discount) -> Coupon {
    world.make_coupon("ONCE", discount, Some(1))
}

#[test]
fn a_percentage_is_floored_and_a_fixed_discount_is_at_most_all() {
    assert_eq!(Discount::Percentage(33).off(minor(999)), minor(329));
    assert_eq!(Discount::Percentage(100).off(minor(999)), minor(999));
    assert_eq!(Discount::Fixed(minor(500)).off(minor(999)), minor(500));
    assert_eq!(Discount::Fixed(minor(5000)).off(minor(999)), minor(999));
}

#[test]
fn a_use_is_reserved_then_consumed() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let made = world.pay(&browser('a'), with_coupon(" once "));
    assert_eq!(made.coupon.unwrap().code.as_str(), "ONCE");
    assert_eq!(made.payment.price.payable(), minor(BASIC * 3 / 4));
    assert_eq!(world.uses(&coupon.id), (0, 1));
    let full = world.pay(&browser('b'), with_coupon("ONCE"));
    assert!(full.coupon.is_none(), "used up: ignored, full price");
    assert_eq!(full.payment.price.payable(), minor(BASIC));
    let paid = world.paid(&made.payment, 1);
    assert_eq!(world.uses(&coupon.id), (1, 0));
    assert_eq!(paid.coupon.unwrap().state, HoldState::Consumed);
    assert!(world.ledger.tables().uses.contains(&(coupon.id, paid.id)));
    world.check();
}

#[test]
fn a_use_goes_back_whenever_nothing_comes_of_it() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    type End = fn(&World, &sessile_core::payment::Payment);
    let ends: [(&str, End); 4] = [
        ("time", |world, _| {
            world.clock.advance(HOUR);
            run(world.payments.sweep(10)).unwrap();
        }),
        ("a person", |world, made| drop(run(world.payments.cancel(&browser('a'), &made.id)).unwrap())),
        ("the provider", |world, made| {
            let number = world.prepared(made, 1);
            world.completes(made, 1, number, Word::Failed);
        }),
        ("reconciliation", |world, made| {
            world.prepared(made, 2);
            run(world.payments.told(&made.id, Verdict::NotPaid)).unwrap();
        }),
    ];
    for (name, end) in ends {
        let made = world.pay(&browser('a'), with_coupon("ONCE")).payment;
        assert_eq!(world.uses(&coupon.id), (0, 1), "{name}");
        end(&world, &made);
        assert_eq!(world.uses(&coupon.id), (0, 0), "{name}");
        assert_eq!(world.payment(&made.id).coupon.unwrap().state, HoldState::Released, "{name}");
    }
    world.check();
}

#[test]
fn late_money_consumes_a_use_that_was_given_back_and_says_so() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let late = world.pay(&browser('a'), with_coupon("ONCE")).payment;
    let number = world.prepared(&late, 1);
    run(world.payments.told(&late.id, Verdict::NotPaid)).unwrap();
    let other = world.pay(&browser('b'), with_coupon("ONCE")).payment;
    world.paid(&other, 2);
    world.complete(&late, 1, number);
    assert_eq!(world.uses(&coupon.id), (2, 0));
    assert!(world.payment(&late.id).flags.coupon_overflow);
    assert!(!world.payment(&other.id).flags.coupon_overflow);
    world.check();
}

#[test]
fn money_that_goes_back_uses_no_coupon() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let first = world.pay(&browser('a'), pays_for_tier()).payment;
    let second = world.pay(&browser('a'), with_coupon("ONCE")).payment;
    let number = world.prepared(&second, 2);
    world.paid(&first, 1);
    world.complete(&second, 2, number);
    assert!(matches!(
        world.state(&second.id),
        PaymentState::Completed { disposition: Disposition::Refunded { .. }, .. }
    ));
    assert_eq!(world.uses(&coupon.id), (0, 0));
    world.check();
}

#[test]
fn a_full_discount_needs_no_provider() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(100));
    let made = world.pay(&browser('a'), with_coupon("ONCE"));
    assert!(matches!(made.payment.state, PaymentState::Completed { how: How::Free, attempt: None, .. }));
    assert_eq!((made.payment.method, made.payment.price.payable()), (Method::Coupon, minor(0)));
    assert_eq!(made.coupon.unwrap().used, 1, "as it is now");
    assert_eq!(world.uses(&coupon.id), (1, 0));
    assert_eq!(world.tier('a').as_deref(), Some("premium"));
    assert_eq!(world.topics(), ["payment.completed", "tier"]);
    assert!(run(world.payments.refund(&backend(), &made.payment.id, "r")).is_err(), "nothing was paid");
    world.check();
    // The same for a checkout.
    let world = World::new();
    once(&world, Discount::Fixed(minor(10 * BASIC)));
    let opened = world.open(&browser('a'), wants_with("basic", "ONCE")).checkout;
    assert_eq!(opened.price.unwrap().payable(), minor(0));
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert!(made.state.is_completed());
    assert_eq!(world.checkout(&opened.id).state.name(), "completed");
    world.check();
}

#[test]
fn a_checkout_keeps_its_coupon_while_the_buyer_changes_their_mind() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let first = world.open(&browser('a'), wants_with("basic", "ONCE")).checkout;
    assert_eq!(first.price.unwrap().payable(), minor(BASIC * 3 / 4));
    let second = world.open(&browser('a'), wants_with("pro", "ONCE")).checkout;
    assert_eq!(world.uses(&coupon.id), (0, 1), "released and reserved in one step");
    assert_eq!(second.coupon.as_ref().unwrap().state, HoldState::Reserved);
    assert_eq!(world.checkout(&first.id).coupon.unwrap().state, HoldState::Released);
    let made = world.pay(&browser('a'), pays_for(&second.id));
    assert_eq!(made.payment.coupon.as_ref().unwrap().state, HoldState::OfCheckout);
    assert_eq!(world.uses(&coupon.id), (0, 1), "one use, not two");
    run(world.payments.cancel(&browser('a'), &made.payment.id)).unwrap();
    assert_eq!(world.uses(&coupon.id), (0, 1), "the checkout still has it");
    let again = world.pay(&browser('a'), pays_for(&second.id)).payment;
    let paid = world.paid(&again, 1);
    assert_eq!(world.uses(&coupon.id), (1, 0));
    assert!(world.ledger.tables().uses.contains(&(coupon.id, paid.id)));
    assert_eq!(world.checkout(&second.id).coupon.unwrap().state, HoldState::Consumed);
    world.check();
}

#[test]
fn a_checkouts_coupon_goes_back_when_it_ends() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let opened = world.open(&browser('a'), wants_with("basic", "ONCE")).checkout;
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    assert_eq!(world.checkout(&opened.id).state.name(), "expired");
    assert_eq!(world.uses(&coupon.id), (0, 0));
    // Declared complete after all: the use is spent.
    run(world.checkouts.complete(&browser('a'), &opened.id)).unwrap();
    assert_eq!(world.uses(&coupon.id), (1, 0));
    let cancelled = world.open(&browser('b'), wants("basic")).checkout;
    run(world.checkouts.cancel(&Caller::Operator, &cancelled.id)).unwrap();
    assert!(matches!(world.checkout(&cancelled.id).state, CheckoutState::Invalidated { .. }));
    world.check();
}

#[test]
fn a_coupon_that_cannot_be_used_changes_nothing() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    world.open(&browser('b'), wants_with("basic", "ONCE"));
    for code in ["ONCE", "NOBODY", "not a code!"] {
        let opened = world.open(&browser('a'), wants_with("basic", code));
        assert_eq!(opened.checkout.coupon, None);
        let again = world.open(&browser('a'), wants_with("basic", code));
        assert_eq!(again.how, Opening::Same, "{code}: the same choice again is the same checkout");
        assert_eq!(again.checkout.id, opened.checkout.id);
    }
    assert_eq!(world.uses(&coupon.id), (0, 1));
    // Where nothing has a price, nothing has a discount.
    let unpriced = World::with(Terms { catalogue: None, ..terms() });
    once(&unpriced, Discount::Percentage(25));
    let first = unpriced.open(&browser('a'), wants_with("basic", "ONCE"));
    assert_eq!(unpriced.open(&browser('a'), wants_with("basic", "ONCE")).checkout.id, first.checkout.id);
}

#[test]
fn an_operator_makes_and_switches_coupons() {
    let world = World::new();
    let new = |code: &str| NewCoupon {
        code: code.to_owned(),
        description: Some("spring".to_owned()),
        discount: Discount::Percentage(10),
        original_price: Some(minor(BASIC)),
        max_uses: None,
        valid_from: Some(world.now().plus(HOUR)),
        valid_until: Some(world.now().plus(2 * HOUR)),
    };
    let make = |new, key: &str| run(world.payments.create_coupon(&Caller::Operator, new, key));
    let made = make(new("spring"), "k").unwrap();
    assert_eq!(make(new("SPRING"), "k").unwrap(), made, "the same key is the same coupon");
    assert!(matches!(make(new("spring"), "other"), Err(CouponError::Taken)));
    assert!(matches!(make(new("summer"), "k"), Err(CouponError::KeyReused)), "another request");
    let wrong = [
        NewCoupon { code: "no spaces".to_owned(), ..new("x") },
        NewCoupon { discount: Discount::Percentage(0), ..new("x") },
        NewCoupon { discount: Discount::Percentage(101), ..new("x") },
        NewCoupon { discount: Discount::Fixed(minor(0)), ..new("x") },
        NewCoupon { max_uses: Some(0), ..new("x") },
        NewCoupon { valid_until: Some(world.now()), ..new("x") },
        NewCoupon { description: Some("a\0b".to_owned()), ..new("x") },
    ];
    for new in wrong {
        assert!(matches!(make(new.clone(), "w"), Err(CouponError::Wrong(_))), "{new:?}");
    }
    let quote = || run(world.payments.quote("Spring", None)).unwrap();
    assert!(quote().is_none(), "not yet");
    world.clock.advance(HOUR);
    assert_eq!(quote().unwrap().price.unwrap().payable(), minor(BASIC * 9 / 10));
    let switch = |standing| run(world.payments.switch_coupon(&Caller::Operator, &made.id, standing));
    assert_eq!(switch(Standing::Inactive).unwrap().version, 2);
    assert_eq!(switch(Standing::Inactive).unwrap().version, 2, "twice is once");
    assert!(quote().is_none());
    switch(Standing::Active).unwrap();
    world.clock.advance(59 * MINUTE);
    assert!(quote().is_some());
    world.clock.advance(MINUTE);
    assert!(quote().is_none(), "no more");
    world.check();
}

#[test]
fn a_declaration_never_uses_more_than_there_is() {
    let world = World::new();
    let coupon = once(&world, Discount::Percentage(25));
    let first = world.open(&browser('a'), wants_with("basic", "ONCE")).checkout;
    let link = world.pay(&browser('a'), pays_for(&first.id)).payment;
    let number = world.prepared(&link, 1);
    run(world.payments.told(&link.id, Verdict::NotPaid)).unwrap();
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    let second = world.open(&browser('b'), wants_with("basic", "ONCE")).checkout;
    run(world.checkouts.complete(&browser('b'), &second.id)).unwrap();
    run(world.checkouts.complete(&browser('a'), &first.id)).unwrap();
    assert_eq!(world.uses(&coupon.id), (1, 0), "nobody paid for the second use");
    // Money that comes late does, and says so.
    world.complete(&link, 1, number);
    assert_eq!(world.uses(&coupon.id), (2, 0));
    assert!(world.payment(&link.id).flags.coupon_overflow);
    world.check();
}
