//! Every call of the API comes through here: key, version, misbehaviour, parameters, Idempotency-Key, headers, log.
//!
//! A call runs to its end in a task of its own, as the real one does: a caller that hangs up does not undo it.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

use super::api_error::{Advice, ApiError, Stage};
use super::config::API_VERSION;
use super::delivery;
use super::endpoints;
use super::event::Cause;
use super::idempotency::{self, Begun, Stored};
use super::log::{ApiCall, Fate, Heard};
use super::misbehaviour::Misbehaviour as M;
use super::params::Params;
use super::route::Route;
use super::state::App;
use crate::{random, reply};

/// A call as it came.
struct Call {
    request: String,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What goes back.
struct Outcome {
    status: u16,
    body: String,
    replay_of: Option<String>,
    advice: Advice,
    fate: Fate,
    heard: Heard,
    params: Params,
}

/// `ANY /sandbox/stripe/v1/…`.
pub(crate) async fn call(
    State(app): State<App>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = format!("req_{}", random::letters(14));
    let call = Call { request, method, path, query: query.unwrap_or_default(), headers, body };
    let task = tokio::spawn(async move { answer(&app, &call).await });
    task.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn answer(app: &App, call: &Call) -> Response {
    let at_ms = app.now_ms();
    let route = Route::of(&call.method, &call.path);
    let outcome = match refusal(app, call, route.as_ref()) {
        Err(error) => refused(&error, call, Params::default()),
        Ok(route) => outcome(app, call, route).await,
    };
    app.log.lock().add(ApiCall {
        at_ms,
        request: call.request.clone(),
        route: route.as_ref().map_or("unknown", Route::name).to_owned(),
        idempotency_key: call.header("idempotency-key").map(str::to_owned),
        version: call.header("stripe-version").map(str::to_owned),
        params: outcome.params.pairs().to_vec(),
        status: outcome.status,
        fate: outcome.fate,
        heard: outcome.heard,
    });
    match outcome.heard {
        Heard::Cut => reply::lost(),
        Heard::Answered => response(call, outcome),
    }
}

/// What is checked before anything is read: the key, the version, the address.
fn refusal<'a>(app: &App, call: &Call, route: Option<&'a Route>) -> Result<&'a Route, ApiError> {
    let Some(key) = call.api_key() else {
        return Err(ApiError::new(
            401,
            "invalid_request_error",
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        ));
    };
    if key != app.config.secret_key {
        let shown: String = key.chars().take(8).collect();
        let message = format!("Invalid API Key provided: {shown}********");
        return Err(ApiError::new(401, "invalid_request_error", message));
    }
    if let Some(version) = call.header("stripe-version").filter(|version| !is_version(version)) {
        return Err(ApiError::invalid(format!("Invalid Stripe API version: {version}")));
    }
    route.ok_or_else(|| {
        let message = format!("Unrecognized request URL ({}: /v1/{}).", call.method, call.path);
        ApiError::new(404, "invalid_request_error", message)
    })
}

/// `2026-09-30.endive`, or a bare date as before 2024.
fn is_version(text: &str) -> bool {
    let (date, name) = text.split_once('.').map_or((text, None), |(date, name)| (date, Some(name)));
    let digits = |at: usize, byte: u8| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    let dated = date.len() == 10 && date.bytes().enumerate().all(|(at, byte)| digits(at, byte));
    dated && name.is_none_or(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
}

async fn outcome(app: &App, call: &Call, route: &Route) -> Outcome {
    let labels = [route.name()];
    if app.take(M::ApiTimeout, &labels).is_some() {
        tokio::time::sleep(app.config.hang).await;
        let error = ApiError::new(504, "api_error", "No answer in time.");
        return Outcome { heard: Heard::Cut, ..refused(&error, call, Params::default()) };
    }
    let params = match call.params() {
        Ok(params) => params,
        Err(error) => return refused(&error, call, Params::default()),
    };
    if let Some(error) = switched_refusal(app, call, &labels) {
        return refused(&error, call, params);
    }
    let key = call.header("idempotency-key").filter(|key| call.method == Method::POST && !key.is_empty());
    if let Some(key) = key {
        let endpoint = format!("/v1/{}", call.path.trim_matches('/'));
        let begun = app.keys.lock().begin(key, &endpoint, &params.fingerprint(), app.now_ms());
        match begun {
            Ok(Begun::First) => {}
            Ok(Begun::Replay(stored)) => return replayed(app, &labels, stored, params),
            Err(error) => return refused(&error, call, params),
        }
    }
    if let Some(slow) = app.take(M::ApiSlow, &labels) {
        tokio::time::sleep(Duration::from_millis(slow.delay_ms)).await;
    }
    carry_out(app, call, route, params, key).await
}

/// The work itself, under a key that is ours.
async fn carry_out(app: &App, call: &Call, route: &Route, params: Params, key: Option<&str>) -> Outcome {
    let labels = [route.name()];
    let cause = Cause { request: Some(call.request.clone()), idempotency_key: key.map(str::to_owned) };
    let done = endpoints::carry_out(app, route, &params, &cause);
    let (status, body, executed, advice) = match done {
        Ok(value) => {
            if *route == Route::CreateSession && app.take(M::WebhookBeforeReply, &labels).is_some() {
                pay_at_once(app, &value).await;
            }
            if app.take(M::Api500Stored, &labels).is_some() {
                let error =
                    ApiError::new(500, "api_error", "An error occurred while processing your request.");
                (500, error.body(&call.request), true, Advice::DoNotRetry)
            } else {
                (200, value, true, Advice::None)
            }
        }
        Err(error) => {
            let executed = error.stage == Stage::Executed;
            (error.status, error.body(&call.request), executed, error.advice)
        }
    };
    let body = format!("{body:#}");
    if let Some(key) = key {
        let mut keys = app.keys.lock();
        if executed {
            keys.finish(key, Stored { status, body: body.clone(), request: call.request.clone() });
        } else {
            keys.forget(key);
        }
    }
    let heard = heard(app, &labels);
    let fate = if executed { Fate::CarriedOut } else { Fate::Refused };
    Outcome { status, body, replay_of: None, advice, fate, heard, params }
}

/// The fastest buyer there is: the application hears of the payment before it hears of the session.
async fn pay_at_once(app: &App, session: &serde_json::Value) {
    let id = session["id"].as_str().unwrap_or_default();
    if let Ok((_, events)) = app.pay_quietly(id, super::PayWith::Card) {
        let under_way = delivery::UnderWay::new(&app.under_way);
        delivery::first_tries(app, events).await;
        drop(under_way);
    }
}

fn switched_refusal(app: &App, call: &Call, labels: &[&str]) -> Option<ApiError> {
    if app.take(M::Api429, labels).is_some() {
        let message = "Request rate limit exceeded. You can learn more about rate limits here \
                       https://docs.stripe.com/rate-limits.";
        return Some(ApiError::new(429, "invalid_request_error", message).code("rate_limit"));
    }
    if app.take(M::LockTimeout, labels).is_some() {
        let message = "This object cannot be accessed right now because another API request or Stripe process is \
                       currently accessing it.";
        let error = ApiError::new(429, "invalid_request_error", message).code("lock_timeout");
        return Some(error.advice(Advice::Retry));
    }
    if app.take(M::Api500, labels).is_some() {
        let error = ApiError::new(500, "api_error", "An unknown error occurred.");
        return Some(error.advice(Advice::Retry));
    }
    if app.take(M::IdempotencyConflict, labels).is_some() {
        return Some(idempotency::in_use(call.header("idempotency-key").unwrap_or_default()));
    }
    None
}

fn refused(error: &ApiError, call: &Call, params: Params) -> Outcome {
    Outcome {
        status: error.status,
        body: format!("{:#}", error.body(&call.request)),
        replay_of: None,
        advice: error.advice,
        fate: Fate::Refused,
        heard: Heard::Answered,
        params,
    }
}

fn replayed(app: &App, labels: &[&str], stored: Stored, params: Params) -> Outcome {
    Outcome {
        advice: if stored.status >= 500 { Advice::DoNotRetry } else { Advice::None },
        status: stored.status,
        body: stored.body,
        replay_of: Some(stored.request),
        fate: Fate::Replayed,
        heard: heard(app, labels),
        params,
    }
}

fn heard(app: &App, labels: &[&str]) -> Heard {
    if app.take(M::LostReply, labels).is_some() { Heard::Cut } else { Heard::Answered }
}

fn response(call: &Call, outcome: Outcome) -> Response {
    let mut response = Response::new(outcome.body.into());
    *response.status_mut() =
        StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let version = call.header("stripe-version").unwrap_or(API_VERSION);
    let mut say = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    say("request-id", &call.request);
    say("stripe-version", version);
    if let Some(key) = call.header("idempotency-key") {
        say("idempotency-key", key);
    }
    if let Some(original) = &outcome.replay_of {
        say("original-request", original);
        say("idempotent-replayed", "true");
    }
    match outcome.advice {
        Advice::None => {}
        Advice::Retry => say("stripe-should-retry", "true"),
        Advice::DoNotRetry => say("stripe-should-retry", "false"),
    }
    response
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// From `Bearer`, or the user of `Basic`.
    fn api_key(&self) -> Option<String> {
        let header = self.header(AUTHORIZATION.as_str())?;
        if let Some(key) = header.strip_prefix("Bearer ") {
            return Some(key.trim().to_owned());
        }
        let decoded = STANDARD.decode(header.strip_prefix("Basic ")?.trim()).ok()?;
        let pair = String::from_utf8(decoded).ok()?;
        Some(pair.split(':').next().unwrap_or_default().to_owned()).filter(|key| !key.is_empty())
    }

    fn params(&self) -> Result<Params, ApiError> {
        if self.method != Method::POST {
            return Params::parse(self.query.as_bytes());
        }
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        if !self.body.is_empty() && !kind.starts_with("application/x-www-form-urlencoded") {
            return Err(ApiError::invalid(
                "Invalid request (check that your POST content type is application/x-www-form-urlencoded).",
            ));
        }
        Params::parse(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_version_is_a_date_and_perhaps_a_name() {
        for version in ["2026-09-30.endive", "2020-08-27", "2026-09-30.preview"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["", "latest", "2026-9-30", "2026-09-30.", "2026-09-30.Endive", "2026/09/30"] {
            assert!(!is_version(version), "{version}");
        }
    }
}
