//! The event stream of a file.

use crate::generate::client;
use crate::stub::{Says, Stub, json};
use sessile_providers::superduperai::{ReadError, StreamError};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn progress_comes_and_then_the_file() {
    let stub = Stub::saying([Says::Stream(
        ": ping\r\n\r\ndata: {\"type\":\"render_progress\",\"object\":{\"progress\":40,\"message\":\"Rendering\"}}\r\n\r\n\
         data: not json\n\ndata: {\"type\":\"tomorrow\",\"object\":null}\n\n\
         data: {\"type\":\"file\",\ndata: \"object\":{\"id\":\"f-1\",\"url\":\"https://cdn.example/v.mp4\"}}\n\n: END"
            .to_owned(),
    )]);
    let mut events = client(&stub.base).events("f-1").await.unwrap();
    let first = events.next().await.unwrap().unwrap().progress().unwrap();
    assert_eq!((first.percent, first.message.as_deref()), (40, Some("Rendering")));
    let unknown = events.next().await.unwrap().unwrap();
    assert_eq!((unknown.type_name.as_str(), unknown.object.get()), ("tomorrow", "null"));
    let file = events.next().await.unwrap().unwrap().file().unwrap();
    assert_eq!(file.url.as_deref(), Some("https://cdn.example/v.mp4"));
    assert!(events.next().await.unwrap().is_none());
    assert_eq!(stub.lines(), ["GET /api/v1/events/file.f-1"]);
    assert_eq!(stub.asked()[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn a_stream_outlives_the_timeout_of_a_request_and_ends_when_it_is_silent() {
    let stub = Stub::saying([Says::Stream("data: {\"type\":\"file\",\"object\":{}}\n\n".to_owned())]);
    let mut events =
        client(&stub.base).events("f-1").await.unwrap().with_idle_timeout(Duration::from_millis(900));
    assert!(events.next().await.unwrap().unwrap().file().is_none());
    assert!(matches!(events.next().await, Err(StreamError::Idle)));
}

#[tokio::test]
async fn a_stream_that_breaks_or_never_ends_a_line_is_given_up() {
    let stub = Stub::saying([Says::Part("data: {".to_owned())]);
    let mut events = client(&stub.base).events("f-1").await.unwrap();
    assert!(matches!(events.next().await, Err(StreamError::Broken(_))));

    let stub = Stub::saying([Says::Stream("x".repeat(8 * 1024 * 1024 + 1))]);
    let mut events =
        client(&stub.base).events("f-1").await.unwrap().with_idle_timeout(Duration::from_secs(5));
    assert!(matches!(events.next().await, Err(StreamError::TooLarge)));
}

#[tokio::test]
async fn a_stream_that_does_not_open_says_why() {
    for (says, status) in [(json(404, ""), Some(404)), (json(503, ""), Some(503)), (Says::Silence, None)] {
        let stub = Stub::saying([says]);
        let error =
            tokio::time::timeout(SHORT * 10, client(&stub.base).events("f-1")).await.unwrap().unwrap_err();
        assert_eq!(error.http_status(), status, "{error:?}");
        assert!(status == Some(404) || matches!(error, ReadError::Unavailable(_)), "{error:?}");
    }
}
