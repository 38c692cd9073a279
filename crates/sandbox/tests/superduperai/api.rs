//! The API: generate, look, list, refuse.

use serde_json::{Value, json};
use sessile_sandbox::superduperai::{FILE, GENERATE, GenerationState};

use crate::world::{TOKEN, World, request};

#[tokio::test]
async fn a_request_becomes_a_file_that_is_done_when_it_has_an_address() {
    let world = World::start().await;
    let file: Value = world.post(request("a cat", 42).to_string()).await.unwrap().json().await.unwrap();
    let id = file["id"].as_str().unwrap();
    assert_eq!(
        (&file["type"], &file["url"], &file["thumbnail_url"]),
        (&"video".into(), &Value::Null, &Value::Null)
    );
    let task = &file["tasks"][0];
    assert_eq!((&task["status"], &task["file_id"]), (&"in_progress".into(), &id.into()));
    assert_eq!(task["type"], "video-generation-flow");
    let echo = &file["video_generation"];
    assert_eq!((&echo["prompt"], &echo["seed"], &echo["duration"]), (&"a cat".into(), &42.into(), &8.into()));
    world.rendered().await;
    let done = world.got(&format!("file/{id}")).await;
    assert!(done["url"].as_str().unwrap().ends_with(&format!("{id}.webm")));
    assert_eq!((&done["duration"], &done["tasks"][0]["status"]), (&8.into(), &"completed".into()));
    let kept = world.control().generation(id).unwrap();
    assert_eq!((kept.state, kept.progress), (GenerationState::Completed, 100));
    assert_eq!((world.control().count(GENERATE), world.control().count(FILE)), (1, 1));
}

#[tokio::test]
async fn prompts_are_kept_byte_for_byte() {
    let world = World::start().await;
    let long = "x".repeat(1024 * 1024);
    let strange = "👩‍👩‍👧‍👦 שלום عالم\u{202e}\u{0}\"\\\r\n\t\u{feff}";
    for prompt in ["", "a".repeat(3000).as_str(), strange, &long] {
        let body = request(prompt, 1).to_string();
        world.post(body.clone()).await.unwrap();
        let kept = world.control().generations_of(prompt);
        assert_eq!((kept.len(), &kept[0].body[..]), (1, body.as_bytes()));
    }
    // The longest prompt there can be, with every character escaped.
    let escaped: String = (0..1024 * 1024).map(|_| "\\u0078").collect();
    let body = request("@", 2).to_string().replace('@', &escaped);
    assert_eq!(world.post(body).await.unwrap().status(), 200);
    assert_eq!(world.control().generations_with_seed(2)[0].prompt, long);
}

#[tokio::test]
async fn files_are_listed_newest_first() {
    let world = World::start().await;
    for seed in 1..=5 {
        world.post(request("p", seed).to_string()).await.unwrap();
    }
    let seeds = async |query: &str| -> Vec<i64> {
        let page = world.got(&format!("file?{query}")).await;
        let seed = |file: &Value| file["video_generation"]["seed"].as_i64().unwrap();
        page["items"].as_array().unwrap().iter().map(seed).collect()
    };
    assert_eq!(seeds("").await, [5, 4, 3, 2, 1]);
    assert_eq!(seeds("types=video&order_by=created_at&order=descendent&limit=2&offset=1").await, [4, 3]);
    assert_eq!(seeds("order=ascendent&limit=1").await, [1]);
    assert_eq!(seeds("types=image&types=video&limit=1").await, [5]);
    assert!(seeds("types=image").await.is_empty() && seeds("project_id=1").await.is_empty());
    let page = world.got("file?limit=2").await;
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&5.into(), &2.into(), &0.into()));
    for wrong in ["limit=0", "limit=101", "offset=-1", "order=upwards"] {
        assert_eq!(world.get(&format!("file?{wrong}")).await.status(), 422, "{wrong}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::start().await;
    let mut no_prompt = request("p", 1);
    no_prompt["config"].as_object_mut().unwrap().remove("prompt");
    let mut half_seed = request("p", 1);
    half_seed["config"]["seed"] = json!(1.5);
    let mut wide = request("p", 1);
    wide["config"]["width"] = json!("1280");
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"config": 1}"#,
        &no_prompt.to_string(),
        &half_seed.to_string(),
        &wide.to_string(),
    ] {
        let response = world.post(body.to_owned()).await.unwrap();
        assert_eq!(response.status(), 422, "{body}");
        assert!(response.json::<Value>().await.unwrap()["detail"].is_array());
    }
    let mut model = request("p", 1);
    model["config"]["generation_config_name"] = json!("none/such");
    assert_eq!(world.post(model.to_string()).await.unwrap().status(), 404);
    assert!(world.control().generations().is_empty());
    assert_eq!(world.get("file/none").await.status(), 404);
}

#[tokio::test]
async fn the_token_is_checked() {
    let world = World::start().await;
    let url = world.url("file");
    assert_eq!(world.http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(world.http.get(&url).bearer_auth("wrong").send().await.unwrap().status(), 401);
    let post = world.http.post(world.url("file/generate-video")).body(request("p", 1).to_string());
    assert_eq!(post.send().await.unwrap().status(), 401);
    assert!(world.control().generations().is_empty());
    assert!(!format!("{:?}", world.sandbox).contains(TOKEN));
}

#[tokio::test]
async fn a_generation_can_be_ended_by_hand() {
    let mut config = crate::world::config();
    config.render_time = std::time::Duration::from_secs(3600);
    let world = World::with(config).await;
    let (one, two) = (world.generate("one").await, world.generate("two").await);
    world.control().finish(&one).unwrap();
    world.control().fail(&two, "no").unwrap();
    assert!(world.got(&format!("file/{one}")).await["url"].is_string());
    assert_eq!(world.got(&format!("file/{two}")).await["tasks"][0]["status"], "error");
    assert!(world.control().fail(&one, "no").is_err() && world.control().finish("none").is_err());
}
