//! `POST /api/webhooks/stripe`: Stripe's messages. They are believed by their signature alone, kept, answered, and
//! applied by a worker; whatever order and number they come in, that is the worker's to sort out.

use super::problem::Problem;
use crate::app::App;
use crate::generation::subject;
use crate::stores::reason_of;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use sessile_core::generation::{Kept, KeptEvent};
use sessile_providers::stripe::{Event, HEADER, verify};

fn refused(status: StatusCode, error: &str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(json!({ "error": error }))).into_response()
}

fn bad(error: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, error)
}

/// Keeps a message, so that it may be answered.
pub(crate) async fn webhook(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let missing = |sentence: &String| Problem::not_configured(sentence).into_response();
    let jobs = app.generation.jobs.as_ref().map_err(missing)?;
    let stripe = app.generation.stripe.as_ref().map_err(missing)?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => refused(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        _ => bad("The payload did not arrive whole"),
    })?;
    if body.is_empty() {
        return Err(bad("Empty payload"));
    }
    let now = app.clock.now();
    let mut signatures = headers.get_all(HEADER).iter();
    let signature = signatures.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    if signatures.next().is_some() {
        return Err(bad("Invalid signature"));
    }
    if let Err(error) = verify(signature, &body, &stripe.secrets, now.unix_seconds()) {
        tracing::warn!(%error, "a message to Stripe's webhook was not believed");
        return Err(bad("Invalid signature"));
    }
    let (event, body) = match (Event::parse(&body), String::from_utf8(body.to_vec())) {
        (Ok(event), Ok(body)) => (event, body),
        (Err(error), _) => {
            tracing::error!(%error, "a message signed by Stripe cannot be read");
            return Err(bad("Invalid payload"));
        }
        (_, Err(_)) => return Err(bad("Invalid payload")),
    };
    let kept = KeptEvent {
        id: event.id.clone(),
        kind: event.type_name.clone(),
        key: subject(&event).key(),
        body,
        received_at: now,
        attempts: 0,
        next_at: now,
    };
    match jobs.keep(kept).await {
        Ok(Kept::New) => {
            tracing::info!(event = event.id, kind = event.type_name, "a message of Stripe was kept");
            app.generation.bells.news.notify_one();
        }
        Ok(Kept::Known) => tracing::debug!(event = event.id, "a message of Stripe came again"),
        Err(error) => {
            tracing::error!(
                error = reason_of(&error),
                event = event.id,
                "a message of Stripe could not be kept"
            );
            return Err(refused(StatusCode::INTERNAL_SERVER_ERROR, "Webhook processing failed"));
        }
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(json!({ "received": true }))).into_response())
}
