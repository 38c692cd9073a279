//! Event streams.

use futures_util::StreamExt;
use reqwest::Response;
use serde_json::Value;
use sessile_sandbox::superduperai::{Misbehaviour as M, Switch};
use std::time::Duration;

use crate::world::{World, config};

/// What a stream says until `render_result`, or until it ends or the time is over.
async fn events(response: Response) -> (Vec<Value>, bool) {
    let (mut text, mut broke) = (String::new(), false);
    let mut stream = Box::pin(response_chunks(response));
    let read = async {
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => text.push_str(&String::from_utf8(chunk).unwrap()),
                Err(()) => broke = true,
            }
            if text.contains("task_status") || broke {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(600), read).await;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    (data.map(|line| serde_json::from_str(line).unwrap()).collect(), broke)
}

fn response_chunks(response: Response) -> impl futures_util::Stream<Item = Result<Vec<u8>, ()>> {
    futures_util::stream::unfold(Some(response), |response| async move {
        let mut response = response?;
        match response.chunk().await {
            Ok(Some(chunk)) => Some((Ok(chunk.to_vec()), Some(response))),
            Ok(None) => None,
            Err(_) => Some((Err(()), None)),
        }
    })
}

async fn world() -> World {
    let mut config = config();
    config.render_time = Duration::from_millis(200);
    World::with(config).await
}

#[tokio::test]
async fn a_listener_hears_the_progress_and_the_result() {
    let world = world().await;
    let id = world.generate("a cat").await;
    let response = world.get(&format!("events/file.{id}")).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let (events, _) = events(response).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert!(kinds.len() > 6, "{kinds:?}");
    assert_eq!(kinds[kinds.len() - 4..], ["render_progress", "file", "render_result", "task_status"]);
    let progress: Vec<i64> = events.iter().filter_map(|event| event["object"]["progress"].as_i64()).collect();
    assert!(progress.is_sorted() && progress.last() == Some(&100), "{progress:?}");
    assert!(events[0]["object"]["message"].is_string());
    let result = events.iter().find(|event| event["type"] == "render_result").unwrap();
    assert!(result["object"]["url"].is_string());
    assert_eq!(events.last().unwrap()["object"]["status"], "completed");
}

#[tokio::test]
async fn a_failure_is_heard_too() {
    let world = world().await;
    world.control().set(&Switch::once(M::Fail).message("no dragons")).unwrap();
    let id = world.generate("a dragon").await;
    let (events, _) = events(world.get(&format!("events/file.{id}")).await).await;
    let last = &events.last().unwrap()["object"];
    assert_eq!((&last["status"], &last["error"]), (&"error".into(), &"no dragons".into()));
}

#[tokio::test]
async fn who_comes_late_hears_nothing_and_is_kept_waiting() {
    let world = world().await;
    let id = world.generate("a cat").await;
    world.rendered().await;
    for channel in [format!("file.{id}"), "file.none".into(), "project.1".into()] {
        let mut response = world.get(&format!("events/{channel}")).await;
        let first = response.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b":"), "{channel} said {first:?}");
    }
}

#[tokio::test]
async fn a_stream_can_be_silent_slow_cut_or_refused() {
    let world = world().await;
    let after = |switch: Switch| {
        let world = &world;
        async move {
            let id = world.generate("a cat").await;
            world.control().misbehave(&[switch]).unwrap();
            events(world.get(&format!("events/file.{id}")).await).await
        }
    };
    assert_eq!(after(Switch::once(M::SseSilent)).await, (Vec::new(), false));
    assert_eq!(after(Switch::once(M::SseSlow).delay_ms(2000)).await, (Vec::new(), false));
    let (heard, broke) = after(Switch::once(M::SseCut)).await;
    assert_eq!((heard.len(), broke), (1, true));
    world.control().misbehave(&[Switch::once(M::SseRefused)]).unwrap();
    assert_eq!(world.get("events/file.x").await.status(), 503);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_none_is_not() {
    let world = world().await;
    let url = world.url("events/file.x");
    assert_eq!(world.http.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(world.http.get(&url).bearer_auth("wrong").send().await.unwrap().status(), 401);
}
