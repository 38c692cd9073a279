//! Work is done by one worker at a time, and by somebody in the end.

use crate::contract::Must;
use crate::contract::generation::harness::TestGenerations;
use futures_util::future::join_all;
use sessile_core::StoreError;
use sessile_core::generation::Generation;
use std::collections::BTreeSet;

pub(crate) async fn a_due_job_is_held_by_one_of_many(test: &TestGenerations) {
    let mut paid = BTreeSet::new();
    for _ in 0..12 {
        paid.insert(test.paid().await.key());
    }
    let mut held = Vec::new();
    // A worker that lost a race may come back with less than there is: it comes again.
    for _ in 0..20 {
        let claims = (0..8).map(|_| test.store.claim(test.after(1), test.after(60), 4));
        held.extend(join_all(claims).await.into_iter().flat_map(|claim| claim.must("claim")));
        if held.len() >= paid.len() {
            break;
        }
    }
    let keys: BTreeSet<_> = held.iter().map(Generation::key).collect();
    assert_eq!((held.len(), &keys), (12, &paid));
    assert!(held.iter().all(|job| job.own().fence == 1 && job.own().lease_until == Some(test.after(60))));
}

pub(crate) async fn a_lease_that_ran_out_is_taken_over_and_fenced(test: &TestGenerations) {
    test.paid().await;
    let first = test.store.claim(test.after(1), test.after(10), 1).await.must("claim");
    let first = first.into_iter().next().must("the job");
    assert!(test.store.claim(test.after(9), test.after(20), 1).await.must("claim").is_empty());
    let second = test.store.claim(test.after(10), test.after(20), 1).await.must("claim");
    let second = second.into_iter().next().must("the job, taken over");
    assert_eq!(second.own().fence, first.own().fence + 1);
    let late = test.store.commit(&first.next_revision(test.after(11)), test.after(11)).await;
    assert!(
        matches!(late, Err(StoreError::Conflict)),
        "a worker that slept through its lease wrote: {late:?}"
    );
    test.store.commit(&second.next_revision(test.after(11)), test.after(11)).await.must("commit");
}

pub(crate) async fn what_is_not_due_is_not_claimed(test: &TestGenerations) {
    test.bound(&test.given("nobody has paid").await).await;
    let paid = test.paid().await;
    let mut later = paid.next_revision(test.base);
    later.own_mut().files.iter_mut().for_each(|video| video.next_at = Some(test.after(30)));
    test.store.commit(&later, test.base).await.must("commit");
    assert!(test.store.claim(test.after(29), test.after(60), 9).await.must("claim").is_empty());
    assert_eq!(test.store.claim(test.after(30), test.after(60), 9).await.must("claim").len(), 1);
}

pub(crate) async fn work_that_no_index_knows_is_found(test: &TestGenerations) {
    let Some(lose) = &test.lose_hints else { return };
    let paid = test.paid().await;
    lose().await;
    assert!(test.store.claim(test.after(1), test.after(60), 9).await.must("claim").is_empty());
    // A bounded step at a time: a whole way round is many.
    for _ in 0..1000 {
        test.store.tidy(test.after(1), 100).await.must("tidy");
        let held = test.store.claim(test.after(1), test.after(60), 9).await.must("claim");
        if let Some(job) = held.first() {
            assert_eq!(job.key(), paid.key());
            return;
        }
    }
    panic!("the work was not found");
}
