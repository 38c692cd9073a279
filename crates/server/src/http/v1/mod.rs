//! Our own API for checkouts, payments and what operators do with them: problem+json, cursors, idempotency keys.
//!
//! Lists are for the operator and for trusted backends; a single checkout or payment also for its owner, to whom
//! somebody else's looks exactly like a missing one. `/v1/admin/*` is the operator's alone.

mod census;
mod checkouts;
pub(crate) mod coupons;
pub(crate) mod generations;
mod input;
pub(crate) mod list;
pub(crate) mod outbox;
mod payments;
pub(crate) mod problems;
pub(crate) mod refunds;
mod staff;

use super::caller::operator_only;
use super::problem::Problem;
use crate::app::App;
use crate::money::Money;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CACHE_CONTROL;
use sessile_core::StoreError;

/// What owners may call too; a browser is known by its session.
pub(crate) fn shared() -> Router<App> {
    Router::new()
        .route("/v1/payments", get(payments::list))
        .route("/v1/payments/{id}", get(payments::show))
        .route("/v1/payments/{id}/cancel", post(payments::cancel))
        .route("/v1/payments/{id}/refund", post(payments::refund))
        .route("/v1/checkouts", get(checkouts::list))
        .route("/v1/checkouts/{id}", get(checkouts::show))
        .route("/v1/checkouts/{id}/cancel", post(checkouts::cancel))
        .route("/v1/refunds", get(refunds::list))
}

/// The operator's.
pub(crate) fn admin(app: &App) -> Router<App> {
    Router::new()
        .route("/v1/admin/coupons", get(coupons::list).post(coupons::create))
        .route("/v1/admin/coupons/{id}/enable", post(coupons::enable))
        .route("/v1/admin/coupons/{id}/disable", post(coupons::disable))
        .route("/v1/admin/refunds/{id}/settle", post(refunds::settle))
        .route("/v1/admin/outbox", get(outbox::list))
        .route("/v1/admin/outbox/{id}/requeue", post(outbox::requeue))
        .route("/v1/admin/census", get(census::show))
        .route_layer(from_fn_with_state(app.clone(), operator_only))
}

pub(crate) fn money(app: &App) -> Result<&Money, Problem> {
    app.money.kinds.as_ref().map_err(|missing| Problem::not_configured(missing))
}

/// Why a request about money failed: one sentence for the log, a problem for the caller.
pub(crate) fn away(error: &StoreError) -> Problem {
    tracing::error!(error = crate::stores::reason_of(error), "the ledger did not answer");
    match error {
        StoreError::Unavailable(_) => Problem::ledger_unavailable(),
        _ => Problem::internal_error(),
    }
}

/// Somebody's own data is nobody else's to keep.
fn ok(body: impl serde::Serialize) -> Response {
    ([(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}
