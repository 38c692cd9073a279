//! One way to ask the server that is under test, and what an answer is worth.

use super::Outcome;
use reqwest::{Method, StatusCode, header};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Longer than any timeout of the server: it is the one to say that it does not know.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long connecting may take on this machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `2xx`: a promise.
    Acknowledged { cookie: Option<String>, body: Value },
    /// `5xx`, or none: it may have happened.
    Unknown(Option<StatusCode>),
    /// It never left: there was nobody to connect to.
    NotSent,
    /// Any other status: refused for a reason.
    Refused(StatusCode, String),
}

/// Asks the server wherever it is now. A restarted one may listen elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    home: Arc<watch::Sender<String>>,
}

impl Client {
    pub(crate) fn new(home: &str) -> Outcome<Self> {
        // The client wants a TLS provider even for plain http; a second installation is refused and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(ANSWER_LIMIT)
            .connect_timeout(CONNECT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self { http, home: Arc::new(watch::channel(home.to_owned()).0) })
    }

    /// From now on it is there.
    pub(crate) fn moved(&self, home: &str) {
        self.home.send_replace(home.to_owned());
    }

    pub(crate) async fn get(&self, path: &str, cookie: Option<&str>) -> Answer {
        self.ask(Method::GET, path, cookie, None).await
    }

    pub(crate) async fn post(&self, path: &str, cookie: Option<&str>, body: &Value) -> Answer {
        self.ask(Method::POST, path, cookie, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, cookie: Option<&str>, body: Option<&Value>) -> Answer {
        let home = self.home.borrow().clone();
        let mut request = self.http.request(method, format!("{home}{path}"));
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        match request.send().await {
            Ok(answer) => read(answer).await,
            Err(error) if error.is_connect() => Answer::NotSent,
            Err(_) => Answer::Unknown(None),
        }
    }
}

async fn read(answer: reqwest::Response) -> Answer {
    let status = answer.status();
    let set = answer.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
    let cookie = set.and_then(|text| text.split(';').next()).map(str::to_owned);
    // The promise is the head of the answer; only what is read from the body needs the body.
    let text = answer.text().await;
    if status.is_server_error() {
        return Answer::Unknown(Some(status));
    }
    if !status.is_success() {
        return Answer::Refused(status, text.unwrap_or_default());
    }
    match text.map(|text| serde_json::from_str(&text)) {
        Ok(Ok(body)) => Answer::Acknowledged { cookie, body },
        Ok(Err(error)) => Answer::Refused(status, format!("an answer that is not JSON: {error}")),
        Err(_) => Answer::Unknown(None),
    }
}

/// The session that an answer of `/get` shows.
pub(crate) fn shown(body: &Value) -> Map<String, Value> {
    body["session"].as_object().cloned().unwrap_or_default()
}
