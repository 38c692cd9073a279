//! What can be switched on, seen from the caller.

use serde_json::Value;
use sessile_sandbox::superduperai::{FILE, FILES, GENERATE, GenerationState, Misbehaviour as M, Switch};

use crate::world::{World, request};

#[tokio::test]
async fn a_lost_reply_leaves_a_generation_that_the_list_knows_by_its_seed() {
    let world = World::start().await;
    world.control().set(&Switch::once(M::LostReply)).unwrap();
    world.post(request("a cat", 4711).to_string()).await.unwrap_err();
    let started = world.control().generations_with_seed(4711);
    assert_eq!(started.len(), 1, "the generation was not started");
    let page = world.got("file?types=video&limit=100").await;
    let of_mine = |file: &&Value| file["video_generation"]["seed"] == 4711;
    let found: Vec<&Value> = page["items"].as_array().unwrap().iter().filter(of_mine).collect();
    assert_eq!((found.len(), &found[0]["id"]), (1, &started[0].file_id.as_str().into()));
    world.rendered().await;
    assert_eq!(world.control().generations()[0].state, GenerationState::Completed);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_undo_its_request() {
    let world = World::start().await;
    world.control().set(&Switch::once(M::SlowReply).delay_ms(500)).unwrap();
    let gone =
        tokio::time::timeout(std::time::Duration::from_millis(100), world.post(request("p", 1).to_string()))
            .await;
    assert!(gone.is_err());
    assert_eq!(world.control().count("generations"), 1);
}

#[tokio::test]
async fn refusals_do_nothing() {
    let world = World::start().await;
    world.control().set(&Switch::once(M::RateLimited).delay_ms(2500)).unwrap();
    let limited = world.post(request("p", 1).to_string()).await.unwrap();
    assert_eq!((limited.status().as_u16(), limited.headers()["retry-after"].to_str().unwrap()), (429, "3"));
    world.control().set(&Switch::once(M::ServerError)).unwrap();
    assert_eq!(world.post(request("p", 1).to_string()).await.unwrap().status(), 500);
    world.control().set(&Switch::once(M::Timeout)).unwrap();
    world.post(request("p", 1).to_string()).await.unwrap_err();
    assert!(world.control().generations().is_empty());
    assert_eq!(world.control().count(GENERATE), 3);
}

#[tokio::test]
async fn bad_answers_after_the_work_is_done() {
    let world = World::start().await;
    world.control().set(&Switch::once(M::ServerErrorAfter)).unwrap();
    assert_eq!(world.post(request("p", 1).to_string()).await.unwrap().status(), 500);
    world.control().set(&Switch::once(M::Garbage)).unwrap();
    let garbage = world.post(request("p", 2).to_string()).await.unwrap();
    assert!(garbage.json::<Value>().await.is_err());
    assert_eq!(world.control().generations().len(), 2);
}

#[tokio::test]
async fn a_generation_fails_with_a_sentence() {
    let world = World::start().await;
    let list = [Switch::once(M::Fail).message("no dragons"), Switch::once(M::FailedStatus).on("seed:7")];
    world.control().misbehave(&list).unwrap();
    let (one, two, three) = (world.generate("1").await, world.generate("2").await, world.generate("3").await);
    world.rendered().await;
    let failed = world.got(&format!("file/{one}")).await;
    assert_eq!((&failed["url"], &failed["tasks"][0]["status"]), (&Value::Null, &"error".into()));
    assert_eq!(failed["tasks"][0]["error"], "no dragons");
    assert_eq!(world.got(&format!("file/{two}")).await["tasks"][0]["status"], "failed");
    assert_eq!(world.got(&format!("file/{three}")).await["tasks"][0]["status"], "completed");
}

#[tokio::test]
async fn a_generation_stalls_until_somebody_ends_it() {
    let world = World::start().await;
    world.control().set(&Switch::once(M::Stall)).unwrap();
    let id = world.generate("p").await;
    world.rendered().await;
    let stalled = world.control().generation(&id).unwrap();
    assert_eq!((stalled.state, stalled.progress), (GenerationState::Rendering, 30));
    world.control().finish(&id).unwrap();
    assert!(world.got(&format!("file/{id}")).await["url"].is_string());
}

#[tokio::test]
async fn other_routes_misbehave_when_named() {
    let world = World::start().await;
    let id = world.generate("p").await;
    world.control().set(&Switch::once(M::NotFound).on(&*id)).unwrap();
    assert_eq!(world.get(&format!("file/{id}")).await.status(), 404);
    world.control().set(&Switch::once(M::RateLimited).on(FILE)).unwrap();
    world.control().set(&Switch::once(M::ServerError).on(FILES)).unwrap();
    assert_eq!(world.get("file").await.status(), 500);
    assert_eq!(world.get(&format!("file/{id}")).await.status(), 429);
    assert_eq!(world.get(&format!("file/{id}")).await.status(), 200);
    assert!(world.control().active().is_empty());
}

#[tokio::test]
async fn the_switchboard_shows_and_switches() {
    let world = World::start().await;
    let id = world.generate("<script>alert(1)</script>").await;
    world.rendered().await;
    let home = format!("{}/sandbox/superduperai", world.sandbox.base_url());
    let page =
        world.http.get(&home).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&id) && page.contains("<video") && page.contains("lost_reply"));
    assert!(!page.contains("<script>") && !page.contains(crate::world::TOKEN));
    let json = world.http.post(format!("{home}/misbehave")).header("content-type", "application/json");
    assert_eq!(
        json.body(r#"["fail", {"kind": "rate_limited", "times": 2}]"#).send().await.unwrap().status(),
        200
    );
    assert_eq!(world.control().active()[1].on.as_deref(), Some(GENERATE));
    let shown: Value = world.http.get(&home).send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown["files"][0]["id"], &shown["counts"]["generations"]), (&id.into(), &1.into()));
}
