//! A stand-in and a client of its API.

use reqwest::{Client, Response};
use serde_json::{Value, json};
use sessile_sandbox::Sandbox;
use sessile_sandbox::superduperai::{MODEL, SuperDuperAiConfig, SuperDuperAiControl};
use std::time::Duration;

pub(crate) const TOKEN: &str = "token-abc";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) http: Client,
}

/// Fast enough for tests: a video takes 50 ms.
pub(crate) fn config() -> SuperDuperAiConfig {
    let mut config = SuperDuperAiConfig::new(TOKEN);
    config.render_time = Duration::from_millis(50);
    config.hang = Duration::from_millis(100);
    config.ping = Duration::from_millis(40);
    config
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: SuperDuperAiConfig) -> Self {
        // `Err` means that another test in this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        Self { sandbox, http: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn control(&self) -> &SuperDuperAiControl {
        self.sandbox.superduperai()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.sandbox.superduperai_url())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).bearer_auth(TOKEN).send().await.unwrap()
    }

    pub(crate) async fn got(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::Result<Response> {
        let request = self.http.post(self.url("file/generate-video")).bearer_auth(TOKEN);
        request.header("content-type", "application/json").body(body).send().await
    }

    /// A new file's id.
    pub(crate) async fn generate(&self, prompt: &str) -> String {
        let response = self.post(request(prompt, 7).to_string()).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn rendered(&self) {
        assert!(self.control().rendered(Duration::from_secs(10)).await, "rendering never ended");
    }
}

/// What an application sends for one video.
pub(crate) fn request(prompt: &str, seed: i64) -> Value {
    json!({ "config": {
        "prompt": prompt, "negative_prompt": "", "width": 1280, "height": 720, "aspect_ratio": "16:9", "duration": 8,
        "seed": seed, "generation_config_name": MODEL, "frame_rate": 30, "batch_size": 1, "references": [],
    } })
}
