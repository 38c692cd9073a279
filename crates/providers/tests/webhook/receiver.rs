//! A receiver that answers as it is told and remembers what it got.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use url::Url;

/// One answer.
#[derive(Clone)]
pub(crate) enum Says {
    Status(u16),
    Redirect(String),
    Silence,
    Bytes(usize),
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

type Shared = Arc<Mutex<(VecDeque<Says>, Vec<Got>)>>;

pub(crate) struct Receiver {
    pub(crate) url: Url,
    shared: Shared,
}

impl Receiver {
    /// Gives these answers, the last one again and again.
    pub(crate) async fn saying(script: &[Says]) -> Self {
        let shared: Shared = Arc::new(Mutex::new((script.iter().cloned().collect(), Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/hooks", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.shared.lock().unwrap().1.clone()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let says = {
        let mut shared = shared.lock().unwrap();
        let line = format!("{} {}", parts.method, parts.uri);
        shared.1.push(Got { line, headers: parts.headers, body });
        if shared.0.len() > 1 { shared.0.pop_front().unwrap() } else { shared.0[0].clone() }
    };
    let with = |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap());
    match says {
        Says::Status(status) => with(status).body(Body::empty()),
        Says::Redirect(to) => with(307).header("location", to).body(Body::empty()),
        Says::Bytes(bytes) => with(200).body(vec![b' '; bytes].into()),
        Says::Silence => std::future::pending().await,
    }
    .unwrap()
}
