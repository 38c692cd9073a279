//! Checkouts through the service: every row of the state table, ownership, sweeps and purges.

use crate::machines::checkout;
use crate::world::{
    BASIC, DAY, HOUR, MINUTE, PRO, START, World, backend, browser, cookie, guest, minor, pays_for, run,
    signed_in_guest, user, wants,
};
use sessile_core::checkout::{
    Caller, Checkout, CheckoutError, CheckoutId, CheckoutState, Invalid, InvalidReason, NewCheckout, Opening,
    Owner, Swept,
};
use sessile_core::ledger::{LEFT_MAX, Record};
use sessile_core::payment::{ExpireReason, PaymentState, Verdict, Word};

fn invalid(world: &World, caller: &Caller, id: &CheckoutId) -> Invalid {
    match run(world.checkouts.validate(caller, id)) {
        Err(CheckoutError::Invalid(why)) => why,
        other => panic!("valid: {other:?}"),
    }
}

/// How many rows somebody has open in their one cart.
pub(crate) fn actives(world: &World, owner: &Owner) -> usize {
    let tables = world.ledger.tables();
    tables.checkouts().filter(|row| row.state == CheckoutState::Active && owner.owns(&row.owner)).count()
}

#[test]
fn the_same_choice_again_is_the_same_checkout() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic"));
    assert_eq!(first.how, Opening::New);
    assert_eq!(first.checkout.price.unwrap().payable(), minor(BASIC));
    assert_eq!(first.checkout.expires_at, START.plus(DAY));
    let second = world.open(&browser('a'), wants("basic"));
    assert_eq!((second.how, &second.checkout), (Opening::Same, &first.checkout));
    // Also while its payment is under way: the page was only loaded again.
    let made = world.pay(&browser('a'), pays_for(&first.checkout.id)).payment;
    world.prepared(&made, 1);
    assert_eq!(world.open(&browser('a'), wants("basic")).checkout, first.checkout);
    world.check();
}

#[test]
fn a_change_of_package_twice() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let link = world.pay(&browser('a'), pays_for(&first.id)).payment;
    let to = |package: &str, existing: &Checkout| {
        let new = NewCheckout { existing: Some(existing.id.clone()), ..wants(package) };
        let opened = world.open(&browser('a'), new);
        assert_eq!(opened.how, Opening::Renewed);
        opened.checkout
    };
    let second = to("pro", &first);
    let third = to("basic", &second);
    assert_eq!(second.price.unwrap().payable(), minor(PRO));
    assert_ne!(third.id, first.id);
    for (old, new) in [(&first, &second), (&second, &third)] {
        let row = world.checkout(&old.id);
        assert!(matches!(row.state, CheckoutState::Invalidated { reason: InvalidReason::Superseded, .. }));
        assert_eq!(row.superseded_by.as_ref(), Some(&new.id), "linked");
        assert_eq!((row.price, &row.data), (old.price, &old.data), "a choice never changes");
        assert_eq!(invalid(&world, &browser('a'), &old.id), Invalid::NoLongerValid);
    }
    let state = world.state(&link.id);
    assert!(matches!(state, PaymentState::Expired { reason: ExpireReason::Superseded, .. }));
    assert_eq!(actives(&world, &Owner::user(user('a'))), 1);
    assert!(run(world.checkouts.validate(&browser('a'), &third.id)).is_ok());
    assert_eq!(world.topics(), ["checkout.invalidated", "checkout.invalidated", "payment.expired"]);
    world.check();
}

#[test]
fn nothing_changes_while_money_is_on_its_way() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    let number = world.prepared(&made, 1);
    let before = world.ledger.tables();
    let change = run(world.checkouts.open(&browser('a'), wants("pro")));
    assert!(matches!(change, Err(CheckoutError::PaymentInProgress)));
    let cancel = run(world.checkouts.cancel(&Caller::Operator, &opened.id));
    assert!(matches!(cancel, Err(CheckoutError::PaymentInProgress)));
    world.clock.advance(2 * DAY);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap(), Swept::default());
    assert_eq!(invalid(&world, &browser('a'), &opened.id), Invalid::Expired, "never shown as valid");
    let recover = world.recover(&browser('a'), Some(&opened.id));
    assert!(matches!(recover, Err(CheckoutError::PaymentInProgress)));
    let again = run(world.checkouts.open(&browser('a'), wants("basic")));
    assert!(matches!(again, Err(CheckoutError::PaymentInProgress)), "no second one beside what is held");
    assert_eq!(world.ledger.tables(), before, "held");
    // The provider's word releases it.
    world.completes(&made, 1, number, Word::Failed);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap().expired, 1);
    assert!(world.recover(&browser('a'), Some(&opened.id)).is_ok());
    world.check();
}

#[test]
fn validate_answers_in_the_documented_order() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let nobody = CheckoutId::parse("cs_nobody").unwrap();
    assert_eq!(invalid(&world, &browser('a'), &nobody), Invalid::NotFound);
    assert_eq!(
        invalid(&world, &browser('b'), &opened.id),
        Invalid::NotFound,
        "a stranger's is a missing one"
    );
    assert_eq!(invalid(&world, &guest("g"), &opened.id), Invalid::NotFound);
    assert!(run(world.checkouts.validate(&backend(), &opened.id)).is_ok());
    world.clock.set(opened.expires_at.minus(MINUTE));
    assert!(run(world.checkouts.validate(&browser('a'), &opened.id)).is_ok());
    world.clock.set(opened.expires_at);
    assert_eq!(invalid(&world, &browser('a'), &opened.id), Invalid::Expired, "and the row becomes expired");
    assert_eq!(world.checkout(&opened.id).state, CheckoutState::Expired { at: opened.expires_at });
    world.clock.set(START);
    assert_eq!(invalid(&world, &browser('a'), &opened.id), Invalid::NoLongerValid, "for good");
    let paid = world.open(&browser('a'), wants("basic")).checkout;
    run(world.checkouts.complete(&browser('a'), &paid.id)).unwrap();
    assert_eq!(invalid(&world, &browser('a'), &paid.id), Invalid::AlreadyUsed);
    world.check();
}

#[test]
fn only_what_is_active_or_expired_completes() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let complete = |caller: &Caller, id: &CheckoutId| run(world.checkouts.complete(caller, id));
    let stranger = complete(&browser('b'), &first.id);
    assert!(matches!(stranger, Err(CheckoutError::Invalid(Invalid::NotFound))));
    let second = world.open(&browser('a'), wants("pro")).checkout;
    assert!(matches!(
        complete(&browser('a'), &first.id),
        Err(CheckoutError::Invalid(Invalid::NoLongerValid))
    ));
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    let done = complete(&browser('a'), &second.id).unwrap();
    assert!(matches!(done.state, CheckoutState::Completed { payment: None, .. }));
    assert!(matches!(complete(&browser('a'), &second.id), Err(CheckoutError::Invalid(Invalid::AlreadyUsed))));
    assert!(matches!(world.recover(&browser('a'), Some(&second.id)), Err(CheckoutError::NothingToRecover)));
    world.check();
}

#[test]
fn an_operator_ends_what_is_active() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let link = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    for _ in 0..2 {
        let ended = run(world.checkouts.cancel(&Caller::Operator, &opened.id)).unwrap();
        assert!(matches!(ended.state, CheckoutState::Invalidated { reason: InvalidReason::Cancelled, .. }));
    }
    assert_eq!(world.state(&link.id).name(), "expired");
    let paid = world.open(&browser('a'), wants("basic")).checkout;
    run(world.checkouts.complete(&backend(), &paid.id)).unwrap();
    assert!(run(world.checkouts.cancel(&Caller::Operator, &paid.id)).is_err());
    world.check();
}

#[test]
fn several_active_rows_of_an_older_application_become_one() {
    let world = World::new();
    let choice = wants("basic").choice;
    for name in ["cs_x", "cs_y", "cs_z"] {
        let legacy = Checkout {
            id: CheckoutId::parse(name).unwrap(),
            data: choice.json().to_owned(),
            choice: if name == "cs_y" { choice.digest().to_owned() } else { name.to_owned() },
            ..checkout(CheckoutState::Active)
        };
        world.ledger.put(Record::Checkout(legacy));
    }
    let opened = world.open(&browser('a'), wants("pro"));
    assert_eq!(opened.how, Opening::Renewed);
    assert_eq!(actives(&world, &Owner::user(user('a'))), 1);
    assert_eq!(world.ledger.broken(), Vec::<String>::new());
    let one_row_of_audit = world.ledger.audited().0;
    assert_eq!(one_row_of_audit.len(), 1, "one change");
}

#[test]
fn a_row_of_nobody_is_reached_by_a_backend_only() {
    let world = World::new();
    let opened = world.open(&backend(), wants("basic")).checkout;
    assert!(opened.owner.is_nobody());
    assert_eq!(invalid(&world, &Caller::Browser(Owner::default()), &opened.id), Invalid::NotFound);
    assert!(run(world.checkouts.validate(&backend(), &opened.id)).is_ok());
    let theirs = NewCheckout { user: Some(user('a')), ..wants("basic") };
    let theirs = world.open(&backend(), theirs).checkout;
    assert!(run(world.checkouts.validate(&browser('a'), &theirs.id)).is_ok(), "a backend's user owns it");
    world.check();
}

#[test]
fn what_a_guest_chose_is_theirs_after_they_sign_in() {
    let world = World::new();
    let elsewhere = world.open(&browser('a'), wants("pro")).checkout;
    let brought = world.open(&guest("g"), wants("basic")).checkout;
    for _ in 0..2 {
        run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
        assert!(run(world.checkouts.validate(&browser('a'), &brought.id)).is_ok());
        assert_eq!(invalid(&world, &guest("g"), &brought.id), Invalid::NotFound, "another may sit there now");
        assert_eq!(actives(&world, &Owner::user(user('a'))), 1);
        assert_eq!(world.checkout(&elsewhere.id).superseded_by.as_ref(), Some(&brought.id));
    }
    run(world.checkouts.adopt(&cookie("nothing"), &user('a'))).unwrap();
    run(world.checkouts.adopt(&cookie("g"), &user('b'))).unwrap();
    assert_eq!(world.checkout(&brought.id).owner.user, Some(user('a')), "once somebody's, never another's");
    world.check();
}

#[test]
fn everything_a_guest_left_is_theirs_in_one_step() {
    let world = World::new();
    let packages = ["basic", "pro", "basic", "pro", "basic"];
    let left: Vec<_> = packages.map(|package| world.open(&guest("g"), wants(package)).checkout.id).into();
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
    for id in &left {
        assert_eq!(world.checkout(id).owner.user, Some(user('a')), "the older ones too");
    }
    let (audit, _) = world.ledger.audited();
    run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
    assert_eq!(world.ledger.audited().0, audit, "again, it changes nothing");
    world.check();
}

#[test]
fn a_guest_who_left_more_than_one_step_sees_brings_it_all() {
    let world = World::new();
    let left: Vec<_> = (0..2 * LEFT_MAX + 1)
        .map(|n| world.open(&guest("g"), wants(["basic", "pro"][n % 2])).checkout.id)
        .collect();
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
    assert!(left.iter().all(|id| world.checkout(id).owner.user == Some(user('a'))));
    world.check();
}

#[test]
fn what_is_being_paid_stays_the_one_in_its_place() {
    let world = World::new();
    let paying = world.open(&browser('a'), wants("pro")).checkout;
    let made = world.pay(&browser('a'), pays_for(&paying.id)).payment;
    world.prepared(&made, 1);
    let brought = world.open(&guest("g"), wants("basic")).checkout;
    run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
    assert_eq!(world.checkout(&paying.id).state, CheckoutState::Active, "held");
    assert_eq!(actives(&world, &Owner::user(user('a'))), 1, "one in each place");
    let row = world.checkout(&brought.id);
    assert!(row.state == CheckoutState::Active && row.owner.user.is_none(), "it stays the guest's for now");
    world.check();
}

#[test]
fn a_guest_brings_an_expired_one_too() {
    let world = World::new();
    let opened = world.open(&guest("g"), wants("basic")).checkout;
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    run(world.checkouts.adopt(&cookie("g"), &user('a'))).unwrap();
    let renewed = world.recover(&browser('a'), None).unwrap();
    assert_eq!(renewed.renewed_from, Some(opened.id));
    assert_eq!(renewed.owner.user, Some(user('a')));
    world.check();
}

#[test]
fn a_sweep_expires_and_purges_what_it_may() {
    let world = World::new();
    let expired = world.open(&browser('a'), wants("basic")).checkout;
    let completed = world.open(&browser('b'), wants("basic")).checkout;
    run(world.checkouts.complete(&browser('b'), &completed.id)).unwrap();
    let held = world.open(&browser('c'), wants("basic")).checkout;
    let processing = world.pay(&browser('c'), pays_for(&held.id)).payment;
    world.prepared(&processing, 1);
    // Expired, with money that came too late and goes back.
    let refunded = world.open(&browser('d'), wants("basic")).checkout;
    let late = world.pay(&browser('d'), pays_for(&refunded.id)).payment;
    let number = world.prepared(&late, 2);
    run(world.payments.told(&late.id, Verdict::NotPaid)).unwrap();
    let other = world.open(&browser('d'), wants("pro")).checkout;
    world.complete(&late, 2, number);
    world.clock.advance(DAY);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap(), Swept { expired: 2, deleted: 0 });
    assert_eq!(run(world.checkouts.sweep(10)).unwrap(), Swept::default(), "twice is once");
    world.clock.advance(7 * DAY - HOUR);
    assert_eq!(run(world.checkouts.sweep(10)).unwrap().deleted, 0, "not yet");
    world.clock.advance(HOUR);
    assert_eq!(run(world.checkouts.sweep(1)).unwrap().deleted, 1, "in batches");
    assert_eq!(run(world.checkouts.sweep(10)).unwrap().deleted, 1);
    let left: Vec<CheckoutId> = world.ledger.tables().checkouts().map(|row| row.id.clone()).collect();
    for kept in [&completed, &held, &refunded] {
        assert!(left.contains(&kept.id), "completed, processing, or with a refund: never purged");
    }
    assert_eq!(left.len(), 3);
    assert_eq!(world.ledger.tables().purged, [expired.id.clone(), other.id].into());
    assert_eq!(invalid(&world, &browser('a'), &expired.id), Invalid::NotFound);
    assert!(matches!(world.recover(&browser('a'), Some(&expired.id)), Err(CheckoutError::NothingToRecover)));
    world.check();
}

#[test]
fn a_browser_that_was_a_guest_reaches_both() {
    let world = World::new();
    let before = world.open(&guest("g"), wants("basic")).checkout;
    let both = signed_in_guest('a', "g");
    assert!(run(world.checkouts.validate(&both, &before.id)).is_ok());
    let change = NewCheckout { existing: Some(before.id.clone()), ..wants("pro") };
    let after = world.open(&both, change).checkout;
    assert_eq!(after.owner, Owner::user(user('a')));
    assert_eq!(world.checkout(&before.id).superseded_by, Some(after.id));
    world.check();
}
