//! A Merchant API that says what it is told to, and remembers what it was asked.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use sessile_providers::Timeouts;
use sessile_providers::click::{Config, MerchantApi};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// One answer.
#[derive(Clone)]
pub(crate) enum Says {
    Json(u16, &'static str),
    /// 429 with `Retry-After`.
    SlowDown(Option<&'static str>),
    Redirect(String),
    /// Headers, and then silence.
    Silence,
    Bytes(usize),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
}

type Shared = Arc<Mutex<(VecDeque<Says>, Vec<Asked>)>>;

pub(crate) struct Stub {
    pub(crate) base: String,
    shared: Shared,
}

impl Stub {
    /// Gives these answers, the last one again and again.
    pub(crate) async fn saying(script: &[Says]) -> Self {
        let shared: Shared = Arc::new(Mutex::new((script.iter().cloned().collect(), Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v2/merchant/", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, shared }
    }

    pub(crate) fn api(&self) -> MerchantApi {
        api(&self.base)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().1.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

pub(crate) fn api(base: &str) -> MerchantApi {
    let mut config = Config::new(12345, 678, 9, vec!["test_secret_key".into(), "old-secret".into()]);
    config.api_url = base.to_owned();
    config.timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_millis(500) };
    MerchantApi::new(&config).unwrap()
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let says = {
        let mut shared = shared.lock().unwrap();
        let line = format!("{} {}", request.method(), request.uri());
        shared.1.push(Asked { line, headers: request.headers().clone() });
        if shared.0.len() > 1 { shared.0.pop_front().unwrap() } else { shared.0[0].clone() }
    };
    let with = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
    match says {
        Says::Json(status, body) => with(status).header("content-type", "application/json").body(body.into()),
        Says::SlowDown(None) => with(429).body(Body::empty()),
        Says::SlowDown(Some(seconds)) => with(429).header("retry-after", seconds).body(Body::empty()),
        Says::Redirect(to) => with(307).header("location", to).body(Body::empty()),
        Says::Bytes(bytes) => with(200).body(vec![b' '; bytes].into()),
        Says::Silence => std::future::pending().await,
    }
    .unwrap()
}
