//! `GET /api/v1/events/{channel}`: server-sent events of a file, to whoever is listening when they happen.
//!
//! There is no memory: a listener that comes late has missed what was said, and a channel nobody speaks on stays
//! silent. So it is with the real one, which passes messages on as they are published.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::io::{Error, ErrorKind};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;

use super::api;
use super::misbehaviour::{EVENTS, Misbehaviour as M};
use super::refusal::Refusal;
use super::state::App;

/// The longest a stream stays open; listeners come back by themselves.
const STREAM_MAX: Duration = Duration::from_secs(600);

/// How long after its first event a stream breaks that is told to: what was said must be on its way.
const BREAKS_AFTER: Duration = Duration::from_millis(20);

/// How a stream behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Ordinary,
    Silent,
    Slow(Duration),
    /// Breaks after the first event.
    Cut,
    /// The first event was said.
    Breaking,
}

struct Listener {
    receiver: Option<broadcast::Receiver<String>>,
    manner: Manner,
    ping: Duration,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

pub(crate) async fn listen(
    State(app): State<App>,
    Path(channel): Path<String>,
    headers: HeaderMap,
) -> Response {
    app.count(EVENTS);
    // Browsers listen without a token; one that is given must be right.
    if headers.contains_key("authorization")
        && let Some(refusal) = api::unauthorised(&app, &headers)
    {
        return refusal;
    }
    let id = channel.strip_prefix("file.").unwrap_or_default();
    let labels = [EVENTS, id];
    if let Some(refusal) = api::before(&app, &labels).await {
        return refusal;
    }
    let place = app.streams.clone().try_acquire_owned();
    let (Ok(place), None) = (place, app.take(M::SseRefused, &labels)) else {
        return Refusal::Detail(StatusCode::SERVICE_UNAVAILABLE, "No more event streams").into_response();
    };
    let listener = Listener {
        receiver: app.subscribe(id),
        manner: manner(&app, &labels),
        ping: app.config.ping,
        until: Instant::now() + STREAM_MAX,
        _place: place,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(listener, next)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn manner(app: &App, labels: &[&str]) -> Manner {
    if app.take(M::SseSilent, labels).is_some() {
        return Manner::Silent;
    }
    if let Some(slow) = app.take(M::SseSlow, labels) {
        return Manner::Slow(Duration::from_millis(slow.delay_ms));
    }
    if app.take(M::SseCut, labels).is_some() { Manner::Cut } else { Manner::Ordinary }
}

/// The next piece of the stream: an event, or a sign of life; nothing more when its time is over.
async fn next(mut listener: Listener) -> Option<(Result<Bytes, Error>, Listener)> {
    if Instant::now() >= listener.until {
        return None;
    }
    if listener.manner == Manner::Breaking {
        tokio::time::sleep(BREAKS_AFTER).await;
        listener.until = Instant::now();
        return Some((Err(Error::from(ErrorKind::ConnectionReset)), listener));
    }
    let Some(event) = event(&mut listener).await else {
        return Some((Ok(Bytes::from_static(b": ping\r\n\r\n")), listener));
    };
    match listener.manner {
        Manner::Slow(delay) => tokio::time::sleep(delay).await,
        Manner::Cut => listener.manner = Manner::Breaking,
        Manner::Ordinary | Manner::Silent | Manner::Breaking => {}
    }
    Some((Ok(Bytes::from(format!("data: {event}\r\n\r\n"))), listener))
}

/// The next event, or `None` when nothing was said for as long as a ping takes.
async fn event(listener: &mut Listener) -> Option<String> {
    let Some(receiver) = listener.receiver.as_mut().filter(|_| listener.manner != Manner::Silent) else {
        tokio::time::sleep(listener.ping).await;
        return None;
    };
    loop {
        match tokio::time::timeout(listener.ping, receiver.recv()).await {
            Ok(Ok(event)) => return Some(event),
            // Too slow: what was missed is missed.
            Ok(Err(RecvError::Lagged(_))) => {}
            Ok(Err(RecvError::Closed)) => {
                listener.receiver = None;
                return None;
            }
            Err(_) => return None,
        }
    }
}
