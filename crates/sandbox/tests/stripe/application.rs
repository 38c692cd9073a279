//! An application's webhook: records every delivery, answers as it is told to, checks signatures by itself.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::Sha256;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "whsec_test_secret";

/// What one delivery is answered with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    Status(u16),
    Hang(Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) signature: Option<String>,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// The signature's time.
    pub(crate) fn time(&self) -> i64 {
        let header = self.signature.as_deref().unwrap();
        header.split(',').find_map(|part| part.strip_prefix("t=")).unwrap().parse().unwrap()
    }

    /// Whether any signature is right under this secret, whatever its age.
    pub(crate) fn signed_with(&self, secret: &str) -> bool {
        let Some(header) = self.signature.as_deref() else {
            return false;
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{}.", self.time()).as_bytes());
        mac.update(&self.body);
        let right: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        header.split(',').filter_map(|part| part.strip_prefix("v1=")).any(|v1| v1 == right)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Application {
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<VecDeque<Script>>>,
}

impl Application {
    /// Listens on a free port and gives its webhook's address.
    pub(crate) async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/webhooks/stripe", listener.local_addr().unwrap());
        let router = Router::new().route("/api/webhooks/stripe", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    /// The answers to the next deliveries; 200 after that.
    pub(crate) fn script(&self, answers: &[Script]) {
        self.script.lock().extend(answers);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.received().iter().map(Received::kind).collect()
    }
}

async fn take(State(app): State<Application>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("stripe-signature").map(|value| value.to_str().unwrap().to_owned());
    app.received.lock().push(Received { signature, body });
    let answer = app.script.lock().pop_front();
    match answer {
        Some(Script::Status(status)) => StatusCode::from_u16(status).unwrap(),
        Some(Script::Hang(time)) => {
            tokio::time::sleep(time).await;
            StatusCode::OK
        }
        None => StatusCode::OK,
    }
}
