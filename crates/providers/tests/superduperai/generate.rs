//! Asking for a video: sent once, and never a doubt about whether it may have been.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use crate::stub::{Says, Stub, json, nowhere, spoken};
use sessile_providers::Timeouts;
use sessile_providers::superduperai::{
    Client, Config, File, GENERATION_CONFIG, GenerateError, GenerateVideo, Verdict,
};
use std::time::Duration;

const FILE: &str = r#"{"id":"998d1ea1-9198-450b-a869-5d23185a0a6a","url":null,"type":"video",
    "video_generation":{"seed":42},"tasks":[{"type":"video-generation-flow","status":"in_progress","id":"t"}]}"#;

pub(crate) fn client(base: &str) -> Client {
    let mut config = Config::new("tok-hush".into(), base);
    config.timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_millis(700) };
    Client::new(&config).unwrap()
}

fn video(prompt: &str) -> GenerateVideo {
    GenerateVideo {
        prompt: prompt.to_owned(),
        negative_prompt: String::new(),
        resolution: "1280x720".parse().unwrap(),
        duration_s: 8,
        seed: 42,
        generation_config: GENERATION_CONFIG.to_owned(),
    }
}

async fn generate(stub: &Stub) -> Result<File, GenerateError> {
    client(&stub.base).generate_video(&video("a cat")).await
}

#[tokio::test]
async fn a_video_is_asked_for_as_documented() {
    let stub = Stub::saying([json(200, FILE)]);
    let prompt = format!("{}\u{5d0}\u{200f}😀\"\\\n", "é".repeat(512 * 1024 - 8));
    let file = client(&stub.base).generate_video(&video(&prompt)).await.unwrap();
    assert_eq!(
        (file.id.as_str(), file.verdict()),
        ("998d1ea1-9198-450b-a869-5d23185a0a6a", Verdict::Running)
    );
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /api/v1/file/generate-video");
    assert_eq!(asked.header("authorization"), Some("Bearer tok-hush"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(&asked.text()).unwrap();
    assert!(body["config"]["prompt"] == prompt.as_str(), "the prompt was changed");
    assert_eq!((&body["config"]["seed"], &body["config"]["batch_size"]), (&42.into(), &1.into()));
}

#[tokio::test]
async fn what_never_left_was_not_sent() {
    let error = client(&nowhere()).generate_video(&video("a cat")).await.unwrap_err();
    assert!(matches!(error, GenerateError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn what_left_without_an_answer_is_unknown_and_not_repeated() {
    for says in [
        Says::HangUp,
        Says::Silence,
        Says::Vanish,
        Says::Part(FILE.to_owned()),
        json(500, ""),
        json(502, ""),
        json(503, ""),
        json(504, ""),
        json(408, ""),
        json(200, ""),
        json(200, "{}"),
        json(200, "[]"),
        json(200, "<html>"),
        json(200, &" ".repeat(8 * 1024 * 1024 + 1)),
    ] {
        let stub = Stub::saying([says, json(200, FILE)]);
        let error = generate(&stub).await.unwrap_err();
        assert!(matches!(error, GenerateError::OutcomeUnknown(_)), "{error:?}");
        assert!(error.to_string().contains("look for its seed"), "{error}");
        assert_eq!(stub.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_is_a_refusal() {
    for (status, body, told, sentence) in [
        (401, r#"{"detail":"Not authenticated"}"#, "Not authenticated", "SUPERDUPERAI_TOKEN"),
        (402, r#"{"detail":"No\nbalance"}"#, "Nobalance", "top it up"),
        (422, r#"{"detail":[{"loc":["body"],"msg":"too long"}]}"#, "too long", "such a prompt"),
        (400, r#"{"detail":"Bearer tok-hush"}"#, "[withheld]", "such a prompt"),
        (404, "<html>", "", "SUPERDUPERAI_URL"),
        (307, "", "", "SUPERDUPERAI_URL"),
    ] {
        let stub = Stub::saying([json(status, body)]);
        let error = generate(&stub).await.unwrap_err();
        let GenerateError::Refused { status: given, detail } = &error else { panic!("{error:?}") };
        assert_eq!(*given, status);
        assert!(detail.contains(told) && error.to_string().contains(sentence), "{error:?}");
        assert!(!spoken(&error).contains("hush"), "{error:?}");
        assert_eq!(stub.lines().len(), 1);
    }
}

#[tokio::test]
async fn too_often_says_when() {
    for (headers, seconds) in [(&[("retry-after", "7")][..], 7), (&[], 30)] {
        let stub = Stub::saying([Says::Answer(429, headers, String::new())]);
        let error = generate(&stub).await.unwrap_err();
        let GenerateError::Throttled { retry_after } = error else { panic!("{error:?}") };
        assert_eq!((retry_after.as_secs(), stub.lines().len()), (seconds, 1));
    }
}

#[tokio::test]
async fn no_error_and_no_debug_tells_the_token_or_the_prompt() {
    let mut all = format!("{:?} {:?}", client("http://127.0.0.1:1"), video("a cat"));
    for says in
        [Says::HangUp, Says::Silence, json(500, ""), json(401, ""), json(429, ""), json(200, "tok-hush")]
    {
        let stub = Stub::saying([says]);
        all += &spoken(&generate(&stub).await.unwrap_err());
        all += &spoken(&client(&stub.base).file("a").await.unwrap_err());
    }
    assert!(!all.contains("hush") && !all.contains("a cat"), "{all}");
}
