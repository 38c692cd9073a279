//! The audit: one row per change, a chain that shows any change of itself, and a replay that gives the present rows.

use crate::world::{
    DAY, HOUR, MINUTE, World, backend, browser, cookie, guest, pays_for, pays_for_tier, run, signed_in_guest,
    user, wants,
};
use proptest::prelude::*;
use sessile_core::Timestamp;
use sessile_core::checkout::{Caller, CheckoutId, NewCheckout};
use sessile_core::ledger::{AuditHead, AuditRow, Broken, Record, Replay, verify};
use sessile_core::payment::{
    Discount, NewPayment, Payment, PaymentId, PaymentState, RefundEvent, Verdict, Word,
};

/// A world in which a little of everything has happened.
fn some_history() -> World {
    let world = World::new();
    world.make_coupon("ONCE", Discount::Percentage(25), Some(1));
    let with = NewCheckout { coupon: Some("ONCE".to_owned()), ..wants("basic") };
    let first = world.open(&browser('a'), with).checkout;
    world.pay(&browser('a'), pays_for(&first.id));
    let second = world.open(&browser('a'), wants("pro")).checkout;
    let made = world.pay(&browser('a'), pays_for(&second.id)).payment;
    world.paid(&made, 1);
    let gone = world.open(&browser('b'), wants("basic")).checkout;
    world.clock.advance(9 * DAY);
    run(world.checkouts.sweep(10)).unwrap();
    world.clock.advance(9 * DAY);
    assert!(run(world.checkouts.sweep(10)).unwrap().deleted >= 1);
    assert!(world.ledger.tables().purged.contains(&gone.id));
    world.check();
    world
}

fn checked(rows: &[AuditRow], head: &AuditHead) -> Result<(), Broken> {
    let end = verify(AuditHead::default(), rows)?;
    // What is kept beside the log says where it ends.
    if end == *head { Ok(()) } else { Err(Broken::Cut { found: end.seq, kept: head.seq }) }
}

/// A row with one field changed.
type Tampering = fn(&mut AuditRow);

const TAMPERINGS: [(&str, Tampering); 15] = [
    ("seq up", |row| row.seq += 1),
    ("seq down", |row| row.seq -= 1),
    ("at", |row| row.at = row.at.plus(MINUTE)),
    ("event", |row| row.event.push('x')),
    ("event emptied", |row| row.event.clear()),
    ("actor", |row| row.actor = "operator:eve".to_owned()),
    ("payment", |row| row.payment = PaymentId::parse("pay_other")),
    ("payment away", |row| {
        row.payment = row.payment.take().map_or_else(|| PaymentId::parse("pay_x"), |_| None)
    }),
    ("checkout", |row| row.checkout = CheckoutId::parse("cs_other")),
    ("checkout away", |row| {
        row.checkout = row.checkout.take().map_or_else(|| CheckoutId::parse("cs_x"), |_| None)
    }),
    ("facts", |row| row.facts = row.facts.replacen("\"version\":", "\"version\":1", 1) + " "),
    ("facts emptied", |row| row.facts = "{\"rows\":[]}".to_owned()),
    ("previous", |row| row.previous = "0".repeat(63) + "1"),
    ("hash", |row| row.hash = "f".repeat(64)),
    ("border of two fields", |row| {
        let moved = row.event.pop().unwrap();
        row.actor.insert(0, moved);
    }),
];

#[test]
fn every_change_of_any_field_of_any_row_is_found() {
    let (rows, head) = some_history().ledger.audited();
    assert!(rows.len() >= 8, "{} rows", rows.len());
    assert_eq!(checked(&rows, &head), Ok(()));
    for at in 0..rows.len() {
        for (name, tamper) in TAMPERINGS {
            let mut tampered = rows.clone();
            tamper(&mut tampered[at]);
            assert_ne!(tampered, rows, "{name} changes row {at}");
            assert!(checked(&tampered, &head).is_err(), "{name} of row {at} was not found");
        }
    }
}

#[test]
fn rows_removed_put_in_swapped_or_cut_off_are_found() {
    let (rows, head) = some_history().ledger.audited();
    for at in 0..rows.len() {
        let mut removed = rows.clone();
        removed.remove(at);
        assert!(checked(&removed, &head).is_err(), "row {at} removed");
        let mut doubled = rows.clone();
        doubled.insert(at, rows[at].clone());
        assert!(matches!(checked(&doubled, &head), Err(Broken::Gap { .. })), "row {at} twice");
        for other in 0..at {
            let mut swapped = rows.clone();
            swapped.swap(at, other);
            assert!(checked(&swapped, &head).is_err(), "rows {at} and {other} swapped");
            // Also when whoever swapped them numbered them anew.
            (swapped[at].seq, swapped[other].seq) = (rows[at].seq, rows[other].seq);
            assert!(checked(&swapped, &head).is_err(), "rows {at} and {other} swapped and numbered");
        }
        let cut = checked(&rows[..at], &head);
        let (found, kept) = (i64::try_from(at).unwrap(), head.seq);
        assert_eq!(cut, Err(Broken::Cut { found, kept }), "cut after row {at}");
    }
    // A page at a time gives the same.
    let middle = verify(AuditHead::default(), &rows[..3]).unwrap();
    assert_eq!(verify(middle, &rows[3..]), Ok(head));
}

#[test]
fn a_row_changed_behind_the_ledgers_back_is_found() {
    type Change = fn(&mut Payment);
    let changes: [(&str, Change); 6] = [
        ("state", |row| row.state = PaymentState::Pending),
        ("user", |row| row.user = user('e')),
        ("price", |row| row.price.discount = row.price.original),
        ("order", |row| row.order = sessile_core::payment::OrderId::parse("other").unwrap()),
        ("version", |row| row.version += 1),
        ("time", |row| row.expires_at = Timestamp::FAR),
    ];
    let world = some_history();
    let (rows, _) = world.ledger.audited();
    let stored: Vec<Record> = world.ledger.tables().records.into_values().collect();
    for (name, change) in changes {
        let mut stored = stored.clone();
        let changed = stored.iter_mut().find_map(|record| match record {
            Record::Payment(row) if row.state.is_completed() => Some(row),
            _ => None,
        });
        change(changed.unwrap());
        let mut replay = Replay::default();
        replay.read(&rows).unwrap();
        assert!(matches!(replay.compare(stored), Err(Broken::Differs { .. })), "{name} was not found");
    }
    for at in 0..stored.len() {
        let mut fewer = stored.clone();
        fewer.remove(at);
        let mut replay = Replay::default();
        replay.read(&rows).unwrap();
        replay.compare(fewer).unwrap();
        assert!(replay.finish().is_err(), "row {at} is missing and nobody noticed");
    }
}

#[test]
fn the_audit_holds_no_address_and_no_cart() {
    let (rows, _) = some_history().ledger.audited();
    for row in rows {
        let text = format!("{row:?}");
        assert!(!text.contains("example.org") && !text.contains("song"), "{text}");
    }
}

/// What people, the provider and the timers do, at random.
fn happens(world: &World, what: u8, who: u8, which: u8) {
    let names = ['a', 'b'];
    let name = names[usize::from(who) % 2];
    let person = match who % 4 {
        2 => guest("g"),
        3 => signed_in_guest('a', "g"),
        _ => browser(name),
    };
    let tables = world.ledger.tables();
    let payment = tables.payments().nth(usize::from(which) % tables.payments().count().max(1)).cloned();
    let checkout = tables.checkouts().nth(usize::from(which) % tables.checkouts().count().max(1)).cloned();
    let refund = tables.refunds().next().cloned();
    let package = if which.is_multiple_of(2) { "basic" } else { "pro" };
    let coupon = which.is_multiple_of(3).then(|| "ONCE".to_owned());
    let trans = i64::from(which % 3) + 1;
    match (what, payment, checkout, refund) {
        (0..=2, ..) => drop(run(world.checkouts.open(&person, NewCheckout { coupon, ..wants(package) }))),
        (3..=5, _, Some(row), _) => drop(run(world.payments.create(&person, pays_for(&row.id)))),
        (6, ..) => drop(run(world.payments.create(&person, NewPayment { coupon, ..pays_for_tier() }))),
        (7..=10, Some(row), ..) => drop(world.prepare(&row, trans)),
        (11..=13, Some(row), ..) => {
            let number = row.state.attempt().and_then(|attempt| attempt.prepare);
            let word =
                if which.is_multiple_of(5) { Word::Failed } else { Word::Amount(Some(row.price.payable())) };
            if let (Some(attempt), Some(number)) = (row.state.attempt(), number) {
                world.completes(&row, attempt.trans.0, number, word);
            }
        }
        (14, Some(row), ..) => {
            let verdict = [Verdict::Paid, Verdict::NotPaid, Verdict::Open][usize::from(which) % 3];
            drop(run(world.payments.told(&row.id, verdict)));
        }
        (15, _, Some(row), _) => drop(run(world.checkouts.recover(&person, None, Some(&row.id)))),
        (16, ..) => drop(run(world.checkouts.recover(&person, None, None))),
        (17, _, Some(row), _) => drop(run(world.checkouts.validate(&person, &row.id))),
        (18, _, Some(row), _) => drop(run(world.checkouts.complete(&person, &row.id))),
        (19, _, Some(row), _) => drop(run(world.checkouts.cancel(&Caller::Operator, &row.id))),
        (20, Some(row), ..) => drop(run(world.payments.cancel(&person, &row.id))),
        (21, Some(row), ..) => drop(run(world.payments.refund(&backend(), &row.id, "r"))),
        (22, _, _, Some(row)) => {
            let events = [RefundEvent::Submit, RefundEvent::Done, RefundEvent::Refused("no".to_owned())];
            drop(run(world.payments.refunded(&row.id, events[usize::from(which) % 3].clone(), "worker")));
        }
        (23, ..) => drop(run(world.checkouts.adopt(&cookie("g"), &user('a')))),
        (24, ..) => world.clock.advance(HOUR),
        (25, ..) => world.clock.advance(DAY),
        (26, ..) => world.clock.set(world.now().minus(2 * HOUR)),
        (27, ..) => world.clock.advance(8 * DAY),
        _ => {
            run(world.checkouts.sweep(10)).unwrap();
            run(world.payments.sweep(10)).unwrap();
        }
    }
}

/// What is true of every ledger, whatever happened to it.
fn holds(world: &World) {
    let tables = world.ledger.tables();
    for payment in tables.payments() {
        let refunded: i64 = tables
            .refunds()
            .filter(|r| r.payment == payment.id && r.state.counts())
            .map(|r| r.amount.get())
            .sum();
        let paid = if payment.state.is_completed() { payment.price.payable().get() } else { 0 };
        assert!(refunded <= paid, "more goes back than was paid");
        assert!(payment.price.discount <= payment.price.original);
        let granted =
            tables.records.values().any(|r| matches!(r, Record::Grant(g) if g.payment == payment.id));
        assert!(payment.state.is_completed() || !granted, "granted without money");
    }
    for row in tables.checkouts() {
        let live = |other: &&sessile_core::checkout::Checkout| {
            other.state == sessile_core::checkout::CheckoutState::Active && other.owner == row.owner
        };
        assert!(tables.checkouts().filter(live).count() <= 1, "two active in one place");
    }
    for coupon in tables.coupons() {
        let audited = tables.payments().any(|payment| payment.flags.coupon_overflow);
        assert!(coupon.used >= 0 && coupon.reserved >= 0);
        assert!(!coupon.overflows() || audited, "more uses than allowed, and nobody wrote it down");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn any_history_can_be_replayed(history in prop::collection::vec((0_u8..29, any::<u8>(), any::<u8>()), 1..40)) {
        let world = World::new();
        world.make_coupon("ONCE", Discount::Percentage(25), Some(1));
        for (what, who, which) in history {
            happens(&world, what, who, which);
            holds(&world);
        }
        world.check();
    }
}
