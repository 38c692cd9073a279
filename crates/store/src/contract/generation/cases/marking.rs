//! Jobs are found by more than their names, and counted.

use crate::contract::Must;
use crate::contract::generation::harness::TestGenerations;
use futures_util::future::join_all;
use sessile_core::checkout::{GuestHash, Owner};
use sessile_core::generation::{Generation, KeptEvent, Mark, Refund, Status};
use sessile_core::login::UserId;
use std::time::Duration;

/// More jobs than any look at the newest ones would find.
const MANY: usize = 600;

async fn paid_with(test: &TestGenerations, payment: &str) -> Generation {
    let mut job = test.bound(&test.given("paid").await).await;
    job.own_mut().payment_intent = Some(payment.to_owned());
    let job = job.next_revision(test.base);
    test.store.commit(&job, test.base).await.must("commit");
    job
}

async fn by(test: &TestGenerations, mark: &Mark) -> Vec<Generation> {
    test.store.marked(mark, test.base, 10).await.must("marked")
}

pub(crate) async fn a_payment_is_found_among_many(test: &TestGenerations) {
    let oldest = paid_with(test, "pi_oldest").await;
    join_all((0..MANY).map(|_| test.given("later"))).await;
    let other = paid_with(test, "pi_other").await;
    let payment = |name: &str| Mark::Payment(name.to_owned());
    assert!(by(test, &payment("pi_oldest")).await == [oldest]);
    assert!(by(test, &payment("pi_other")).await == [other]);
    assert!(by(test, &payment("pi_nobody")).await.is_empty());
}

pub(crate) async fn a_guest_is_found_until_somebody_signs_in(test: &TestGenerations) {
    let hash = |name: &str| GuestHash::parse(name).must("a hash");
    let first = test.given_to("first", Owner::guest(hash("ada"))).await;
    let second = test.bound(&test.given_to("second", Owner::guest(hash("ada"))).await).await;
    test.given_to("another's", Owner::guest(hash("bob"))).await;
    let mut found = by(test, &Mark::Guest(hash("ada"))).await;
    found.sort_by(|a, b| a.prompt.cmp(&b.prompt));
    assert!(found == [first.clone(), second]);
    let mut adopted = test.bound(&first).await;
    adopted.own_mut().owner.user = UserId::parse("user");
    test.store.commit(&adopted.next_revision(test.base), test.base).await.must("commit");
    let left = by(test, &Mark::Guest(hash("ada"))).await;
    assert_eq!(left.iter().map(|job| job.prompt.as_str()).collect::<Vec<_>>(), ["second"]);
}

pub(crate) async fn marks_that_no_index_knows_are_found(test: &TestGenerations) {
    let Some(lose) = &test.lose_hints else { return };
    let guest = GuestHash::parse("guest").must("a hash");
    let job = test.given_to("a guest's", Owner::guest(guest.clone())).await;
    let mut job = test.bound(&job).await;
    job.own_mut().payment_intent = Some("pi_lost".to_owned());
    let job = job.next_revision(test.base);
    test.store.commit(&job, test.base).await.must("commit");
    lose().await;
    let marks = [Mark::Guest(guest), Mark::Payment("pi_lost".to_owned())];
    for mark in &marks {
        assert!(by(test, mark).await.is_empty(), "{mark:?} is still there");
    }
    go_round(test).await;
    for mark in &marks {
        assert!(by(test, mark).await == [job.clone()], "{mark:?}");
    }
}

/// A bounded step at a time: a whole way round is many.
async fn go_round(test: &TestGenerations) {
    while test.store.tidy(test.base, 100).await.must("tidy").more {}
}

pub(crate) async fn what_there_is_is_counted(test: &TestGenerations) {
    test.given("unpaid").await;
    test.paid().await;
    let mut failed = test.bound(&test.given("failed").await).await;
    failed.status = Status::Error;
    failed.own_mut().refund = Refund::Due;
    test.store.commit(&failed.next_revision(test.base), test.base).await.must("commit");
    let message = |id: &str, received_at| KeptEvent {
        id: id.to_owned(),
        kind: "charge.refunded".to_owned(),
        key: None,
        body: "{}".to_owned(),
        received_at,
        attempts: 0,
        next_at: test.base,
    };
    let earlier = test.base.minus(Duration::from_secs(60));
    for (id, at) in [("evt_new", test.base), ("evt_old", earlier), ("evt_done", earlier)] {
        test.store.keep(&message(id, at)).await.must("keep");
    }
    test.store.applied("evt_done", test.base).await.must("applied");
    go_round(test).await;
    let tally = test.store.tally(test.after(5)).await.must("tally");
    let mut jobs = tally.jobs.clone();
    jobs.sort_by_key(|(status, _)| status.name());
    assert_eq!(jobs, [(Status::Error, 1), (Status::Pending, 1), (Status::Processing, 1)]);
    assert_eq!((tally.refunds_due, tally.refunds_ordered), (1, 0));
    assert_eq!((tally.waiting, tally.waiting_since), (2, Some(earlier)));
    assert_eq!(tally.work_since, Some(test.base));
}
