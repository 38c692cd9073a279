//! `/sandbox/superduperai…`: what is going on, and what is to go wrong. Not part of what the real provider has.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use serde::Deserialize;
use serde_json::json;

use super::error::SuperDuperAiError;
use super::generation::Generation;
use super::misbehaviour::Misbehaviour;
use super::state::App;
use super::{SuperDuperAiControl, Switch, board_page};
use crate::switch::SwitchForm;

/// Generations shown at once, newest first.
const SHOWN_MAX: usize = 50;

/// `POST /sandbox/superduperai/misbehave`: a JSON list of names or objects. Replaces what was active.
pub(crate) async fn misbehave(State(app): State<App>, Json(switches): Json<Vec<Switch>>) -> Response {
    let replaced = app.active.lock().replace(&switches);
    match replaced {
        Ok(()) => Json(json!({ "active": app.active.lock().snapshot() })).into_response(),
        Err(why) => {
            let error = SuperDuperAiError::Switch(why).to_string();
            (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
        }
    }
}

/// `POST /sandbox/superduperai/switch`: the page's form; adds one switch.
pub(crate) async fn switch(State(app): State<App>, Form(form): Form<SwitchForm<Misbehaviour>>) -> Response {
    match form.switch().and_then(|switch| app.active.lock().add(&switch)) {
        Ok(()) => Redirect::to("/sandbox/superduperai").into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, board_page::refused(&why)).into_response(),
    }
}

/// `POST /sandbox/superduperai/clear`: the page's other button; good manners again.
pub(crate) async fn clear(State(app): State<App>) -> Redirect {
    // An empty list is below every limit.
    let _ = app.active.lock().replace(&[]);
    Redirect::to("/sandbox/superduperai")
}

/// A button of the page.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Finish,
    Fail,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ActForm {
    act: Act,
    id: String,
}

/// `POST /sandbox/superduperai/act`: ends a generation by hand.
pub(crate) async fn act(State(app): State<App>, Form(form): Form<ActForm>) -> Response {
    let control = SuperDuperAiControl::new(app);
    let done = match form.act {
        Act::Finish => control.finish(&form.id),
        Act::Fail => control.fail(&form.id, "Stopped by hand"),
    };
    match done {
        Ok(()) => Redirect::to("/sandbox/superduperai").into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, board_page::refused(&error.to_string())).into_response(),
    }
}

/// `GET /sandbox/superduperai`: a page for a browser, JSON for everybody else.
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Response {
    let generations: Vec<Generation> = {
        let entries = app.entries.lock();
        entries.iter().rev().take(SHOWN_MAX).map(|entry| entry.generation.clone()).collect()
    };
    let (active, counts) = (app.active.lock().snapshot(), app.counts());
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return board_page::board(&active, &counts, &generations).into_response();
    }
    let files: Vec<_> = generations.iter().map(Generation::json).collect();
    Json(json!({ "active": active, "counts": counts, "files": files })).into_response()
}
