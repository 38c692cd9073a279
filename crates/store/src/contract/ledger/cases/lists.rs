//! What operators see: pages and counts.

use crate::contract::harness::Must;
use crate::contract::ledger::given;
use crate::contract::ledger::harness::TestLedger;
use sessile_core::checkout::{Checkout, CheckoutState, Owner};
use sessile_core::ledger::{Cursor, Kind, PAGE_MAX, PaymentFilter, Plan, Reads, Record, RecordKey};
use sessile_core::login::UserId;
use sessile_core::payment::{Payment, RefundState};
use std::collections::BTreeSet;

async fn walk(test: &TestLedger, kind: Kind, filter: &PaymentFilter, limit: usize) -> Vec<Vec<RecordKey>> {
    let mut pages = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = test.ledger.page(kind, filter, after.as_ref(), limit).await.must("page");
        assert_eq!(page.contradicting, [], "what we wrote agrees with itself");
        pages.push(page.rows.iter().map(Record::key).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

fn payments(test: &TestLedger, many: u64, user: &UserId) -> Vec<Payment> {
    // Three share each moment.
    (0..many).map(|n| given::payment(user.clone(), test.before(n / 3))).collect()
}

pub(crate) async fn pages_show_every_row_once(test: &TestLedger) {
    let rows = payments(test, 40, &given::user());
    test.given(rows.iter().cloned().map(Record::Payment)).await;
    let mut expected = rows;
    expected.sort_by(|a, b| (b.created_at, b.id.as_str()).cmp(&(a.created_at, a.id.as_str())));
    let expected: Vec<RecordKey> = expected.into_iter().map(|row| RecordKey::Payment(row.id)).collect();
    for limit in [1, 7, 40, 41] {
        let pages = walk(test, Kind::Payment, &PaymentFilter::default(), limit).await;
        assert!(pages.iter().all(|page| page.len() <= limit && !page.is_empty()), "{limit}");
        assert_eq!(pages.len(), 40_usize.div_ceil(limit), "{limit}");
        assert_eq!(pages.concat(), expected, "{limit}");
    }
}

pub(crate) async fn pages_are_limited_and_stay_in_place(test: &TestLedger) {
    let user = given::user();
    test.given(payments(test, PAGE_MAX as u64 + 20, &user).into_iter().map(Record::Payment)).await;
    let filter = PaymentFilter::default();
    let first = test.ledger.page(Kind::Payment, &filter, None, 10_000).await.must("page");
    assert_eq!(first.rows.len(), PAGE_MAX);
    // What comes meanwhile is newer and belongs before the first page.
    test.given([Record::Payment(given::payment(user, test.after(1)))]).await;
    let second = test.ledger.page(Kind::Payment, &filter, first.next.as_ref(), PAGE_MAX).await.must("page");
    assert_eq!((second.rows.len(), second.next), (20, None));
    let seen: BTreeSet<RecordKey> = first.rows.iter().chain(&second.rows).map(Record::key).collect();
    assert_eq!(seen.len(), PAGE_MAX + 20);
}

pub(crate) async fn pages_of_every_kind_are_filtered(test: &TestLedger) {
    let (ada, bob) = (given::user(), given::user());
    let mut rows = Vec::new();
    for user in [&ada, &bob] {
        let checkout = given::checkout(Owner::user(user.clone()), test.base);
        let state = CheckoutState::Expired { at: test.base };
        rows.push(Record::Checkout(Checkout {
            state,
            ..given::checkout(Owner::user(user.clone()), test.base)
        }));
        rows.push(Record::Checkout(checkout));
        let payment = given::paid(given::payment(user.clone(), test.base), test.base);
        rows.push(Record::Grant(given::grant(&payment, test.base)));
        rows.push(Record::Refund(given::refund(&payment, RefundState::Requested, test.base)));
        rows.push(Record::Payment(payment));
        rows.push(Record::Payment(given::payment(user.clone(), test.base)));
        rows.push(Record::Coupon(given::coupon(None, test.base)));
    }
    test.given(rows).await;
    let count = async |kind, status: Option<&str>, user: Option<&UserId>| {
        let filter = PaymentFilter { status: status.map(str::to_owned), user: user.cloned() };
        test.rows_of(kind, &filter).await.len()
    };
    for (kind, all, of_ada, status, with_status, both) in [
        (Kind::Checkout, 4, 2, "expired", 2, 1),
        (Kind::Payment, 4, 2, "completed", 2, 1),
        (Kind::Refund, 2, 1, "requested", 2, 1),
    ] {
        assert_eq!(count(kind, None, None).await, all, "{kind:?}");
        assert_eq!(count(kind, None, Some(&ada)).await, of_ada, "{kind:?} of a user");
        assert_eq!(count(kind, Some(status), None).await, with_status, "{kind:?} in a state");
        assert_eq!(count(kind, Some(status), Some(&ada)).await, both, "{kind:?} of a user in a state");
        assert_eq!(count(kind, Some("nonsense"), None).await, 0, "{kind:?}");
    }
    assert_eq!((count(Kind::Grant, None, None).await, count(Kind::Grant, None, Some(&bob)).await), (2, 1));
    assert_eq!(count(Kind::Coupon, None, None).await, 2);
}

pub(crate) async fn the_census_counts_what_there_is(test: &TestLedger) {
    let payment = |seconds| given::payment(given::user(), test.before(seconds));
    let checkout = given::checkout(Owner::user(given::user()), test.base);
    let paid = given::paid(payment(0), test.base);
    test.given([
        Record::Checkout(checkout.clone()),
        Record::Checkout(Checkout {
            state: CheckoutState::Completed { at: test.base, payment: None },
            ..given::checkout(Owner::default(), test.base)
        }),
        Record::Payment(Payment { expires_at: test.before(1), ..payment(9_000) }),
        Record::Payment(Payment { email: String::new(), ..payment(0) }),
        Record::Payment(given::processing(payment(9_000), test.before(3_601))),
        Record::Payment(given::processing(payment(9_000), test.before(3_599))),
        Record::Refund(given::refund(&paid, RefundState::NeedsManual, test.base)),
        Record::Refund(given::refund(&paid, RefundState::Succeeded, test.base)),
        Record::Payment(paid),
    ])
    .await;
    let effects = vec![given::effect("a"), given::effect("b"), given::effect("c")];
    let dead = effects[0].id.clone();
    test.write(Reads::none(), Plan { effects, ..Plan::nothing() }).await.must("effects");
    test.ledger.undone(&dead, sessile_core::ledger::Retry::GiveUp, "gone").await.must("undone");

    let census = test.ledger.census(test.base).await.must("census");
    let count = |kind, status: &str| {
        let of_kind = census.counts.iter().find(|(k, s, _)| (*k, s.as_str()) == (kind, status));
        of_kind.map_or(0, |(_, _, count)| *count)
    };
    let checkouts = ["active", "completed", "expired"].map(|status| count(Kind::Checkout, status));
    let payments =
        ["pending", "processing", "completed", "failed"].map(|status| count(Kind::Payment, status));
    let refunds = ["needs_manual", "succeeded", "requested"].map(|status| count(Kind::Refund, status));
    assert_eq!((checkouts, payments, refunds), ([1, 1, 0], [2, 2, 1, 0], [1, 1, 0]));
    assert_eq!((census.overdue_payments, census.stale_payments, census.without_email), (1, 1, 1));
    assert_eq!((census.manual_refunds, census.effects_pending, census.effects_dead), (1, 2, 1));
}
