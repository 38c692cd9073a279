//! The way out: one JSON body to one loopback URL, with a timeout and a limit on the answer.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

use super::event::{Answer, BODY_CHARS_KEPT};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Plain HTTP only: there is no TLS on loopback and nothing else is called.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

impl Sender {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), timeout }
    }

    /// Posts the body as it is.
    pub(crate) async fn post(&self, url: &str, signature: Option<&str>, body: Bytes) -> Answer {
        match tokio::time::timeout(self.timeout, self.exchange(url, signature, body)).await {
            Ok(Ok(answer) | Err(answer)) => answer,
            Err(_) => Answer::Timeout,
        }
    }

    async fn exchange(&self, url: &str, signature: Option<&str>, body: Bytes) -> Result<Answer, Answer> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(USER_AGENT, "Stripe/1.0 (+https://stripe.com/docs/webhooks)");
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        let request = request.body(Full::from(body)).map_err(|_| Answer::Connection)?;
        let response = self.client.request(request).await.map_err(|_| Answer::Connection)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { Answer::TooLarge } else { Answer::Connection }
        })?;
        let body = String::from_utf8_lossy(&body.to_bytes()).chars().take(BODY_CHARS_KEPT).collect();
        Ok(Answer::Http { status, body })
    }
}
