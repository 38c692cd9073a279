//! What is stored stays as it is, and changes only in order.

use crate::contract::Must;
use crate::contract::generation::harness::{TestGenerations, stripe_id};
use futures_util::future::join_all;
use sessile_core::StoreError;
use sessile_core::generation::{GENERATION_LIFETIME, GenerationKey, Status};
use std::time::Duration;

pub(crate) async fn what_was_created_is_there_byte_for_byte(test: &TestGenerations) {
    let large = "ж".repeat(512 * 1024);
    for prompt in ["a cat", "🐈‍⬛ \u{202e}שלום\u{202c} \"quoted\" \\ \u{7f}\n\t", "\"revision\":99}", &large]
    {
        let job = test.given(prompt).await;
        let there = test.found(&job.key(), test.base).await.must("the job");
        assert!(there.prompt == prompt, "{} bytes are not the same", prompt.len());
        assert!(there == job, "more than the prompt differs");
        let bound = test.bound(&job).await;
        let there = test.found(&bound.key(), test.base).await.must("the bound job");
        assert!(there.prompt == prompt && there == bound);
    }
}

pub(crate) async fn create_refuses_a_taken_name(test: &TestGenerations) {
    let job = test.given("first").await;
    let mut again = job.clone();
    again.prompt = "second".to_owned();
    assert!(matches!(test.store.create(&again, test.base).await, Err(StoreError::Taken)));
    test.bound(&job).await;
    assert!(matches!(test.store.create(&again, test.base).await, Err(StoreError::Taken)));
    assert_eq!(test.found(&job.key(), test.base).await.must("the job").prompt, "first");
}

pub(crate) async fn commit_needs_the_revision_before(test: &TestGenerations) {
    let bound = test.bound(&test.given("prompt").await).await;
    let mut next = bound.clone().next_revision(test.after(1));
    next.note("first", test.after(1));
    test.store.commit(&next, test.after(1)).await.must("commit");
    let mut stale = bound.next_revision(test.after(2));
    stale.note("second", test.after(2));
    let refused = test.store.commit(&stale, test.after(2)).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert!(test.found(&next.key(), test.after(2)).await.must("the job") == next);
}

pub(crate) async fn commit_never_inserts(test: &TestGenerations) {
    let job = test.given("prompt").await;
    let nowhere = job.bound_to(&stripe_id(), test.base);
    let refused = test.store.commit(&nowhere, test.base).await;
    assert!(matches!(refused, Err(StoreError::Gone)), "{refused:?}");
    assert!(test.found(&nowhere.key(), test.base).await.is_none());
}

pub(crate) async fn many_writers_lose_no_change(test: &TestGenerations) {
    let bound = test.bound(&test.given("prompt").await).await;
    let writers = (0..20).map(|n| {
        let key = bound.key();
        async move {
            loop {
                let mut job = test.found(&key, test.base).await.must("the job");
                job.note(format!("writer {n}"), test.base);
                match test.store.commit(&job.next_revision(test.base), test.base).await {
                    Ok(()) => return,
                    Err(StoreError::Conflict) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
    join_all(writers).await;
    let there = test.found(&bound.key(), test.base).await.must("the job");
    let lines = there.own().timeline.iter().filter(|entry| entry.what.starts_with("writer")).count();
    assert_eq!((lines, there.own().revision), (20, bound.own().revision + 20));
}

pub(crate) async fn thirty_days_after_the_last_change_it_is_gone(test: &TestGenerations) {
    let bound = test.bound(&test.given("prompt").await).await;
    let day = Duration::from_secs(24 * 60 * 60);
    let (key, later) = (bound.key(), test.base.plus(day));
    test.store.commit(&bound.next_revision(later), later).await.must("commit");
    let ends = later.plus(GENERATION_LIFETIME);
    assert!(test.found(&key, ends.minus(Duration::from_millis(1))).await.is_some());
    assert!(test.found(&key, ends).await.is_none());
}

pub(crate) async fn values_of_the_older_application_are_read(test: &TestGenerations) {
    let Some(plant) = &test.plant else { return };
    let made = test.base.minus(Duration::from_secs(24 * 60 * 60)).to_iso8601();
    let old = r#"{"prompt":"old \"one\"","videoCount":1,"duration":8,"resolution":"1280x720","style":"cinematic","toolSlug":"veo3-prompt-generator","toolTitle":"Free VEO3 Viral Prompt Generator","createdAt":"MADE","status":"processing","fileId":"file_7","theirs":{"kept":true}}"#;
    let id = stripe_id();
    plant(id.as_str().to_owned(), old.replace("MADE", &made)).await;
    let key = GenerationKey::Stripe(id);
    let job = test.found(&key, test.base).await.must("the old job");
    assert_eq!((job.prompt.as_str(), job.status), ("old \"one\"", Status::Processing));
    assert_eq!(job.own().files.first().and_then(|video| video.file_id.as_deref()), Some("file_7"));
    let mut next = job.next_revision(test.base);
    next.note("seen", test.base);
    test.store.commit(&next, test.base).await.must("commit");
    let there = test.found(&key, test.base).await.must("the job");
    assert!(there.other.contains_key("theirs"), "what nobody knows is kept");
}

pub(crate) async fn a_value_that_cannot_be_read_is_kept(test: &TestGenerations) {
    let Some(plant) = &test.plant else { return };
    for damage in ["null", "{}", r#"{"prompt":7}"#] {
        let id = stripe_id();
        plant(id.as_str().to_owned(), damage.to_owned()).await;
        let key = GenerationKey::Stripe(id);
        for _ in 0..2 {
            let read = test.store.load(&key, test.base).await;
            assert!(matches!(read, Err(StoreError::Undecodable { .. })), "{damage}: {read:?}");
        }
    }
}

pub(crate) async fn recent_lists_by_status(test: &TestGenerations) {
    let open = test.bound(&test.given("open").await).await;
    let paid = test.paid().await;
    let all = test.store.recent(None, 10).await.must("recent");
    assert_eq!(all.len(), 2);
    let processing = test.store.recent(Some("processing"), 10).await.must("recent");
    assert_eq!(processing.iter().map(|job| job.key()).collect::<Vec<_>>(), [paid.key()]);
    let pending = test.store.recent(Some("pending"), 10).await.must("recent");
    assert_eq!(pending.iter().map(|job| job.key()).collect::<Vec<_>>(), [open.key()]);
    assert_eq!(test.store.recent(None, 1).await.must("recent").len(), 1);
}
