//! The drop-in routes of paid jobs: a prompt becomes a payment page, and a page, a program or an owner asks how the job
//! goes. The bodies are what existing pages and programs read; Stripe's own messages come in through [`super::stripe`].

mod create;
mod files;
mod page;
mod status;
mod stream;

pub(crate) use page::{prompt as prompt_page, script, success as success_page};

use super::problem::Problem;
use crate::app::App;
use crate::generation::Stripe;
use crate::limits::CREATE_CHECKOUT_BODY_BYTES_MAX;
use crate::stores::reason_of;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};
use sessile_core::StoreError;
use sessile_core::generation::Generations;
use std::borrow::Cow;

/// The page that a buyer comes from, and goes back to.
pub(crate) const PROMPT_PATH: &str = "/en/tool/veo3-prompt-generator";
/// Before the id, in the address of the page that a buyer comes back to.
pub(crate) const SUCCESS_PATH: &str = "/en/payment-success/";

/// What browsers and backends call.
pub(crate) fn routes(app: &App) -> Router<App> {
    let create = post(create::create)
        .layer(DefaultBodyLimit::max(CREATE_CHECKOUT_BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), create::room));
    Router::new()
        .route("/api/create-checkout", create)
        .route("/api/webhook-status/{id}", post(status::report))
        .route("/api/webhook-status/{id}/events", get(stream::events))
        .route("/api/session-data/{id}", get(status::session))
        .route("/api/file/{id}", get(files::file))
        .route("/api/stripe-prices", get(files::prices))
        .route(PROMPT_PATH, get(prompt_page))
        .route("/en/payment-success/{id}", get(success_page))
}

/// What pages ask for again and again. It is for whoever knows the payment's name, so nobody's login is looked up.
pub(crate) fn open_routes() -> Router<App> {
    Router::new().route("/api/webhook-status/{id}", get(status::show))
}

/// Why a request was not carried out.
#[derive(Debug)]
enum Refused {
    /// As pages read it: a status, and a sentence as `error`.
    Plain(StatusCode, Cow<'static, str>),
    /// A part of the kind is not configured.
    Missing(String),
    /// There is no room.
    Full,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Plain(status, error) => {
                (status, [(CACHE_CONTROL, "no-store")], Json(json!({ "error": error }))).into_response()
            }
            Self::Missing(sentence) => Problem::not_configured(&sentence).into_response(),
            Self::Full => Problem::overloaded().into_response(),
        }
    }
}

fn jobs(app: &App) -> Result<&Generations, Refused> {
    app.generation.jobs.as_ref().map_err(|missing| Refused::Missing(missing.clone()))
}

fn stripe(app: &App) -> Result<&Stripe, Refused> {
    app.generation.stripe.as_ref().map_err(|missing| Refused::Missing(missing.clone()))
}

fn refused(status: StatusCode, error: impl Into<Cow<'static, str>>) -> Refused {
    Refused::Plain(status, error.into())
}

fn ok(body: impl Into<Value>) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(body.into())).into_response()
}

/// Storage did not do it: one sentence for the log, the documented one for the caller.
fn away(error: &StoreError) -> Refused {
    if matches!(error, StoreError::Undecodable { .. }) {
        let lost = "The data of this session was never stored or cannot be read. Ask for help with this session's id.";
        tracing::error!(error = reason_of(error), "a generation session cannot be read");
        return refused(StatusCode::INTERNAL_SERVER_ERROR, lost);
    }
    tracing::error!(error = reason_of(error), "the store of generation sessions did not answer");
    refused(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
}
