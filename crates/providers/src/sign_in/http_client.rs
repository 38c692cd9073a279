//! The HTTP client under `openidconnect`: timeouts, a limit on every body, no redirects, Whop's JSON bodies.
//!
//! Only GETs are repeated. A code exchange is sent once: a code is good for one use, and a second use of it makes a
//! careful provider revoke what the first one gave.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use std::pin::Pin;
use std::time::Duration;

use super::config::ConfigError;
use crate::transport::{self, HttpFailure, Reach, Timeouts};

/// The largest answer we read: token answers, key sets and userinfo are a few KiB.
pub(crate) const RESPONSE_BYTES_MAX: usize = 256 * 1024;
/// How often a GET is sent at most.
const GET_ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; doubled before the third.
const GET_RETRY_PAUSE: Duration = Duration::from_millis(100);
/// What a 429 without a usable `Retry-After` means.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(30);

/// How the provider wants POST bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// As OAuth has it.
    Form,
    /// As Whop has it.
    Json,
}

/// A client of one provider.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    inner: reqwest::Client,
    bodies: Bodies,
}

impl HttpClient {
    pub(crate) fn new(timeouts: Timeouts, bodies: Bodies, reach: Reach) -> Result<Self, ConfigError> {
        Ok(Self { inner: transport::client(timeouts, reach).map_err(ConfigError::Client)?, bodies })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let request = match self.bodies {
            Bodies::Json => form_to_json(request)?,
            Bodies::Form => request,
        };
        let attempts_max = if request.method() == Method::GET { GET_ATTEMPTS_MAX } else { 1 };
        let mut pause = GET_RETRY_PAUSE;
        for _ in 1..attempts_max {
            match self.send_once(&request).await {
                Err(failure) if is_worth_repeating(&failure) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                answer => return answer,
            }
        }
        self.send_once(&request).await
    }

    async fn send_once(&self, request: &HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let sent = self
            .inner
            .request(request.method().clone(), request.uri().to_string())
            .headers(request.headers().clone())
            .body(request.body().clone())
            .send();
        let mut response = sent.await.map_err(transport::failure)?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let retry_after = transport::retry_after(response.headers()).unwrap_or(RETRY_AFTER_DEFAULT);
            return Err(HttpFailure::RateLimited { retry_after });
        }
        if status.is_server_error() {
            return Err(HttpFailure::Server { status: status.as_u16() });
        }
        let headers = std::mem::take(response.headers_mut());
        let mut answer = HttpResponse::new(transport::whole_body(response, RESPONSE_BYTES_MAX).await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpFailure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Turns a form body into the same fields as JSON. Anything else passes as it is.
fn form_to_json(request: HttpRequest) -> Result<HttpRequest, HttpFailure> {
    let (mut parts, body) = request.into_parts();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    if parts.headers.get(CONTENT_TYPE) != Some(&form) {
        return Ok(HttpRequest::from_parts(parts, body));
    }
    let fields: serde_json::Map<String, serde_json::Value> = url::form_urlencoded::parse(&body)
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    let body = serde_json::to_vec(&fields).map_err(|_| HttpFailure::Request)?;
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(HttpRequest::from_parts(parts, body))
}

/// A provider that cannot be reached in time is not waited for again: a person waits.
fn is_worth_repeating(failure: &HttpFailure) -> bool {
    match failure {
        HttpFailure::Connect(error) => !error.is_timeout(),
        HttpFailure::Interrupted(_) | HttpFailure::Server { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &'static str, body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(body.as_bytes().to_vec());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        request
    }

    #[test]
    fn a_form_becomes_the_same_fields_as_json() {
        let json = form_to_json(request("application/x-www-form-urlencoded", "a=1%262&b=c+d&e=")).unwrap();
        assert_eq!(json.headers()[CONTENT_TYPE], "application/json");
        let fields: serde_json::Value = serde_json::from_slice(json.body()).unwrap();
        assert_eq!(fields, serde_json::json!({ "a": "1&2", "b": "c d", "e": "" }));
    }

    #[test]
    fn other_bodies_pass_untouched() {
        let same = form_to_json(request("text/plain", "a=1")).unwrap();
        assert_eq!(
            (same.body().as_slice(), &same.headers()[CONTENT_TYPE]),
            (&b"a=1"[..], &"text/plain".parse().unwrap())
        );
    }
}
