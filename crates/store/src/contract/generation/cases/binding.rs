//! From our name to Stripe's.

use crate::contract::Must;
use crate::contract::generation::harness::{TestGenerations, stripe_id};
use futures_util::future::join_all;
use sessile_core::generation::{GenerationId, GenerationKey};
use sessile_core::{OsEntropy, StoreError};

pub(crate) async fn a_bound_job_has_both_names(test: &TestGenerations) {
    let job = test.given("prompt").await;
    let stripe = stripe_id();
    let bound = test.store.bind(&job.own().id, &stripe, test.base).await.must("bind").must("a job");
    assert_eq!(bound.key(), GenerationKey::Stripe(stripe));
    for key in [job.key(), bound.key()] {
        assert!(test.found(&key, test.base).await.must("the job") == bound);
    }
}

pub(crate) async fn binding_again_is_a_success_and_another_name_a_conflict(test: &TestGenerations) {
    let job = test.given("prompt").await;
    let (id, stripe) = (&job.own().id, stripe_id());
    let first = test.store.bind(id, &stripe, test.base).await.must("bind").must("a job");
    let again = test.store.bind(id, &stripe, test.after(5)).await.must("bind again").must("a job");
    assert!(first == again, "binding again changes nothing");
    let other = test.store.bind(id, &stripe_id(), test.base).await;
    assert!(matches!(other, Err(StoreError::Conflict)), "{other:?}");
    let rival = test.given("rival").await;
    let taken = test.store.bind(&rival.own().id, &stripe, test.base).await;
    assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
}

pub(crate) async fn many_binders_make_one_job(test: &TestGenerations) {
    let job = test.given("prompt").await;
    let stripe = stripe_id();
    let binders = (0..16).map(|_| test.store.bind(&job.own().id, &stripe, test.base));
    for bound in join_all(binders).await {
        assert_eq!(bound.must("bind").must("a job").own().revision, job.own().revision + 1);
    }
}

pub(crate) async fn what_nobody_stored_cannot_be_bound(test: &TestGenerations) {
    let id = GenerationId::generate(&OsEntropy).must("an id");
    assert!(test.store.bind(&id, &stripe_id(), test.base).await.must("bind").is_none());
}
