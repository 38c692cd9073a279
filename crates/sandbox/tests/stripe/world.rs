//! A stand-in, an application it tells, and a client of its API.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use sessile_sandbox::Sandbox;
use sessile_sandbox::stripe::{Price, StripeConfig, StripeControl};
use std::time::Duration;

use crate::application::{Application, SECRET};

pub(crate) const KEY: &str = "sk_test_abc";
pub(crate) const SESSIONS: &str = "checkout/sessions";
/// What an application sends for three videos.
pub(crate) const ORDER: &[(&str, &str)] = &[
    ("mode", "payment"),
    ("line_items[0][price]", "price_single"),
    ("line_items[0][quantity]", "3"),
    ("success_url", "http://localhost:3000/en/payment-success/{CHECKOUT_SESSION_ID}"),
    ("cancel_url", "http://localhost:3000/en/tool/veo3-prompt-generator"),
    ("client_reference_id", "gen_1"),
    ("metadata[video_count]", "3"),
    ("metadata[tool]", "veo3-generator"),
    ("payment_intent_data[metadata][generation]", "gen_1"),
];

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) application: Application,
    pub(crate) http: Client,
}

/// Fast enough for tests: tries are 2, 4, 8… ms apart.
pub(crate) fn config() -> StripeConfig {
    let prices = vec![
        Price::new("price_single", "One video", 299, "usd"),
        Price::new("price_free", "A taste", 0, "usd"),
        Price::new("price_euro", "Ein Video", 299, "eur"),
        Price::new("price_old", "Gone", 100, "usd").inactive(),
    ];
    let mut config = StripeConfig::new(KEY, prices);
    config.schedule.first_delay = Duration::from_millis(2);
    config.schedule.delay_max = Duration::from_millis(20);
    config.schedule.call_timeout = Duration::from_millis(300);
    config.schedule.tries_max = 4;
    config.hang = Duration::from_millis(200);
    config
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: StripeConfig) -> Self {
        // `Err` means that another test in this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        let application = Application::default();
        sandbox.stripe().set_webhook(application.listen().await, [SECRET]).unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(redirects).no_proxy().build().unwrap();
        Self { sandbox, application, http }
    }

    pub(crate) fn stripe(&self) -> &StripeControl {
        self.sandbox.stripe()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.sandbox.stripe_api_url())
    }

    pub(crate) fn post(&self, path: &str, params: &[(&str, &str)]) -> RequestBuilder {
        form(self.http.post(self.url(path)).bearer_auth(KEY), params)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).bearer_auth(KEY).send().await.unwrap()
    }

    pub(crate) async fn got(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// A new session's id.
    pub(crate) async fn session(&self) -> String {
        let response = self.post(SESSIONS, ORDER).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Waits until everything is told.
    pub(crate) async fn told(&self) {
        assert!(self.stripe().delivered(Duration::from_secs(10)).await, "deliveries never ended");
    }
}

pub(crate) fn form(request: RequestBuilder, params: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// The order with one parameter changed, or left out where the value is empty.
pub(crate) fn order_with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut params: Vec<(&str, &str)> = ORDER.iter().copied().filter(|(known, _)| *known != name).collect();
    if !value.is_empty() {
        params.push((name, value));
    }
    params
}

/// The error object of an answer that must be one.
pub(crate) async fn error(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    response.json::<Value>().await.unwrap()["error"].clone()
}
