//! Many at once: each decides on what the one before has left.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::{TestLedger, noted};
use sessile_core::StoreError;
use sessile_core::checkout::Owner;
use sessile_core::ledger::{Books, CheckoutKey, Decision, LedgerStore, PaymentKey, Reads, Record, transact};
use sessile_core::payment::{Coupon, HoldState, Payment};
use std::sync::Arc;

pub(crate) async fn a_coupon_is_never_used_more_often_than_it_may_be(test: &TestLedger) {
    const BUYERS: usize = 50;
    const MAX: i64 = 7;
    let coupon = given::coupon(Some(MAX), test.base);
    test.given([Record::Coupon(coupon.clone())]).await;
    let other = (test.backstage.reopen)().await;
    let tasks: Vec<_> = (0..BUYERS)
        .map(|n| {
            let ledger = if n % 2 == 0 { test.ledger.clone() } else { other.clone() };
            let (base, code) = (test.base, coupon.code.clone());
            let payment = given::payment(given::user(), base);
            let decide =
                move |books: &Books| match books.coupon_by_code(&code).filter(|c| c.is_available(base)) {
                    None => Decision::only(false),
                    Some(coupon) => {
                        let mut plan = noted("payment.created");
                        let mut payment = payment.clone();
                        payment.coupon = Some(given::hold(coupon, HoldState::Reserved));
                        plan.create(Record::Payment(payment));
                        plan.update(Record::Coupon(coupon.reserve()));
                        Decision::write(plan, true)
                    }
                };
            let reads = Reads::none().code(Some(coupon.code.clone()));
            tokio::spawn(async move { transact(&*ledger, reads, base, decide).await })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += i64::from(task.await.must("a task").must("an answer"));
    }
    let books = test.look(Reads { coupons: vec![coupon.id.clone()], ..Reads::none() }).await;
    let left: &Coupon = books.coupon(&coupon.id).must("the coupon");
    assert_eq!((granted, left.reserved, left.version), (MAX, MAX, MAX + 1));
    test.audit_holds().await.must("the audit");
}

/// Reads the payment that everybody changes, changes it, and makes one of its own.
async fn change(ledger: Arc<dyn LedgerStore>, shared: Payment, own: Payment) -> Result<i64, StoreError> {
    let reads = Reads::none().payment(PaymentKey::Id(shared.id.clone()));
    let now = own.created_at;
    let decide = move |books: &Books| {
        let Some(current) = books.payment(&shared.id) else { return Decision::only(0) };
        let next = current.moved(current.state.clone(), now);
        let mut plan = noted("changed");
        plan.update(Record::Payment(next.clone()));
        plan.create(Record::Payment(own.clone()));
        Decision::write(plan, next.version)
    };
    transact(&*ledger, reads, now, decide).await
}

async fn change_through(test: &TestLedger, ledgers: &[Arc<dyn LedgerStore>], times: usize) {
    let shared = given::payment(given::user(), test.base);
    test.given([Record::Payment(shared.clone())]).await;
    let tasks: Vec<_> = (0..times)
        .map(|n| {
            let ledger = ledgers[n % ledgers.len()].clone();
            tokio::spawn(change(ledger, shared.clone(), given::payment(given::user(), test.base)))
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.push(task.await.must("a task").must("a change"));
    }
    versions.sort_unstable();
    let expected: Vec<i64> = (2..).take(times).collect();
    assert_eq!(versions, expected, "each saw what the one before left");
    assert_eq!(test.audit().await.len(), times + 1);
    test.audit_holds().await.must("the audit");
}

pub(crate) async fn many_transactions_leave_one_chain(test: &TestLedger) {
    change_through(test, std::slice::from_ref(&test.ledger), 64).await;
}

pub(crate) async fn two_instances_leave_one_chain(test: &TestLedger) {
    let other = (test.backstage.reopen)().await;
    change_through(test, &[test.ledger.clone(), other], 64).await;
}

pub(crate) async fn one_of_many_opens_a_payment(test: &TestLedger) {
    let checkout = given::checkout(Owner::user(given::user()), test.base);
    test.given([Record::Checkout(checkout.clone())]).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (ledger, base, id) = (test.ledger.clone(), test.base, checkout.id.clone());
            let mut payment = given::payment(given::user(), base);
            payment.checkout = Some(id.clone());
            let decide = move |books: &Books| {
                if books.payments_of(&id).any(|payment| payment.state.is_open()) {
                    return Decision::only(false);
                }
                let mut plan = noted("payment.created");
                plan.create(Record::Payment(payment.clone()));
                Decision::write(plan, true)
            };
            let reads = Reads::none().checkout(CheckoutKey::Id(checkout.id.clone()));
            tokio::spawn(async move { transact(&*ledger, reads, base, decide).await })
        })
        .collect();
    let mut opened = 0;
    for task in tasks {
        opened += usize::from(task.await.must("a task").must("an answer"));
    }
    assert_eq!(opened, 1);
    // The database itself refuses a second one of somebody who does not look.
    let mut second = given::payment(given::user(), test.base);
    second.checkout = Some(checkout.id.clone());
    let mut plan = noted("unseen");
    plan.create(Record::Payment(second));
    assert!(test.write(Reads::none(), plan).await.is_err(), "two open payments for one checkout");
}
