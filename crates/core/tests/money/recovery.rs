//! Recovery: an expired checkout continues once, by its owner, at today's price, and the buyer hardly notices.

use crate::checkouts::actives;
use crate::world::{
    BASIC, DAY, HOUR, PRO, World, backend, browser, catalogue, cookie, guest, minor, pays_for, run,
    signed_in_guest, terms, user, wants,
};
use sessile_core::checkout::{
    Caller, Checkout, CheckoutError, CheckoutId, CheckoutState, NewCheckout, Owner,
};
use sessile_core::payment::{Discount, Terms};

fn expired(world: &World, caller: &Caller) -> Checkout {
    let opened = world.open(caller, wants("basic")).checkout;
    world.clock.advance(DAY);
    run(world.checkouts.sweep(10)).unwrap();
    world.checkout(&opened.id)
}

fn nothing(answer: Result<Checkout, CheckoutError>) {
    assert!(matches!(answer, Err(CheckoutError::NothingToRecover)), "{answer:?}");
}

#[test]
fn two_tabs_get_one_successor() {
    let world = World::new();
    let old = expired(&world, &browser('a'));
    let named = world.recover(&browser('a'), Some(&old.id)).unwrap();
    let unnamed = world.recover(&browser('a'), None).unwrap();
    let again = world.recover(&browser('a'), Some(&old.id)).unwrap();
    assert_eq!((&named, &named), (&unnamed, &again));
    assert_eq!(named.renewed_from, Some(old.id.clone()));
    assert_eq!((&named.data, &named.choice), (&old.data, &old.choice));
    assert_eq!(world.checkout(&old.id), old, "the old row is unchanged");
    assert!(run(world.checkouts.validate(&browser('a'), &named.id)).is_ok());
    assert_eq!(actives(&world, &Owner::user(user('a'))), 1);
    world.check();
}

#[test]
fn nobody_has_to_sweep_first() {
    let world = World::new();
    let old = world.open(&browser('a'), wants("basic")).checkout;
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), None).unwrap();
    assert_eq!(renewed.renewed_from, Some(old.id.clone()));
    assert_eq!(world.checkout(&old.id).state.name(), "expired");
    world.check();
}

#[test]
fn what_is_live_needs_no_recovery() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    assert_eq!(world.recover(&browser('a'), Some(&opened.id)).unwrap(), opened);
    assert_eq!(world.recover(&browser('a'), None).unwrap(), opened);
    // An invalidated one leads to what took its place.
    let changed = world.open(&browser('a'), wants("pro")).checkout;
    assert_eq!(world.recover(&browser('a'), Some(&opened.id)).unwrap(), changed);
    world.check();
}

#[test]
fn a_week_is_the_window() {
    let world = World::new();
    let old = expired(&world, &browser('a'));
    world.clock.advance(7 * DAY - HOUR);
    let renewed = world.recover(&browser('a'), Some(&old.id)).unwrap();
    // Renewed once; its own successor can be renewed again, the old one cannot.
    world.clock.advance(DAY);
    nothing(world.recover(&browser('a'), Some(&old.id)));
    let next = world.recover(&browser('a'), Some(&renewed.id)).unwrap();
    assert_eq!(next.renewed_from, Some(renewed.id));
    world.check();
    let world = World::new();
    let old = expired(&world, &browser('a'));
    world.clock.advance(7 * DAY);
    nothing(world.recover(&browser('a'), Some(&old.id)));
    nothing(world.recover(&browser('a'), None));
    // An active row that nobody ever looked at is too old as well.
    let world = World::new();
    world.open(&browser('a'), wants("basic"));
    world.clock.advance(8 * DAY);
    nothing(world.recover(&browser('a'), None));
    world.check();
}

#[test]
fn price_and_coupon_are_todays() {
    let world = World::new();
    let coupon = world.make_coupon("ONCE", Discount::Percentage(50), Some(1));
    let with = NewCheckout { coupon: Some("ONCE".to_owned()), ..wants("basic") };
    let old = world.open(&browser('a'), with.clone()).checkout;
    world.clock.advance(DAY);
    let dearer = world.under(Terms { catalogue: Some(catalogue(2 * BASIC, PRO)), ..terms() }, 2);
    let recovered = run(dearer.checkouts.recover(&browser('a'), None, Some(&old.id))).unwrap();
    assert_eq!(recovered.price_before.unwrap().payable(), minor(BASIC / 2), "the difference can be told");
    assert_eq!(recovered.checkout.price.unwrap().payable(), minor(BASIC));
    assert_eq!(dearer.uses(&coupon.id), (0, 1), "the use moved with the choice");
    dearer.check();
    // Somebody else has the coupon now, and the package is gone.
    dearer.clock.advance(DAY);
    run(dearer.checkouts.sweep(10)).unwrap();
    dearer.open(&browser('b'), with);
    let again = dearer.recover(&browser('a'), None).unwrap();
    assert_eq!((again.price.unwrap().payable(), again.coupon), (minor(2 * BASIC), None));
    dearer.clock.advance(DAY);
    let mut sold_out = catalogue(BASIC, PRO);
    sold_out.packages.remove("basic");
    let gone = dearer.under(Terms { catalogue: Some(sold_out), ..terms() }, 3);
    nothing(gone.recover(&browser('a'), None));
    gone.check();
}

#[test]
fn a_guest_recovers_by_cookie() {
    let world = World::new();
    let old = expired(&world, &guest("g"));
    nothing(world.recover(&guest("h"), Some(&old.id)));
    nothing(world.recover(&Caller::Browser(Owner::default()), Some(&old.id)));
    let renewed = world.recover(&guest("g"), None).unwrap();
    assert_eq!(renewed.owner.guest, Some(cookie("g")));
    world.check();
}

#[test]
fn a_strangers_is_a_missing_one() {
    let world = World::new();
    let old = expired(&world, &browser('a'));
    nothing(world.recover(&browser('b'), Some(&old.id)));
    nothing(world.recover(&browser('b'), Some(&CheckoutId::parse("cs_nobody").unwrap())));
    // A backend speaks for the user it names, and for no other one's rows.
    let by_backend = |who: char| run(world.checkouts.recover(&backend(), Some(user(who)), Some(&old.id)));
    assert!(matches!(by_backend('b'), Err(CheckoutError::NothingToRecover)));
    let nobody = run(world.checkouts.recover(&backend(), None, Some(&old.id)));
    assert!(matches!(nobody, Err(CheckoutError::NothingToRecover)));
    assert_eq!(by_backend('a').unwrap().checkout.owner, Owner::user(user('a')));
    world.check();
}

#[test]
fn a_completed_one_is_not_recovered() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    world.paid(&made, 1);
    nothing(world.recover(&browser('a'), Some(&opened.id)));
    nothing(world.recover(&browser('a'), None));
    world.open(&browser('a'), wants("pro"));
    nothing(world.recover(&browser('a'), Some(&opened.id)));
    world.check();
}

#[test]
fn a_guests_row_is_not_continued_beside_an_active_one() {
    let world = World::new();
    let old = expired(&world, &guest("g"));
    let active = world.open(&guest("g"), wants("pro")).checkout;
    // Signed in at the same browser, before anything was adopted.
    let both = signed_in_guest('a', "g");
    let found = world.recover(&both, Some(&old.id)).unwrap();
    assert_eq!(found.id, active.id);
    let guests = Owner::guest(cookie("g"));
    assert_eq!(actives(&world, &guests), 1);
    world.check();
}

#[test]
fn a_chain_of_renewals_has_one_end() {
    let world = World::new();
    let mut last = expired(&world, &browser('a'));
    for _ in 0..5 {
        let next = world.recover(&browser('a'), None).unwrap();
        assert_eq!(next.renewed_from, Some(last.id.clone()));
        world.clock.advance(DAY);
        run(world.checkouts.sweep(10)).unwrap();
        last = world.checkout(&next.id);
    }
    let tables = world.ledger.tables();
    assert!(tables.checkouts().all(|row| row.state != CheckoutState::Active));
    world.check();
}

#[test]
fn an_overdue_one_beside_it_expires_with_it() {
    let world = World::new();
    let old = expired(&world, &browser('a'));
    let other = world.open(&browser('a'), wants("pro")).checkout;
    world.clock.advance(DAY);
    let renewed = world.recover(&browser('a'), Some(&old.id)).unwrap();
    assert_eq!(world.checkout(&other.id).state.name(), "expired");
    assert_eq!(renewed.renewed_from, Some(old.id));
    assert_eq!(actives(&world, &Owner::user(user('a'))), 1);
    world.check();
}
