//! Messages are kept before they are answered, and applied by somebody in the end.

use crate::contract::Must;
use crate::contract::generation::harness::{TestGenerations, stripe_id};
use futures_util::future::join_all;
use sessile_core::generation::{GenerationKey, Kept, KeptEvent};

fn event(test: &TestGenerations, id: &str) -> KeptEvent {
    KeptEvent {
        id: id.to_owned(),
        kind: "checkout.session.completed".to_owned(),
        key: Some(GenerationKey::Stripe(stripe_id())),
        body: format!("{{\"id\":\"{id}\",\"text\":\"ü\\n\"}}"),
        received_at: test.base,
        attempts: 0,
        next_at: test.base,
    }
}

pub(crate) async fn an_event_is_kept_once(test: &TestGenerations) {
    let kept = event(test, "evt_1");
    let answers = join_all((0..16).map(|_| test.store.keep(&kept))).await;
    let new = answers.into_iter().filter(|answer| matches!(answer, Ok(Kept::New))).count();
    assert_eq!(new, 1);
    let waiting = test.store.waiting(10).await.must("waiting");
    assert_eq!(waiting, [kept]);
}

pub(crate) async fn a_kept_event_is_taken_by_one_of_many(test: &TestGenerations) {
    for n in 0..10 {
        test.store.keep(&event(test, &format!("evt_{n}"))).await.must("keep");
    }
    let takers = (0..8).map(|_| test.store.kept(test.after(1), test.after(30), 3));
    let mut taken: Vec<String> = join_all(takers)
        .await
        .into_iter()
        .flat_map(|taken| taken.must("kept"))
        .map(|event| event.id)
        .collect();
    let more = test.store.kept(test.after(1), test.after(30), 10).await.must("kept");
    taken.extend(more.into_iter().map(|event| event.id));
    taken.sort();
    assert_eq!(taken, (0..10).map(|n| format!("evt_{n}")).collect::<Vec<_>>());
    let again = test.store.kept(test.after(30), test.after(60), 100).await.must("kept");
    assert_eq!(again.len(), 10, "a lease that ran out is taken over");
    assert!(again.iter().all(|event| event.attempts == 2));
}

pub(crate) async fn an_applied_event_is_remembered_and_gone(test: &TestGenerations) {
    let kept = event(test, "evt_1");
    test.store.keep(&kept).await.must("keep");
    test.store.applied(&kept.id, test.after(1)).await.must("applied");
    assert_eq!(test.store.keep(&kept).await.must("keep"), Kept::Known);
    assert!(test.store.kept(test.after(99), test.after(199), 10).await.must("kept").is_empty());
    assert!(test.store.waiting(10).await.must("waiting").is_empty());
    test.store.applied(&kept.id, test.after(2)).await.must("applied again");
    test.store.applied("evt_unknown", test.after(2)).await.must("an unknown one");
}

pub(crate) async fn a_postponed_event_comes_back(test: &TestGenerations) {
    let kept = event(test, "evt_1");
    test.store.keep(&kept).await.must("keep");
    assert_eq!(test.store.kept(test.after(1), test.after(30), 10).await.must("kept").len(), 1);
    test.store.postponed(&kept.id, test.after(5)).await.must("postponed");
    assert!(test.store.kept(test.after(4), test.after(40), 10).await.must("kept").is_empty());
    let back = test.store.kept(test.after(5), test.after(40), 10).await.must("kept");
    assert_eq!(back.first().map(|event| (event.body.clone(), event.attempts)), Some((kept.body, 2)));
}
