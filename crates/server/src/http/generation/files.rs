//! What is passed on from the providers: a file of the generator as it is, and the prices that are sold.

use super::{Refused, ok, stripe};
use crate::app::App;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;
use sessile_providers::superduperai::ReadError;

/// `GET /api/file/{id}`.
pub(super) async fn file(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refused> {
    let generator = app.generation.generator.as_ref().map_err(|missing| Refused::Missing(missing.clone()))?;
    match generator.file(&id).await {
        Ok(file) => {
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            Ok((headers, file.raw().get().to_owned()).into_response())
        }
        Err(error) => {
            tracing::warn!(%error, "a file could not be passed on");
            let status = match &error {
                ReadError::InvalidId => 404,
                other => other.http_status().unwrap_or(502),
            };
            let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let body = json!({ "error": "Failed to get file status", "details": format!("HTTP {status}") });
            Ok((code, [(CACHE_CONTROL, "no-store")], Json(body)).into_response())
        }
    }
}

/// `GET /api/stripe-prices`.
pub(super) async fn prices(State(app): State<App>) -> Result<Response, Refused> {
    let stripe = stripe(&app)?;
    let (single, triple) = (&stripe.prices.single, &stripe.prices.triple);
    if single.is_none() && triple.is_none() {
        tracing::error!(
            "STRIPE_PRICE_SINGLE and STRIPE_PRICE_TRIPLE are not set: there are no prices to show"
        );
        let body = json!({ "success": false, "error": "Failed to fetch prices" });
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response());
    }
    let prices = json!({ "single": single, "triple": triple });
    Ok(ok(json!({ "success": true, "prices": prices, "mode": stripe.mode.as_str() })))
}
