//! `/sandbox/whop…`: the switchboard. Not part of what the real provider has.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::OAuthError;
use super::misbehaviour::Switch;
use super::state::App;
use super::{pages, people};

/// `POST /sandbox/whop/misbehave`: a JSON list of names or `{kind, times}`. Replaces what was active.
pub(crate) async fn misbehave(
    State(app): State<App>,
    Json(switches): Json<Vec<Switch>>,
) -> Result<Response, OAuthError> {
    app.switch(&switches).map_err(OAuthError::invalid_request)?;
    Ok(Json(json!({ "active": app.active() })).into_response())
}

/// `POST /sandbox/whop/rotate-key`: another signing key at once; the old one is no longer published.
pub(crate) async fn rotate_key(State(app): State<App>) -> Result<StatusCode, OAuthError> {
    app.rotate_key().map_err(|_| OAuthError::new("server_error", "No randomness for a key"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /sandbox/whop`: a page for a browser, JSON for everybody else.
pub(crate) async fn status(State(app): State<App>, headers: HeaderMap) -> Response {
    let (active, counts) = (app.active(), app.counts());
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return pages::status(&active, &counts, &app.config.redirect_uris).into_response();
    }
    Json(json!({ "active": active, "counts": counts })).into_response()
}

/// `GET /sandbox/whop/people/{key}.svg`: a demo person's picture.
pub(crate) async fn avatar(Path(file): Path<String>) -> Response {
    let Some(person) = file.strip_suffix(".svg").and_then(people::find) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let initial = person.name.chars().next().unwrap_or('?');
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64' role='img' aria-label='{name}'>\
         <rect width='64' height='64' rx='32' fill='#2448d8'/><text x='32' y='42' font-family='sans-serif' \
         font-size='28' text-anchor='middle' fill='#fff'>{initial}</text></svg>",
        name = person.name,
    );
    ([(CONTENT_TYPE, "image/svg+xml")], svg).into_response()
}
