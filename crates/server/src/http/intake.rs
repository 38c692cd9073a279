//! The outermost layer: takes a request in when there is room, names it, bounds its time, and tells log and metrics
//! how it went. Runs for every request, so it does little and allocates less.

use super::{headers, problem::Problem};
use crate::app::App;
use crate::limits::{REQUEST_ID_CHARS_MAX, REQUEST_TIMEOUT};
use crate::telemetry;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM: &str = "application/problem+json";
const PLAIN: &[u8] = b"text/plain";
/// How the framework's extractors refuse.
const EXTRACTORS: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];
/// Characters of an extractor's words that are repeated.
const WORDS_CHARS_MAX: usize = 200;
/// Bytes of a problem of ours.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;
/// The label of whatever matches no route: what was asked for is the visitor's word.
const UNMATCHED: &str = "unmatched";

pub(crate) async fn intake(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&app, request.headers());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let Ok(_room) = app.requests.try_acquire() else {
        return sent(&app, Problem::overloaded().into_response(), id).await;
    };
    let under_way = metrics::gauge!(telemetry::IN_FLIGHT);
    under_way.increment(1.0);
    let response = match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::too_slow().into_response(),
    };
    under_way.decrement(1.0);
    tell(&method, route.as_ref().map_or(UNMATCHED, MatchedPath::as_str), &response, began.elapsed(), &id);
    sent(&app, response, id).await
}

async fn sent(app: &App, response: Response, id: HeaderValue) -> Response {
    let mut response = with_a_remedy(response).await;
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM) {
        response = named(response, &id).await;
    }
    headers::protect(&mut response, &app.content_security_policies);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The framework's own extractors refuse in plain text: it becomes a problem. What they do not answer is a handler's word.
async fn with_a_remedy(response: Response) -> Response {
    let status = response.status();
    let is_plain =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(PLAIN));
    if !EXTRACTORS.contains(&status) || !is_plain {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let words: String = String::from_utf8_lossy(&body).chars().take(WORDS_CHARS_MAX).collect();
    let problem = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::unsupported_media_type(),
        _ => Problem::invalid_parameter(&words),
    };
    problem.into_response()
}

/// A problem says which request it is about, whichever layer made it.
async fn named(response: Response, id: &HeaderValue) -> Response {
    let (mut head, body) = response.into_parts();
    // Made by ourselves a moment ago: small, whole, and an object.
    let body = axum::body::to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let body = match (serde_json::from_slice::<Map<String, Value>>(&body), id.to_str()) {
        (Ok(mut problem), Ok(id)) => {
            problem.insert("request_id".to_owned(), id.into());
            Body::from(Value::Object(problem).to_string())
        }
        _ => Body::from(body),
    };
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, body)
}

/// A proxy's or client's own id, when it is harmless in a log; else a new one.
fn request_id(app: &App, headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
    };
    match headers.get(REQUEST_ID).filter(sane) {
        Some(theirs) => theirs.clone(),
        None => HeaderValue::try_from(app.next_request_id()).unwrap_or(HeaderValue::from_static("none")),
    }
}

fn tell(method: &Method, route: &str, response: &Response, took: Duration, id: &HeaderValue) {
    let status = response.status();
    let method = known(method);
    let labels =
        [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
    metrics::counter!(telemetry::REQUESTS, &labels).increment(1);
    metrics::histogram!(telemetry::LATENCY, "route" => route.to_owned()).record(took.as_secs_f64());
    let ms = u64::try_from(took.as_micros()).map_or(f64::MAX, |us| us as f64 / 1000.0);
    let request_id = id.to_str().unwrap_or_default();
    match route {
        // Probes come every few seconds and say nothing new.
        "/healthz" | "/readyz" | "/metrics" | "/api/health" if status.is_success() => {
            tracing::debug!(method, route, status = status.as_u16(), ms, request_id, "request");
        }
        _ => tracing::info!(method, route, status = status.as_u16(), ms, request_id, "request"),
    }
}

/// Methods are an open set; labels are not.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "OTHER",
    }
}
