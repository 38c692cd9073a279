//! The way out: one form body to one loopback URL, with a timeout and a limit on the answer.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

use super::exchange::{Reply, Unanswered};

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

    /// Posts the fields, in their order.
    pub(crate) async fn post(&self, url: &str, fields: &[(String, String)]) -> Reply {
        match tokio::time::timeout(self.timeout, self.exchange(url, fields)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(why)) => Reply::Unanswered(why),
            Err(_) => Reply::Unanswered(Unanswered::Timeout),
        }
    }

    async fn exchange(&self, url: &str, fields: &[(String, String)]) -> Result<Reply, Unanswered> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = Request::builder().method(Method::POST).uri(url).header(CONTENT_TYPE, form);
        let request = request.body(Full::from(body)).map_err(|_| Unanswered::Connection)?;
        let response = self.client.request(request).await.map_err(|_| Unanswered::Connection)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { Unanswered::TooLarge } else { Unanswered::Connection }
        })?;
        Ok(Reply::answered(status, &body.to_bytes()))
    }
}
