//! Is the process alive, can it serve, and how is it doing.

use crate::app::App;
use crate::limits::READY_TIMEOUT;
use crate::stores::reason_of;
use crate::telemetry;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use sessile_core::StoreError;

const NO_STORE: [(http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// `GET /healthz`, `GET /api/health`: says nothing of the stores.
pub(crate) async fn alive(State(app): State<App>) -> impl IntoResponse {
    (NO_STORE, Json(json!({ "status": "ok", "timestamp": app.clock.now().to_iso8601() })))
}

/// `GET /readyz`: 503 only when it cannot serve. A fallback that stands in, or a store of paid jobs or of WhatsApp devices
/// that is away, is `degraded`, with the reason.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let store = app.sessions.logins().store();
    let (answer, jobs, devices) = tokio::join!(in_time(store.ping()), jobs(&app), app.whatsapp.trouble());
    let info = store.info();
    let about = |status: &str, why: Value| {
        let persistent = info.persistence == sessile_core::login::Persistence::Durable;
        let store = json!({ "engine": info.engine, "persistent": persistent });
        let mut about = json!({ "status": status, "why": why, "store": store, "timestamp": app.clock.now().to_iso8601() });
        if let Some(jobs) = &jobs {
            let status = if jobs.is_ok() { "ready" } else { "unavailable" };
            about["generation"] = json!({ "status": status });
        }
        if app.whatsapp.store.is_some() {
            let status = if devices.is_none() { "ready" } else { "unavailable" };
            about["whatsapp"] = json!({ "status": status });
        }
        Json(about)
    };
    match (answer, &info.degraded, &jobs) {
        (Err(error), None, _) => {
            tracing::warn!(error = reason_of(&error), "not ready: session storage did not answer");
            let why = json!("session storage did not answer");
            let again = [(RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, NO_STORE, again, about("unavailable", why)).into_response()
        }
        (_, Some(why), _) => (NO_STORE, about("degraded", json!(why))).into_response(),
        (Ok(()), None, Some(Err(error))) => {
            tracing::warn!(error = reason_of(error), "the store of generation sessions did not answer");
            let why = json!("the store of generation sessions did not answer");
            (NO_STORE, about("degraded", why)).into_response()
        }
        (Ok(()), None, Some(Ok(())) | None) if devices.is_some() => {
            tracing::warn!(error = devices, "the store of WhatsApp devices is in trouble");
            let why = json!("the store of WhatsApp devices is in trouble");
            (NO_STORE, about("degraded", why)).into_response()
        }
        (Ok(()), None, Some(Ok(())) | None) => (NO_STORE, about("ready", Value::Null)).into_response(),
    }
}

/// Whether the store of paid jobs answers; `None` where none are kept.
async fn jobs(app: &App) -> Option<Result<(), StoreError>> {
    let jobs = app.generation.jobs.as_ref().ok()?;
    Some(in_time(jobs.store().ping()).await)
}

async fn in_time(ping: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    match tokio::time::timeout(READY_TIMEOUT, ping).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(StoreError::unavailable(elapsed)),
    }
}

/// `GET /metrics`, for Prometheus.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let degraded = app.sessions.logins().store().info().degraded.is_some();
    metrics::gauge!(telemetry::DEGRADED).set(if degraded { 1.0 } else { 0.0 });
    if let Some(Ok(spooled)) = app.fallback.as_ref().map(|fallback| fallback.spooled()) {
        metrics::gauge!(telemetry::SPOOLED, "what" => "sessions").set(spooled.sessions as f64);
        metrics::gauge!(telemetry::SPOOLED, "what" => "ends").set(spooled.ends as f64);
    }
    if let Some(spool) = &app.whatsapp.spool {
        let (behind, steps) = spool.behind();
        metrics::gauge!(telemetry::WHATSAPP_BEHIND).set(behind as f64);
        metrics::gauge!(telemetry::WHATSAPP_WAITING_STEPS).set(steps as f64);
        metrics::counter!(telemetry::WHATSAPP_FALLBACKS).absolute(spool.fallbacks());
    }
    match telemetry::render() {
        Some(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
