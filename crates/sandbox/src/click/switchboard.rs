//! `/sandbox/click…`: what is going on, and what is to go wrong. Not part of what the real provider has.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use serde::Deserialize;
use serde_json::json;

use super::attempt::Payment;
use super::config::Callbacks;
use super::error::ClickError;
use super::message::Step;
use super::misbehaviour::Misbehaviour;
use super::pages;
use super::state::App;
use super::switch::{Lasts, Switch};
use crate::switch::number;

/// Payments shown at once, newest first.
const PAYMENTS_SHOWN_MAX: usize = 50;

/// `POST /sandbox/click/misbehave`: a JSON list of names or objects. Replaces what was active.
pub(crate) async fn misbehave(State(app): State<App>, Json(switches): Json<Vec<Switch>>) -> Response {
    let replaced = app.active.lock().replace(&switches);
    match replaced {
        Ok(()) => Json(json!({ "active": app.active.lock().snapshot() })).into_response(),
        Err(why) => bad_request(&ClickError::Switch(why)),
    }
}

/// `POST /sandbox/click/callbacks`: a JSON list of `{prepare_url, complete_url}`. Replaces the known ones.
pub(crate) async fn callbacks(State(app): State<App>, Json(callbacks): Json<Vec<Callbacks>>) -> Response {
    match app.set_callbacks(callbacks) {
        Ok(()) => Json(json!({ "callbacks": app.callbacks() })).into_response(),
        Err(error) => bad_request(&error),
    }
}

/// What the page's form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct SwitchForm {
    kind: Misbehaviour,
    lasts: String,
    order: String,
    on: String,
    copies: String,
    connections: String,
    delay_ms: String,
    error: String,
    amount: String,
}

impl SwitchForm {
    /// Empty fields keep their defaults.
    fn switch(self) -> Result<Switch, String> {
        let mut switch = Switch { lasts: Lasts::of_form(&self.lasts)?, ..Switch::once(self.kind) };
        match self.on.as_str() {
            "" => {}
            "prepare" => switch.on = Some(Step::Prepare),
            "complete" => switch.on = Some(Step::Complete),
            other => return Err(format!("{other:?} is not a message")),
        }
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        (switch.order, switch.amount) = (text(self.order), text(self.amount));
        if let Some(copies) = text(self.copies) {
            switch.copies = number("copies", &copies)?;
        }
        if let Some(connections) = text(self.connections) {
            switch.connections = number("connections", &connections)?;
        }
        if let Some(delay_ms) = text(self.delay_ms) {
            switch.delay_ms = number("delay_ms", &delay_ms)?;
        }
        if let Some(error) = text(self.error) {
            switch.error = number("error", &error)?;
        }
        Ok(switch)
    }
}

/// `POST /sandbox/click/switch`: the page's form; adds one switch.
pub(crate) async fn switch(State(app): State<App>, Form(form): Form<SwitchForm>) -> Response {
    match form.switch().and_then(|switch| app.active.lock().add(&switch)) {
        Ok(()) => Redirect::to("/sandbox/click").into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, pages::refused_link(&why)).into_response(),
    }
}

/// `POST /sandbox/click/clear`: the page's other button; good manners again.
pub(crate) async fn clear(State(app): State<App>) -> Redirect {
    // An empty list is below every limit.
    let _ = app.active.lock().replace(&[]);
    Redirect::to("/sandbox/click")
}

/// `GET /sandbox/click`: a page for a browser, JSON for everybody else.
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Response {
    let (active, counts, callbacks) = (app.active.lock().snapshot(), app.counts(), app.callbacks());
    let payments: Vec<Payment> =
        app.ledger.lock().payments().rev().take(PAYMENTS_SHOWN_MAX).cloned().collect();
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return pages::status(&active, &counts, &callbacks, &payments).into_response();
    }
    let payments =
        json!({ "active": active, "counts": counts, "callbacks": callbacks, "payments": payments });
    Json(payments).into_response()
}

fn bad_request(error: &ClickError) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response()
}
