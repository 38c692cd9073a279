//! What one transaction does to the rows: everything of a plan, or nothing.

use crate::contract::faulty::{Fault, Moment};
use crate::contract::harness::Must;
use crate::contract::ledger::faulty::FaultyLedger;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::checkout::{CheckoutState, Owner};
use sessile_core::ledger::{
    CheckoutKey, Decision, EffectState, Inbound, Kind, LedgerStore, NewEffect, PaymentFilter, PaymentKey,
    Plan, Reads, Record, Work, Write, transact,
};
use sessile_core::payment::{CouponHold, HoldState};
use std::sync::Arc;

/// Calls to try at most; the flow below makes two.
const CALLS_MAX: u64 = 10;

pub(crate) async fn create_never_overwrites(test: &TestLedger) {
    let first = given::payment(given::user(), test.base);
    test.given([Record::Payment(first.clone())]).await;
    let mut second = given::payment(given::user(), test.base);
    second.id = first.id.clone();
    let mut plan = noted("again");
    plan.create(Record::Payment(second));
    // Whether or not the decision could see that it is there.
    for reads in [Reads::none(), Reads::none().payment(PaymentKey::Id(first.id.clone()))] {
        assert!(test.write(reads, plan.clone()).await.is_err(), "a row was written over");
    }
    let books = test.look(Reads::none().payment(PaymentKey::Id(first.id.clone()))).await;
    assert_eq!(books.payment(&first.id), Some(&first));
    test.audit_holds().await.must("the audit");
}

pub(crate) async fn unique_values_stay_unique(test: &TestLedger) {
    let first = given::paid(given::payment(given::user(), test.base), test.base);
    let mut old = given::checkout(Owner::user(given::user()), test.base);
    old.renewed_from = Some(given::checkout(Owner::default(), test.base).id);
    let coupon = given::coupon(None, test.base);
    test.given([
        Record::Payment(first.clone()),
        Record::Checkout(old.clone()),
        Record::Coupon(coupon.clone()),
        Record::Grant(given::grant(&first, test.base)),
    ])
    .await;
    let fresh = || given::payment(given::user(), test.base);
    let mut same_order = fresh();
    same_order.order = first.order.clone();
    let mut same_key = fresh();
    same_key.idempotency_key.clone_from(&first.idempotency_key);
    let mut same_number = fresh();
    same_number.state = first.state.clone();
    let mut second_renewal = given::checkout(Owner::user(given::user()), test.base);
    second_renewal.renewed_from.clone_from(&old.renewed_from);
    let mut same_code = given::coupon(None, test.base);
    same_code.code = coupon.code.clone();
    let clashes = [
        ("an order", Record::Payment(same_order)),
        ("an idempotency key", Record::Payment(same_key)),
        ("a number of ours", Record::Payment(same_number)),
        ("a renewal", Record::Checkout(second_renewal)),
        ("a code", Record::Coupon(same_code)),
        ("a grant", Record::Grant(given::grant(&first, test.base))),
    ];
    for (what, record) in clashes {
        let mut plan = noted("a second one");
        plan.create(record);
        assert!(test.write(Reads::none(), plan).await.is_err(), "{what} exists twice");
    }
    test.audit_holds().await.must("the audit");
}

pub(crate) async fn update_carries_the_version(test: &TestLedger) {
    let first = given::payment(given::user(), test.base);
    test.given([Record::Payment(first.clone())]).await;
    let by_id = || Reads::none().payment(PaymentKey::Id(first.id.clone()));
    let mut changed = first.clone();
    changed.version = 2;
    changed.flags.amount_differs = true;
    let mut plan = noted("changed");
    plan.update(Record::Payment(changed));
    // Somebody else was faster.
    let name = first.id.as_str();
    test.sql(&format!("update payment_sessions set version = 2 where id = '{name}'")).await;
    assert!(test.write(by_id(), plan.clone()).await.is_err(), "a stale change was written");
    assert!(test.write(Reads::none(), plan).await.is_err(), "a change of what nobody saw was written");
    let books = test.look(by_id()).await;
    let kept = books.payment(&first.id).must("the payment");
    assert_eq!((kept.version, kept.flags), (2, first.flags));
    let mut plan = noted("back");
    plan.update(Record::Payment(first.clone()));
    assert!(test.write(by_id(), plan).await.is_err(), "a version went back");
}

pub(crate) async fn update_never_inserts(test: &TestLedger) {
    let mut absent = given::payment(given::user(), test.base);
    absent.version = 2;
    let reads = Reads::none().payment(PaymentKey::Id(absent.id.clone()));
    let mut plan = noted("changed");
    plan.update(Record::Payment(absent.clone()));
    assert!(test.write(reads.clone(), plan).await.is_err());
    assert_eq!(test.look(reads).await.payment(&absent.id), None);
}

/// Something of everything, and at its end a row that cannot be written.
fn doomed(test: &TestLedger, taken: &sessile_core::payment::Payment) -> (Plan, Reads) {
    let payment = given::payment(given::user(), test.base);
    let attempt = given::attempt();
    let inbound = Inbound { provider: "click", digest: format!("digest-{}", given::number()) };
    let checkout = given::checkout(Owner::user(given::user()), test.base);
    let reads = Reads {
        attempts: vec![attempt.trans],
        prepares: attempt.prepare.into_iter().collect(),
        inbox: vec![inbound.clone()],
        users: vec![payment.user.clone()],
        ..Reads::none()
            .payment(PaymentKey::Id(payment.id.clone()))
            .checkout(CheckoutKey::Id(checkout.id.clone()))
    };
    let mut last = given::payment(given::user(), test.base);
    last.order = taken.order.clone();
    let mut plan = noted("doomed");
    plan.writes = vec![
        Write::Create(Record::Checkout(checkout)),
        Write::Create(Record::Payment(payment.clone())),
        Write::Bind { payment: payment.id.clone(), attempt },
        Write::Vouch { user: payment.user.clone(), email: None },
        Write::Create(Record::Payment(last)),
    ];
    plan.inbound = Some((inbound, "applied".to_owned(), test.base));
    plan.effects = vec![given::effect("doomed")];
    (plan, reads)
}

pub(crate) async fn everything_of_a_plan_or_nothing(test: &TestLedger) {
    let taken = given::payment(given::user(), test.base);
    test.given([Record::Payment(taken.clone())]).await;
    let before = (test.rows().await, test.audit().await);
    let (plan, reads) = doomed(test, &taken);
    assert!(test.write(Reads::none(), plan.clone()).await.is_err(), "an order exists twice");
    assert!(test.write(reads.clone(), plan.clone()).await.is_err(), "an order exists twice");
    assert_eq!((test.rows().await, test.audit().await), before, "half of a plan was written");
    assert_eq!(test.look(reads.clone()).await, sessile_core::ledger::Books::default());
    assert_eq!(test.ledger.effects(EffectState::Pending, 10).await.must("effects"), []);
    // Without the last row everything of it is there.
    let mut whole = plan;
    whole.writes.pop();
    test.write(reads.clone(), whole).await.must("the plan without its fault");
    let books = test.look(reads.clone()).await;
    assert!(books.was_seen(&reads.inbox[0]) && books.is_taken(reads.prepares[0]));
    assert!(books.bound(reads.attempts[0]).is_some() && books.tier(&reads.users[0]).is_some());
    assert_eq!(books.records().count(), 2);
    assert_eq!(test.ledger.effects(EffectState::Pending, 10).await.must("effects").len(), 1);
    test.audit_holds().await.must("the audit");
}

pub(crate) async fn neighbours_survive_a_failing_one(test: &TestLedger) {
    let taken = given::payment(given::user(), test.base);
    test.given([Record::Payment(taken.clone())]).await;
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let mut payment = given::payment(given::user(), test.base);
            let id = payment.id.clone();
            let mut plan = noted("many");
            match n % 6 {
                // What only the database sees, and what the rows in memory show already.
                0 => payment.order = taken.order.clone(),
                1 => payment.version = 7,
                _ => {}
            }
            plan.create(Record::Payment(payment));
            let (ledger, base) = (test.ledger.clone(), test.base);
            tokio::spawn(async move {
                (n % 6 > 1, id, ledger.transact(Work::new(Reads::none(), base, move |_| plan.clone())).await)
            })
        })
        .collect();
    for task in tasks {
        let (good, id, answer) = task.await.must("a task");
        assert_eq!(answer.is_ok(), good, "{answer:?}");
        let books = test.look(Reads::none().payment(PaymentKey::Id(id.clone()))).await;
        assert_eq!(books.payment(&id).is_some(), good);
    }
    assert_eq!(test.audit().await.len(), 41);
    test.audit_holds().await.must("the audit");
}

pub(crate) async fn the_same_message_is_recorded_once(test: &TestLedger) {
    let inbound = Inbound { provider: "click", digest: format!("digest-{}", given::number()) };
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let (ledger, base, inbound) = (test.ledger.clone(), test.base, inbound.clone());
            // Half of them look first, as a service does.
            let inbox = if n % 2 == 0 { vec![inbound.clone()] } else { Vec::new() };
            let work = Work::new(Reads { inbox, ..Reads::none() }, base, move |_| Plan {
                inbound: Some((inbound.clone(), "applied".to_owned(), base)),
                ..Plan::nothing()
            });
            tokio::spawn(async move { ledger.transact(work).await })
        })
        .collect();
    for task in tasks {
        task.await.must("a task").must("a message");
    }
    let reads = Reads { inbox: vec![inbound.clone()], ..Reads::none() };
    assert!(test.look(reads).await.was_seen(&inbound));
    let digest = &inbound.digest;
    let recorded = test.sql(&format!("delete from provider_inbox where dedupe_key = '{digest}'")).await;
    assert_eq!(recorded, 1);
}

pub(crate) async fn a_number_is_bound_once(test: &TestLedger) {
    let (one, other) = (given::payment(given::user(), test.base), given::payment(given::user(), test.base));
    test.given([Record::Payment(one.clone()), Record::Payment(other.clone())]).await;
    let attempt = given::attempt();
    let bind = |payment: &sessile_core::payment::Payment, attempt| {
        let mut plan = Plan::nothing();
        plan.writes.push(Write::Bind { payment: payment.id.clone(), attempt });
        plan
    };
    test.write(Reads::none(), bind(&one, attempt)).await.must("the first");
    assert!(test.write(Reads::none(), bind(&other, attempt)).await.is_err(), "one attempt, two payments");
    let mut same_number = given::attempt();
    same_number.prepare = attempt.prepare;
    assert!(test.write(Reads::none(), bind(&other, same_number)).await.is_err(), "one number, two attempts");
    let reads = Reads { attempts: vec![attempt.trans, same_number.trans], ..Reads::none() };
    let books = test.look(reads).await;
    assert_eq!((books.bound(attempt.trans), books.bound(same_number.trans)), (Some(&one.id), None));
}

/// A payment is made for a key, unless the key has one: what a service does.
async fn buy(ledger: &dyn LedgerStore, test: &TestLedger, wanted: &sessile_core::payment::Payment) -> bool {
    let wanted = wanted.clone();
    let reads = Reads::none().payment(PaymentKey::Idempotency(wanted.idempotency_key.clone()));
    let decide =
        move |books: &sessile_core::ledger::Books| match books.payment_by_key(&wanted.idempotency_key) {
            Some(_) => Decision::only(()),
            None => {
                let mut plan = noted("payment.created");
                plan.create(Record::Payment(wanted.clone()));
                plan.effects
                    .push(NewEffect { id: format!("evt_{}", wanted.id.as_str()), ..given::effect("bought") });
                Decision::write(plan, ())
            }
        };
    transact(ledger, reads, test.base, decide).await.is_ok()
}

pub(crate) async fn a_lost_reply_is_safe_to_repeat(test: &TestLedger) {
    let mut bought = 0;
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        for call in 1..CALLS_MAX {
            let faulty = Arc::new(FaultyLedger::new(test.ledger.clone(), Fault { call, moment }));
            let wanted = given::payment(given::user(), test.base);
            bought += 1;
            let answers = [buy(&*faulty, test, &wanted).await, buy(&*faulty, test, &wanted).await];
            assert!(answers.contains(&true), "{moment:?}: one fault, two failures");
            if !answers.iter().all(|answer| *answer) {
                assert!(faulty.has_fired() && buy(&*faulty, test, &wanted).await);
            }
            if faulty.calls() < call {
                break;
            }
        }
    }
    let payments = test.rows_of(Kind::Payment, &PaymentFilter::default()).await;
    let effects = test.ledger.effects(EffectState::Pending, 100).await.must("effects");
    assert_eq!((payments.len(), effects.len(), test.audit().await.len()), (bought, bought, bought));
    assert!(bought > 4, "no fault ever fired");
    test.audit_holds().await.must("the audit");
}

/// A coupon's use, an open payment that makes room for another, and a checkout that hands its place on: the writes
/// of one plan must not stumble over each other.
pub(crate) async fn one_plan_may_hand_a_place_over(test: &TestLedger) {
    let owner = Owner::user(given::user());
    let coupon = given::coupon(Some(1), test.base);
    let mut old = given::checkout(owner.clone(), test.base);
    old.coupon = Some(CouponHold { coupon: coupon.id.clone(), state: HoldState::Reserved });
    let mut pending = given::payment(given::user(), test.base);
    pending.checkout = Some(old.id.clone());
    test.given([Record::Coupon(coupon.clone()), Record::Checkout(old.clone())]).await;
    test.given([Record::Payment(pending.clone())]).await;

    let mut gone = given::moved_to_failed(&pending, test.base);
    gone.idempotency_key = format!("done:{}", gone.id.as_str());
    let mut instead = given::payment(pending.user.clone(), test.base);
    instead.checkout.clone_from(&pending.checkout);
    instead.idempotency_key.clone_from(&pending.idempotency_key);
    let mut plan = noted("handed over");
    // The new one first: an engine orders what it writes.
    plan.create(Record::Payment(instead.clone()));
    plan.update(Record::Payment(gone));
    plan.update(Record::Coupon(coupon.reserve()));
    plan.update(Record::Coupon(coupon.reserve().consume(HoldState::Reserved)));
    let reads = Reads::none().checkout(CheckoutKey::Id(old.id.clone()));
    test.write(reads.clone(), plan).await.must("the plan");
    let books = test.look(reads).await;
    let open: Vec<_> = books.payments_of(&old.id).filter(|payment| payment.state.is_open()).collect();
    assert_eq!(open, [&instead]);
    let spent = books.coupon(&coupon.id).must("the coupon");
    assert_eq!((spent.used, spent.reserved, spent.version), (1, 0, 3), "a row may change twice in one plan");
    assert_eq!(books.checkout(&old.id).map(|row| &row.state), Some(&CheckoutState::Active));
    test.audit_holds().await.must("the audit");
}
