//! Payments through the service: every row of the state table, idempotency, ownership, refunds and tiers.

use crate::tables::Tables;
use crate::world::{
    BASIC, DAY, HOUR, MINUTE, PRO, World, backend, browser, catalogue, guest, message, minor, pays_for,
    pays_for_tier, run, signed_in_guest, terms, user, wants,
};
use sessile_core::checkout::CheckoutState;
use sessile_core::ledger::{Effect, PaymentKey, Record};
use sessile_core::payment::{
    CreateError, Disposition, ExpireReason, FailReason, How, Method, NewPayment, Payment, PaymentError,
    PaymentState, ProviderStep, RefundEvent, RefundReason, RefundState, Reply, Telling, Terms, Users,
    Verdict, Word,
};

/// A link for a checkout of Ada's.
fn pending(world: &World) -> Payment {
    let opened = world.open(&browser('a'), wants("basic"));
    world.pay(&browser('a'), pays_for(&opened.checkout.id)).payment
}

#[test]
fn a_payment_from_link_to_money() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_eq!(
        (made.state.name(), made.price.payable(), made.method),
        ("pending", minor(BASIC), Method::Click)
    );
    assert_eq!(made.expires_at, world.now().plus(30 * MINUTE));
    let number = world.prepared(&made, 1);
    assert_eq!(world.prepare(&made, 1), Reply::Prepared(number), "the same number again");
    assert_eq!(world.prepare(&made, 2), Reply::Cancelled, "no double charge");
    assert_eq!(world.state(&made.id).name(), "processing");
    world.clock.advance(3 * HOUR);
    assert!(!run(world.payments.expire(&made.id)).unwrap(), "no timer ends it");
    assert_eq!(world.complete(&made, 1, number), Reply::Confirmed);
    let paid = world.payment(&made.id);
    assert!(matches!(
        &paid.state,
        PaymentState::Completed {
            how: How::Confirmed,
            disposition: Disposition::Granted,
            attempt: Some(_),
            ..
        }
    ));
    let done = world.checkout(&opened.id);
    assert!(matches!(&done.state, CheckoutState::Completed { payment: Some(by), .. } if *by == made.id));
    assert_eq!(grants(&world.ledger.tables()), 1);
    assert_eq!(world.tier('a'), None, "a checkout's content is no tier");
    assert_eq!(world.topics(), ["checkout.completed", "payment.completed"]);
    // And everything again: no grant, no effect, no row of the audit more.
    let before = (world.ledger.tables().records, world.ledger.told(), world.ledger.audited());
    assert_eq!(world.complete(&made, 1, number), Reply::AlreadyPaid);
    assert_eq!(world.prepare(&made, 1), Reply::AlreadyPaid);
    assert_eq!(before, (world.ledger.tables().records, world.ledger.told(), world.ledger.audited()));
    world.check();
}

fn grants(tables: &Tables) -> usize {
    tables.records.values().filter(|r| matches!(r, Record::Grant(g) if g.revoked_at.is_none())).count()
}

#[test]
fn what_is_not_prepared_is_not_confirmed() {
    let world = World::new();
    let made = pending(&world);
    let word = Word::Amount(Some(minor(BASIC)));
    let complete = message(&made.order, 1, ProviderStep::Complete(None), word);
    assert_eq!(world.hear(complete).reply, Some(Reply::NoSuchAttempt));
    assert_eq!(world.state(&made.id), PaymentState::Pending);
    let stranger = sessile_core::payment::OrderId::parse("cknobodyknowsthisorderxx").unwrap();
    let answered = world.hear(message(&stranger, 1, ProviderStep::Prepare, word));
    assert!(answered.reply.is_none() && answered.payment.is_none());
    assert_eq!(world.ledger.tables().inbox.len(), 2, "what came is kept");
    world.check();
}

#[test]
fn other_numbers_and_other_amounts_are_refused() {
    let world = World::new();
    let made = pending(&world);
    let less = Word::Amount(Some(minor(30_000)));
    assert_eq!(
        world.hear(message(&made.order, 1, ProviderStep::Prepare, less)).reply,
        Some(Reply::WrongAmount)
    );
    let number = world.prepared(&made, 1);
    let mut other_doc = message(&made.order, 1, ProviderStep::Prepare, Word::Amount(Some(minor(BASIC))));
    other_doc.paydoc = sessile_core::payment::PaydocId(7);
    assert_eq!(world.hear(other_doc).reply, Some(Reply::NoSuchAttempt));
    let wrong = sessile_core::payment::PrepareId::new(1_999_999_999).unwrap();
    assert_eq!(world.complete(&made, 1, wrong), Reply::NoSuchAttempt);
    assert_eq!(world.completes(&made, 1, number, less), Reply::WrongAmount);
    assert!(world.payment(&made.id).flags.amount_differs, "an alert");
    assert_eq!(world.completes(&made, 1, number, less), Reply::WrongAmount);
    assert_eq!(world.complete(&made, 1, number), Reply::Confirmed);
    // An attempt is bound to one payment for ever.
    let other = world.pay(&browser('b'), pays_for_tier()).payment;
    assert_eq!(world.prepare(&other, 1), Reply::NoSuchAttempt);
    world.check();
}

#[test]
fn the_providers_cancel_absorbs() {
    let world = World::new();
    let made = pending(&world);
    let number = world.prepared(&made, 1);
    for _ in 0..2 {
        assert_eq!(world.completes(&made, 1, number, Word::Failed), Reply::Cancelled);
    }
    assert_eq!(world.complete(&made, 1, number), Reply::Cancelled);
    assert!(matches!(
        world.state(&made.id),
        PaymentState::Failed { reason: FailReason::ProviderCancelled, .. }
    ));
    let checkout = world.checkout(&made.checkout.unwrap());
    assert_eq!(checkout.state, CheckoutState::Active, "the buyer may try again");
    let again = world.pay(&browser('a'), pays_for(&checkout.id)).payment;
    assert_ne!(again.id, made.id);
    world.paid(&again, 2);
    world.check();
}

#[test]
fn a_failed_prepare_ends_what_is_open() {
    let world = World::new();
    let made = pending(&world);
    let failed = || message(&made.order, 1, ProviderStep::Prepare, Word::Failed);
    assert_eq!(world.hear(failed()).reply, Some(Reply::Cancelled));
    assert!(!world.hear(failed()).changed);
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled);
    world.check();
}

#[test]
fn a_cancel_of_confirmed_money_takes_nothing_away() {
    let world = World::new();
    let made = pending(&world);
    let number = world.prepared(&made, 1);
    world.complete(&made, 1, number);
    assert_eq!(world.completes(&made, 1, number, Word::Failed), Reply::CancelTooLate);
    let flagged = world.payment(&made.id);
    assert!(flagged.state.is_completed() && flagged.flags.cancel_after_success && flagged.ask.is_some());
    assert_eq!(grants(&world.ledger.tables()), 1);
    // An undecided provider is asked again, until it says something.
    for verdict in [Verdict::Unknown, Verdict::Open] {
        run(world.payments.told(&made.id, verdict)).unwrap();
        assert!(world.payment(&made.id).ask.is_some(), "{verdict:?}");
    }
    run(world.payments.told(&made.id, Verdict::NotPaid)).unwrap();
    let told = world.payment(&made.id);
    assert!(told.state.is_completed() && told.flags.cancel_after_success && told.ask.is_none());
    world.check();
}

#[test]
fn an_overdue_link_is_never_prepared_and_never_shown() {
    let world = World::new();
    let made = pending(&world);
    world.clock.advance(30 * MINUTE);
    let shown = run(world.payments.show(&browser('a'), PaymentKey::Order(made.order.clone()))).unwrap();
    assert!(matches!(shown.state, PaymentState::Expired { reason: ExpireReason::Timer, attempt: None, .. }));
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled);
    world.clock.set(made.created_at);
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled, "a clock that goes back brings nothing back");
    // The same, when nobody looked before the provider came.
    let second = world.pay(&browser('a'), pays_for(made.checkout.as_ref().unwrap())).payment;
    world.clock.advance(30 * MINUTE);
    assert_eq!(world.prepare(&second, 2), Reply::Cancelled);
    assert_eq!(world.state(&second.id).name(), "expired");
    world.check();
}

#[test]
fn processing_is_asked_about_until_the_provider_answers() {
    let world = World::new();
    let made = pending(&world);
    world.prepared(&made, 1);
    let mut asked_after = Vec::new();
    for _ in 0..6 {
        let at = world.payment(&made.id).ask.unwrap().at;
        asked_after.push(at.since(made.created_at).as_secs() / 60);
        world.clock.set(at);
        run(world.payments.told(&made.id, Verdict::Open)).unwrap();
    }
    assert_eq!(asked_after, [1, 5, 15, 60, 120, 180]);
    run(world.payments.told(&made.id, Verdict::Paid)).unwrap();
    assert!(matches!(world.state(&made.id), PaymentState::Completed { how: How::Reconciled, .. }));
    assert_eq!(world.payment(&made.id).ask, None);
    world.check();
}

#[test]
fn found_unpaid_and_paid_after_all() {
    let world = World::new();
    let made = pending(&world);
    let number = world.prepared(&made, 1);
    run(world.payments.told(&made.id, Verdict::NotPaid)).unwrap();
    assert!(matches!(world.state(&made.id), PaymentState::Failed { reason: FailReason::Reconciled, .. }));
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled);
    assert_eq!(world.complete(&made, 1, number), Reply::Confirmed);
    assert!(matches!(world.state(&made.id), PaymentState::Completed { how: How::Late, .. }));
    world.check();
}

#[test]
fn a_person_stops_only_what_the_provider_has_not() {
    let world = World::new();
    let made = pending(&world);
    let cancel = |who: char| run(world.payments.cancel(&browser(who), &made.id));
    assert!(matches!(cancel('b'), Err(PaymentError::NotFound)), "a stranger's is a missing one");
    assert!(matches!(cancel('a').unwrap().state, PaymentState::Failed { reason: FailReason::Cancelled, .. }));
    cancel('a').unwrap();
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled);
    let again = world.pay(&browser('a'), pays_for(made.checkout.as_ref().unwrap())).payment;
    world.prepared(&again, 2);
    assert!(matches!(run(world.payments.cancel(&browser('a'), &again.id)), Err(PaymentError::TooLate)));
    world.check();
}

#[test]
fn a_double_click_is_one_payment() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let first = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    let second = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_eq!(first, second, "the same bytes");
    // Another amount for the same checkout gives another row, and the first gives way.
    let with_amount = NewPayment { amount: Some(BASIC / 100), ..pays_for(&opened.id) };
    let third = world.pay(&browser('a'), with_amount).payment;
    assert_ne!(third.id, first.id);
    let state = world.state(&first.id);
    assert!(matches!(state, PaymentState::Expired { reason: ExpireReason::Superseded, .. }));
    world.prepared(&third, 1);
    assert!(matches!(world.refuses(&browser('a'), pays_for(&opened.id)), CreateError::InProgress));
    world.check();
}

#[test]
fn one_key_is_one_request() {
    let world = World::new();
    let keyed = |key: &str, new: NewPayment| NewPayment { key: Some(key.to_owned()), ..new };
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    let first = world.pay(&browser('a'), keyed("k", pays_for(&opened.id))).payment;
    assert_eq!(world.pay(&browser('a'), keyed("k", pays_for(&opened.id))).payment, first);
    let other = keyed("k", pays_for_tier());
    assert!(matches!(world.refuses(&browser('a'), other.clone()), CreateError::KeyReused));
    assert_ne!(world.pay(&browser('b'), other).payment.id, first.id, "another's key is another key");
    // The key's answer stays its answer; the derived key starts anew once its payment is over.
    world.clock.advance(HOUR);
    run(world.payments.sweep(10)).unwrap();
    assert_eq!(world.pay(&browser('a'), keyed("k", pays_for(&opened.id))).payment.id, first.id);
    let derived = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_ne!(derived.id, first.id);
    world.clock.advance(HOUR);
    let again = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_ne!(again.id, derived.id, "the overdue one is nobody's answer");
    assert_eq!(world.state(&derived.id).name(), "expired");
    world.check();
}

#[test]
fn checks_come_in_the_documented_order() {
    let world = World::with(Terms { users: Users::Strict, ..terms() });
    let nameless = |amount, user: Option<&str>| NewPayment {
        amount: Some(amount),
        user: user.map(str::to_owned),
        ..pays_for_tier()
    };
    for amount in [0, -5, i64::MAX] {
        let error = world.refuses(&guest("g"), nameless(amount, None));
        assert!(matches!(error, CreateError::InvalidAmount), "{amount}: {error:?}");
    }
    assert!(matches!(world.refuses(&guest("g"), nameless(10_000, None)), CreateError::NotSignedIn));
    let other = user('b').to_string();
    let error = world.refuses(&browser('a'), nameless(10_000, Some(&other)));
    assert!(matches!(error, CreateError::NotSignedIn), "a browser pays only for who is signed in");
    assert!(matches!(world.refuses(&backend(), nameless(10_000, Some("ada"))), CreateError::UserNotFound));
    assert!(matches!(world.refuses(&backend(), nameless(10_000, Some(&other))), CreateError::UserNotFound));
    assert!(world.ledger.tables().records.is_empty());
    let lenient = world.under(terms(), 2);
    let made = lenient.pay(&backend(), nameless(10_000, Some(&other))).payment;
    assert_eq!(lenient.tier('b').as_deref(), Some("free"), "a backend vouches for its users");
    lenient.paid(&made, 1);
    let error = lenient.refuses(&browser('b'), nameless(10_000, None));
    assert!(matches!(error, CreateError::AlreadyEntitled));
    assert_eq!(error.to_string(), "User already has premium access");
}

#[test]
fn a_browser_never_names_a_price() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("pro")).checkout;
    let asks = |amount| NewPayment { amount: Some(amount), ..pays_for(&opened.id) };
    assert!(matches!(world.refuses(&browser('a'), asks(1)), CreateError::InvalidAmount));
    assert_eq!(world.pay(&browser('a'), asks(PRO / 100)).payment.price.payable(), minor(PRO));
    let tier = |amount| NewPayment { amount: Some(amount), ..pays_for_tier() };
    assert!(matches!(world.refuses(&browser('b'), tier(1)), CreateError::InvalidAmount));
    // A checkout of the time before there was a catalogue.
    let before = World::with(Terms { catalogue: None, ..terms() });
    let old = before.open(&browser('a'), wants("pro")).checkout;
    assert_eq!(old.price, None);
    assert!(matches!(
        before.refuses(&browser('a'), NewPayment { amount: Some(1), ..pays_for(&old.id) }),
        CreateError::InvalidAmount
    ));
    let after = before.under(terms(), 2);
    let cheap = NewPayment { amount: Some(1), ..pays_for(&old.id) };
    assert!(matches!(after.refuses(&browser('a'), cheap), CreateError::InvalidAmount));
    let made = after.pay(&browser('a'), pays_for(&old.id)).payment;
    assert_eq!(made.price.payable(), minor(PRO), "the catalogue's price");
    // Without a catalogue only a trusted backend names an amount.
    let trusted = NewPayment { amount: Some(77), user: Some(user('c').to_string()), ..pays_for_tier() };
    assert_eq!(before.pay(&backend(), trusted).payment.price.payable(), minor(7700));
}

#[test]
fn a_strangers_payment_is_a_missing_one() {
    let world = World::new();
    let made = pending(&world);
    let missing = run(world.payments.show(&browser('b'), PaymentKey::Id(made.id.clone())));
    assert!(matches!(missing, Err(PaymentError::NotFound)));
    assert!(run(world.payments.show(&backend(), PaymentKey::Id(made.id.clone()))).is_ok());
    let theirs = world.refuses(&browser('b'), pays_for(made.checkout.as_ref().unwrap()));
    assert!(matches!(theirs, CreateError::CheckoutNotLive));
    // A guest's checkout is paid by the person who signs in at that browser, and by nobody else.
    let guests = world.open(&guest("g"), wants("basic")).checkout;
    assert!(matches!(world.refuses(&browser('c'), pays_for(&guests.id)), CreateError::CheckoutNotLive));
    world.pay(&signed_in_guest('c', "g"), pays_for(&guests.id));
    world.check();
}

#[test]
fn nothing_new_for_what_is_over() {
    let world = World::new();
    let first = world.open(&browser('a'), wants("basic")).checkout;
    let second = world.open(&browser('a'), wants("pro")).checkout;
    assert!(matches!(world.refuses(&browser('a'), pays_for(&first.id)), CreateError::CheckoutNotLive));
    world.clock.advance(DAY);
    let error = world.refuses(&browser('a'), pays_for(&second.id));
    assert!(matches!(error, CreateError::CheckoutNotLive), "expired, swept or not: {error:?}");
    world.check();
}

#[test]
fn a_payment_ends_with_its_checkout() {
    let world = World::new();
    let opened = world.open(&browser('a'), wants("basic")).checkout;
    world.clock.set(opened.expires_at.minus(MINUTE));
    let made = world.pay(&browser('a'), pays_for(&opened.id)).payment;
    assert_eq!(made.expires_at, opened.expires_at);
    let changed = world.open(&browser('a'), wants("pro")).checkout;
    let state = world.state(&made.id);
    assert!(matches!(state, PaymentState::Expired { reason: ExpireReason::Superseded, .. }));
    assert_eq!(world.prepare(&made, 1), Reply::Cancelled);
    let other = world.pay(&browser('a'), pays_for(&changed.id)).payment;
    run(world.checkouts.complete(&browser('a'), &changed.id)).unwrap();
    let state = world.state(&other.id);
    assert!(matches!(state, PaymentState::Expired { reason: ExpireReason::CheckoutEnded, .. }));
    world.check();
}

#[test]
fn a_refund_takes_back_what_was_bought() {
    let world = World::new();
    let made = world.pay(&browser('a'), pays_for_tier()).payment;
    let refund = |key: &str| run(world.payments.refund(&backend(), &made.id, key));
    assert!(matches!(refund("r"), Err(PaymentError::NothingToRefund)), "nothing was paid yet");
    world.paid(&made, 1);
    assert_eq!(world.tier('a').as_deref(), Some("premium"));
    let asked = refund("r").unwrap();
    assert_eq!((asked.amount, asked.reason), (minor(BASIC), RefundReason::Requested));
    assert_eq!(refund("r").unwrap(), asked, "the same key is the same refund");
    assert!(matches!(refund("other"), Err(PaymentError::NothingToRefund)), "never more than was paid");
    assert_eq!(world.tier('a').as_deref(), Some("premium"), "until the money is back");
    let hears = |event| run(world.payments.refunded(&asked.id, event, "worker"));
    assert_eq!(hears(RefundEvent::Submit).unwrap().state, RefundState::Submitted);
    assert_eq!(hears(RefundEvent::Submit).unwrap().version, 2, "the worker's reply was lost: nothing new");
    assert_eq!(hears(RefundEvent::Done).unwrap().state, RefundState::Succeeded);
    assert_eq!(hears(RefundEvent::Done).unwrap().version, 3);
    assert_eq!(world.tier('a').as_deref(), Some("free"));
    assert_eq!(grants(&world.ledger.tables()), 0);
    assert!(world.payment(&made.id).state.is_completed(), "it was paid, and that stays true");
    // They may buy it again.
    let again = world.pay(&browser('a'), pays_for_tier()).payment;
    world.paid(&again, 2);
    assert_eq!(world.tier('a').as_deref(), Some("premium"));
    let tiers = world.ledger.told().into_iter().filter(|row| matches!(row.effect, Effect::Tier { .. }));
    assert_eq!(tiers.count(), 3, "premium, free, premium");
    world.check();
}

#[test]
fn a_refused_refund_waits_for_a_person() {
    let world = World::new();
    let made = world.pay(&browser('a'), pays_for_tier()).payment;
    world.paid(&made, 1);
    let asked = run(world.payments.refund(&backend(), &made.id, "r")).unwrap();
    let hears = |event| run(world.payments.refunded(&asked.id, event, "worker"));
    let settle = || RefundEvent::Settle("sent by bank".to_owned());
    assert!(matches!(hears(settle()), Err(PaymentError::NotManual)));
    hears(RefundEvent::Submit).unwrap();
    hears(RefundEvent::Refused("not this month".to_owned())).unwrap();
    assert_eq!(world.tier('a').as_deref(), Some("premium"));
    let settled = hears(settle()).unwrap();
    assert_eq!((settled.state, settled.note.as_deref()), (RefundState::Succeeded, Some("sent by bank")));
    hears(settle()).unwrap();
    assert_eq!(world.tier('a').as_deref(), Some("free"));
    let (refund, payment) = run(world.payments.find_refund(&asked.id)).unwrap().unwrap();
    assert_eq!((refund.payment, payment.id), (made.id.clone(), made.id));
    world.check();
}

#[test]
fn an_installation_without_listeners_tells_nobody() {
    let world = World::with(Terms { webhook: Telling::Nobody, tier_sync: Telling::Nobody, ..terms() });
    let made = world.pay(&browser('a'), pays_for_tier()).payment;
    world.paid(&made, 1);
    assert_eq!(world.topics(), Vec::<String>::new());
    run(world.payments.refund(&backend(), &made.id, "r")).unwrap();
    assert_eq!(world.topics(), ["refund"], "the provider is asked whoever listens");
    world.check();
}

#[test]
fn the_price_is_a_snapshot() {
    let world = World::new();
    let made = pending(&world);
    let dearer = world.under(Terms { catalogue: Some(catalogue(2 * BASIC, PRO)), ..terms() }, 2);
    assert_eq!(dearer.pay(&browser('a'), pays_for(made.checkout.as_ref().unwrap())).payment, made);
    let paid = dearer.paid(&made, 1);
    assert_eq!(paid.price.payable(), minor(BASIC));
    dearer.check();
}

#[test]
fn a_sweep_expires_what_is_overdue_and_nothing_else() {
    let world = World::new();
    let (first, second) = (pending(&world), world.pay(&browser('b'), pays_for_tier()).payment);
    world.prepared(&first, 1);
    world.clock.advance(HOUR);
    let third = world.pay(&browser('c'), pays_for_tier()).payment;
    assert_eq!(run(world.payments.sweep(10)).unwrap(), 1);
    assert_eq!(run(world.payments.sweep(10)).unwrap(), 0);
    let names = [&first, &second, &third].map(|payment| world.state(&payment.id).name());
    assert_eq!(names, ["processing", "expired", "pending"]);
    world.check();
}
