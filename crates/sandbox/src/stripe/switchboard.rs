//! `/sandbox/stripe…`: what is going on, and what is to go wrong. Not part of what the real provider has.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use serde::Deserialize;
use serde_json::json;

use super::board_page::{self, Board};
use super::config::Webhook;
use super::error::StripeError;
use super::event::{Cause, Event};
use super::misbehaviour::Misbehaviour;
use super::payment::{PayWith, Settlement};
use super::session::CheckoutSession;
use super::state::App;
use super::{Switch, delivery};
use crate::switch::SwitchForm;

/// Sessions and events shown at once, newest first.
const SHOWN_MAX: usize = 50;

/// `POST /sandbox/stripe/misbehave`: a JSON list of names or objects. Replaces what was active.
pub(crate) async fn misbehave(State(app): State<App>, Json(switches): Json<Vec<Switch>>) -> Response {
    let replaced = app.active.lock().replace(&switches);
    match replaced {
        Ok(()) => Json(json!({ "active": app.active.lock().snapshot() })).into_response(),
        Err(why) => bad_request(&StripeError::Switch(why)),
    }
}

/// What `POST /sandbox/stripe/webhook` takes: `{"url": "…", "secret": "whsec_…"}`, or `urls` and `secrets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookForm {
    url: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
    secret: Option<String>,
    #[serde(default)]
    secrets: Vec<String>,
}

/// `POST /sandbox/stripe/webhook`: where events go from now on.
pub(crate) async fn webhook(State(app): State<App>, Json(form): Json<WebhookForm>) -> Response {
    let urls = form.url.into_iter().chain(form.urls);
    match app.set_webhook(Webhook::in_turn(urls, form.secret.into_iter().chain(form.secrets))) {
        Ok(()) => Json(json!({ "urls": app.webhook().map(|webhook| webhook.urls) })).into_response(),
        Err(error) => bad_request(&error),
    }
}

/// `POST /sandbox/stripe/switch`: the page's form; adds one switch.
pub(crate) async fn switch(State(app): State<App>, Form(form): Form<SwitchForm<Misbehaviour>>) -> Response {
    match form.switch().and_then(|switch| app.active.lock().add(&switch)) {
        Ok(()) => Redirect::to("/sandbox/stripe").into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, board_page::refused(&why)).into_response(),
    }
}

/// `POST /sandbox/stripe/clear`: the page's other button; good manners again.
pub(crate) async fn clear(State(app): State<App>) -> Redirect {
    // An empty list is below every limit.
    let _ = app.active.lock().replace(&[]);
    Redirect::to("/sandbox/stripe")
}

/// A button of the page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Pay,
    Expire,
    SettleSucceeds,
    SettleFails,
    Refund,
    Dispute,
    DeliverAgain,
}

/// Which button, of a session or of an event.
#[derive(Debug, Deserialize)]
pub(crate) struct ActForm {
    act: Act,
    id: String,
}

/// `POST /sandbox/stripe/act`: what a person does by hand, from the page or from a script.
pub(crate) async fn act(State(app): State<App>, Form(form): Form<ActForm>) -> Response {
    let (app, id) = (&app, form.id.as_str());
    let done = match form.act {
        Act::Pay => app.pay(id, PayWith::Card).map(|_| ()),
        Act::Expire => app.expire(id, &Cause::default()),
        Act::SettleSucceeds => app.settle(id, Settlement::Succeeds),
        Act::SettleFails => app.settle(id, Settlement::Fails),
        Act::Refund => app.refund_session(id, None).map(|_| ()),
        Act::Dispute => app.dispute(id),
        Act::DeliverAgain => {
            delivery::send_all(app, &[id.to_owned()], 1).await;
            Ok(())
        }
    };
    match done {
        Ok(()) => Redirect::to("/sandbox/stripe").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, board_page::refused(&error.to_string())).into_response(),
    }
}

/// `GET /sandbox/stripe`: a page for a browser, JSON for everybody else.
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Response {
    let sessions: Vec<CheckoutSession> =
        app.books.lock().sessions.iter().rev().take(SHOWN_MAX).cloned().collect();
    let events: Vec<Event> = app.events.lock().iter().rev().take(SHOWN_MAX).cloned().collect();
    let (calls, log) = {
        let log = app.log.lock();
        (log.counts().clone(), log.calls().rev().take(SHOWN_MAX).cloned().collect::<Vec<_>>())
    };
    let (active, counts) = (app.active.lock().snapshot(), app.counts());
    let urls = app.webhook().map(|webhook| webhook.urls).unwrap_or_default();
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        let board =
            Board { active: &active, counts: &counts, urls: &urls, sessions: &sessions, events: &events };
        return board_page::board(&board, &calls, &log).into_response();
    }
    let sessions: Vec<_> = sessions.iter().map(CheckoutSession::json).collect();
    Json(json!({
        "active": active, "counts": counts, "webhook_urls": urls, "calls": calls, "log": log,
        "sessions": sessions, "events": events,
    }))
    .into_response()
}

fn bad_request(error: &StripeError) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response()
}
