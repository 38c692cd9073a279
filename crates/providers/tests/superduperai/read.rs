//! Looking at a file, and looking for one after a lost answer.

use crate::generate::client;
use crate::stub::{Says, Stub, json, nowhere};
use sessile_providers::superduperai::{FILES_SEARCHED_MAX, ReadError, Verdict};

const DONE: &str = r#"{"id":"f-1","url":"https://cdn.example/v.mp4","new":[1.0]}"#;

fn page(total: Option<u64>, seeds: std::ops::Range<u64>) -> Says {
    let items: Vec<String> =
        seeds.map(|seed| format!(r#"{{"id":"f-{seed}","video_generation":{{"seed":{seed}}}}}"#)).collect();
    let total = total.map_or("null".to_owned(), |total| total.to_string());
    json(200, &format!(r#"{{"items":[{}],"total":{total},"limit":20,"offset":0}}"#, items.join(",")))
}

#[tokio::test]
async fn a_file_is_read_and_passed_on_as_it_came() {
    let stub = Stub::saying([json(200, DONE)]);
    let file = client(&stub.base).file("f-1").await.unwrap();
    assert_eq!(file.verdict(), Verdict::Done { url: "https://cdn.example/v.mp4".to_owned() });
    assert_eq!(file.raw().get(), DONE);
    assert_eq!(stub.lines(), ["GET /api/v1/file/f-1"]);
    assert_eq!(stub.asked()[0].header("authorization"), Some("Bearer tok-hush"));
}

#[tokio::test]
async fn a_reading_that_fails_keeps_the_status() {
    for (says, status) in [
        (json(404, ""), Some(404)),
        (json(401, ""), Some(401)),
        (json(502, ""), Some(502)),
        (json(429, ""), Some(429)),
        (json(302, ""), Some(302)),
        (json(200, "{}"), None),
        (json(200, r#"{"id":"another"}"#), None),
        (Says::HangUp, None),
        (Says::Silence, None),
    ] {
        let stub = Stub::saying([says]);
        let error = client(&stub.base).file("f-1").await.unwrap_err();
        assert_eq!(error.http_status(), status, "{error:?}");
        assert_eq!(stub.lines().len(), 1);
    }
    assert!(matches!(client(&nowhere()).file("f-1").await, Err(ReadError::Unavailable(_))));
}

#[tokio::test]
async fn an_id_that_leads_elsewhere_is_not_sent() {
    let stub = Stub::saying([json(200, DONE)]);
    for id in ["", "..", "../user", "a/b", "a?b=c", "a b", "%2e%2e"] {
        assert!(matches!(client(&stub.base).file(id).await, Err(ReadError::InvalidId)), "{id}");
        assert!(matches!(client(&stub.base).events(id).await, Err(ReadError::InvalidId)), "{id}");
    }
    assert!(stub.lines().is_empty());
}

#[tokio::test]
async fn a_request_is_found_by_its_seed() {
    let stub = Stub::saying([page(Some(45), 0..20), page(Some(45), 20..40), page(Some(45), 40..45)]);
    let file = client(&stub.base).find(33).await.unwrap().unwrap();
    assert_eq!(file.id, "f-33");
    assert_eq!(
        stub.lines(),
        [
            "GET /api/v1/file?types=video&order_by=created_at&order=descendent&limit=20&offset=0",
            "GET /api/v1/file?types=video&order_by=created_at&order=descendent&limit=20&offset=20",
        ]
    );
}

#[tokio::test]
async fn absent_is_absent_only_after_the_last_page() {
    let stub = Stub::saying([page(Some(25), 0..20), page(Some(25), 20..25)]);
    assert!(client(&stub.base).find(99).await.unwrap().is_none());
    assert_eq!(stub.lines().len(), 2);
    // A page shorter than asked for is the last one only where no total says otherwise.
    let stub = Stub::saying([page(Some(15), 0..10), page(Some(15), 10..15)]);
    assert_eq!(client(&stub.base).find(12).await.unwrap().unwrap().id, "f-12");
    let stub = Stub::saying([page(None, 0..20), page(None, 20..21)]);
    assert!(client(&stub.base).find(99).await.unwrap().is_none());
    let stub = Stub::saying([page(None, 0..0)]);
    assert!(client(&stub.base).find(99).await.unwrap().is_none());
}

#[tokio::test]
async fn a_search_that_saw_too_little_says_so() {
    let stub = Stub::saying([page(Some(1_000_000), 0..20)]);
    let error = client(&stub.base).find(99).await.unwrap_err();
    assert!(matches!(error, ReadError::Inconclusive { searched: FILES_SEARCHED_MAX }), "{error:?}");
    assert_eq!(stub.lines().len(), 250);

    for says in
        [json(500, ""), json(404, ""), json(200, "[]"), json(200, r#"{"items":[{"id":7}],"total":1}"#)]
    {
        let stub = Stub::saying([page(Some(45), 0..20), says]);
        assert!(client(&stub.base).find(99).await.is_err());
        assert_eq!(stub.lines().len(), 2);
    }
}
