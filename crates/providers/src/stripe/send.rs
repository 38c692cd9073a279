//! One request to Stripe, sent until there is an answer, the attempts are used up, or another one is no use.
//!
//! Every attempt carries the same Idempotency-Key, so repeating a change is safe. What an earlier attempt may have done
//! is not forgotten: when it timed out and the next one finds nobody, the outcome is unknown, not "unavailable".

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;
use url::Url;

use super::config::{API_VERSION, Config, ConfigError};
use super::error::{Refusal, StripeError};
use super::key::IdempotencyKey;
use crate::transport::{self, HttpFailure, Reach, shortened};

/// The largest answer we read: a page of a hundred prices is under 200 KiB.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// How often one request is sent at most.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; doubled before the third.
const RETRY_PAUSE: Duration = Duration::from_millis(300);
/// The longest `Retry-After` that is waited for here; a longer one is the caller's to plan.
const RETRY_AFTER_WAITED_MAX: Duration = Duration::from_secs(2);
/// What a 429 without a usable `Retry-After` means to the caller, once our own attempts are used up.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(30);

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// A line to Stripe.
#[derive(Clone)]
pub(super) struct Line {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
}

/// What is sent.
pub(super) enum Request<'a> {
    Get { path: &'a [&'a str], query: &'a str },
    Post { path: &'a [&'a str], form: String, key: &'a IdempotencyKey },
}

/// What came of one attempt.
struct Attempt {
    result: Result<Vec<u8>, StripeError>,
    /// Whether another attempt may fare better.
    again: bool,
    /// How long Stripe wants us to wait.
    wait: Duration,
    /// Whether Stripe may have done, or be doing, what was asked.
    landed: Landed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Landed {
    /// Nothing was done by this attempt; earlier ones are not spoken for.
    No,
    Perhaps,
    /// Stripe's word on the operation itself: under its key, it holds for every attempt.
    Settled,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    param: Option<String>,
    message: Option<String>,
}

impl Line {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let base = config.api_url()?;
        let http = transport::client(config.timeouts, Reach::of(&base)).map_err(ConfigError::Client)?;
        Ok(Self { http, base, key: config.secret_key.clone() })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// The answer's body.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Vec<u8>, StripeError> {
        let changes = matches!(request, Request::Post { .. });
        let (mut attempt, mut pause, mut landed_before) = (1, RETRY_PAUSE, false);
        loop {
            let answer = self.attempt(request).await;
            let last = attempt == ATTEMPTS_MAX || !answer.again || answer.wait > RETRY_AFTER_WAITED_MAX;
            if answer.result.is_ok() || last {
                let unknown = match answer.landed {
                    Landed::Settled => false,
                    Landed::Perhaps => true,
                    Landed::No => landed_before,
                };
                return answer.result.map_err(|error| {
                    if changes && unknown { StripeError::OutcomeUnknown(Box::new(error)) } else { error }
                });
            }
            landed_before |= answer.landed == Landed::Perhaps;
            tokio::time::sleep(pause.max(answer.wait)).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: &Request<'_>) -> Attempt {
        let built = match self.built(request) {
            Ok(built) => built,
            Err(error) => return Attempt::last(error, Landed::No),
        };
        let response = match built.send().await {
            Ok(response) => response,
            Err(error) => return Attempt::failed(transport::failure(error)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        match transport::whole_body(response, RESPONSE_BYTES_MAX).await {
            Ok(body) if status.is_success() => {
                Attempt { result: Ok(body), again: false, wait: Duration::ZERO, landed: Landed::Settled }
            }
            Ok(body) => self.refused(status, &headers, &body),
            // Without the words the status still counts.
            Err(_) if !status.is_success() => self.refused(status, &headers, &[]),
            Err(failure) => Attempt::failed(failure),
        }
    }

    fn built(&self, request: &Request<'_>) -> Result<reqwest::RequestBuilder, StripeError> {
        let (Request::Get { path, .. } | Request::Post { path, .. }) = request;
        if !path.iter().all(|segment| transport::is_plain_id(segment)) {
            return Err(StripeError::Invalid("id"));
        }
        let mut url = self.base.join(&path.join("/")).map_err(|_| StripeError::Invalid("address"))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.key.expose_secret()))
            .map_err(|_| StripeError::Invalid("key"))?;
        bearer.set_sensitive(true);
        let built = match request {
            Request::Get { query, .. } => {
                url.set_query(Some(query).filter(|query| !query.is_empty()).copied());
                self.http.get(url)
            }
            Request::Post { form, key, .. } => {
                let key = key.header().ok_or(StripeError::Invalid("Idempotency-Key"))?;
                self.http
                    .request(Method::POST, url)
                    .header(CONTENT_TYPE, FORM)
                    .header(IDEMPOTENCY_KEY, key)
                    .body(form.clone())
            }
        };
        Ok(built.header(AUTHORIZATION, bearer).header(VERSION, API_VERSION))
    }

    /// An answer that is not a success. Stripe's own advice about repeating wins over ours.
    fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Attempt {
        let advice = match headers.get(SHOULD_RETRY).map(HeaderValue::as_bytes) {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        };
        let wait = transport::retry_after(headers);
        let (error, again, landed) = match status.as_u16() {
            429 => {
                let retry_after = wait.unwrap_or(RETRY_AFTER_DEFAULT);
                (StripeError::RateLimited { retry_after }, true, Landed::No)
            }
            status @ (401 | 403) => (StripeError::Unauthorized { status }, false, Landed::No),
            status @ 500.. => {
                (StripeError::Unavailable(HttpFailure::Server { status }), true, Landed::Perhaps)
            }
            status => match self.refusal(status, headers, body) {
                // Under the same key, or on the same object, another request is under way: perhaps our own earlier one.
                Some(refusal) if status == 409 => (refusal, true, Landed::Perhaps),
                Some(refusal) => (refusal, false, Landed::Settled),
                None => (StripeError::Rejected { status }, false, Landed::No),
            },
        };
        let wait = wait.unwrap_or_default();
        Attempt { result: Err(error), again: advice.unwrap_or(again), wait, landed }
    }

    fn refusal(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Option<StripeError> {
        let ErrorBody { error } = serde_json::from_slice(body).ok()?;
        let ours = self.key.expose_secret();
        let words =
            |text: String| if text.contains(ours) { "[withheld]".to_owned() } else { shortened(&text) };
        let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        Some(StripeError::Refused(Box::new(Refusal {
            status,
            kind: words(error.kind),
            code: error.code.map(words),
            param: error.param.map(words),
            message: error.message.map(words).unwrap_or_default(),
            request_id: request_id.map(shortened),
        })))
    }
}

impl Attempt {
    fn last(error: StripeError, landed: Landed) -> Self {
        Self { result: Err(error), again: false, wait: Duration::ZERO, landed }
    }

    fn failed(failure: HttpFailure) -> Self {
        let landed = match failure {
            HttpFailure::Connect(_) | HttpFailure::Request => Landed::No,
            _ => Landed::Perhaps,
        };
        match failure {
            HttpFailure::TooLarge => {
                Self::last(StripeError::Unreadable("it is larger than we accept"), landed)
            }
            HttpFailure::Request => Self::last(StripeError::Unavailable(failure), landed),
            failure => Self {
                result: Err(StripeError::Unavailable(failure)),
                again: true,
                wait: Duration::ZERO,
                landed,
            },
        }
    }
}
