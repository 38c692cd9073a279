//! The API: start a generation, look at a file, list files.
//!
//! A generation is started in a task of its own: a caller that hangs up does not undo it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::generation::{Generation, GenerationState};
use super::misbehaviour::{FILE, FILES, GENERATE, Misbehaviour as M};
use super::refusal::Refusal;
use super::render;
use super::state::App;
use crate::{random, reply};

/// How many files a page has unless asked, and at most.
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// `POST /api/v1/file/generate-video`.
pub(crate) async fn generate(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let task = tokio::spawn(async move {
        app.count(GENERATE);
        if let Some(refusal) = unauthorised(&app, &headers) {
            return refusal;
        }
        let request = match Request::parse(&app, body) {
            Ok(request) => request,
            Err(refusal) => return refusal.into_response(),
        };
        let seed = request.seed.map(|seed| format!("seed:{seed}")).unwrap_or_default();
        let labels = [GENERATE, seed.as_str()];
        if let Some(refusal) = before(&app, &labels).await {
            return refusal;
        }
        let file = start(&app, request, &labels);
        after(&app, &labels, file).await
    });
    task.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// `GET /api/v1/file/{id}`.
pub(crate) async fn file(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    app.count(FILE);
    if let Some(refusal) = unauthorised(&app, &headers) {
        return refusal;
    }
    let labels = [FILE, id.as_str()];
    if let Some(refusal) = before(&app, &labels).await {
        return refusal;
    }
    let known = app.generation(&id);
    match known.filter(|_| app.take(M::NotFound, &labels).is_none()) {
        Some(generation) => after(&app, &labels, generation.json()).await,
        None => Refusal::Detail(StatusCode::NOT_FOUND, "File not found").into_response(),
    }
}

/// `GET /api/v1/file`: newest first unless `order=ascendent`.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    app.count(FILES);
    if let Some(refusal) = unauthorised(&app, &headers) {
        return refusal;
    }
    if let Some(refusal) = before(&app, &[FILES]).await {
        return refusal;
    }
    match page(&app, &query.unwrap_or_default()) {
        Ok(page) => after(&app, &[FILES], page).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn page(app: &App, query: &str) -> Result<Value, Refusal> {
    let (mut limit, mut offset, mut ascending, mut wanted) = (PAGE_DEFAULT, 0, false, true);
    let mut types: Vec<String> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("limit", text) => limit = number(text, "limit", 1, PAGE_MAX)?,
            ("offset", text) => offset = number(text, "offset", 0, usize::MAX)?,
            ("types", kind) => types.push(kind.to_owned()),
            ("order", "descendent") | ("order_by", "created_at") => {}
            ("order", "ascendent") => ascending = true,
            ("order" | "order_by", _) => {
                return Err(Refusal::query(&name, "Input is not among the known values"));
            }
            // Files here belong to nobody's project, scene or entity.
            ("user_id" | "project_id" | "entity_id" | "scene_id", _) => wanted = false,
            _ => {}
        }
    }
    wanted &= types.is_empty() || types.iter().any(|kind| kind == "video");
    let entries = app.entries.lock();
    let mut all: Vec<&Generation> =
        entries.iter().map(|entry| &entry.generation).filter(|_| wanted).collect();
    if !ascending {
        all.reverse();
    }
    let items: Vec<Value> = all.iter().skip(offset).take(limit).map(|file| file.json()).collect();
    Ok(json!({ "items": items, "total": all.len(), "limit": limit, "offset": offset, "next": null }))
}

fn number(text: &str, name: &str, least: usize, most: usize) -> Result<usize, Refusal> {
    let read = text.parse::<usize>().ok().filter(|number| (least..=most).contains(number));
    read.ok_or_else(|| Refusal::query(name, "Input should be a valid integer within its limits"))
}

/// A request that makes sense.
struct Request {
    body: Bytes,
    prompt: String,
    seed: Option<i64>,
    config: Value,
}

impl Request {
    fn parse(app: &App, body: Bytes) -> Result<Self, Refusal> {
        let read: Value =
            serde_json::from_slice(&body).map_err(|_| Refusal::body("", "JSON decode error"))?;
        let config = read.get("config").filter(|config| config.is_object());
        let config = config.ok_or_else(|| Refusal::body("config", "Field required"))?.clone();
        let prompt = config.get("prompt").and_then(Value::as_str);
        let prompt = prompt.ok_or_else(|| Refusal::body("config.prompt", "Field required"))?.to_owned();
        let seed = config.get("seed").filter(|seed| !seed.is_null());
        if seed.is_some_and(|seed| !seed.is_i64()) {
            return Err(Refusal::body("config.seed", "Input should be a valid integer"));
        }
        for name in ["width", "height", "duration", "frame_rate", "batch_size"] {
            if config.get(name).is_some_and(|value| !value.is_null() && !value.is_number()) {
                return Err(Refusal::body(&format!("config.{name}"), "Input should be a valid number"));
            }
        }
        let model = config.get("generation_config_name").and_then(Value::as_str).unwrap_or_default();
        if !app.config.models.iter().any(|known| known == model) {
            return Err(Refusal::Detail(StatusCode::NOT_FOUND, "Generation config not found"));
        }
        Ok(Self { seed: seed.and_then(Value::as_i64), prompt, config, body })
    }
}

/// Accepts a request; the video is made in the background.
fn start(app: &App, request: Request, labels: &[&str]) -> Value {
    let generation = Generation {
        file_id: random::uuid(),
        at_ms: app.now_ms(),
        body: request.body,
        prompt: request.prompt,
        seed: request.seed,
        config: request.config,
        state: GenerationState::Rendering,
        progress: 0,
        url: None,
        number: app.next_number(),
        task_id: random::uuid(),
        generation_id: random::uuid(),
    };
    let (id, file) = (generation.file_id.clone(), generation.json());
    app.add(generation);
    app.count("generations");
    render::start(Arc::clone(app), id, render::Plan::switched(app, labels));
    file
}

/// What can go wrong before anything is done.
pub(crate) async fn before(app: &App, labels: &[&str]) -> Option<Response> {
    if app.take(M::Timeout, labels).is_some() {
        tokio::time::sleep(app.config.hang).await;
        return Some(reply::lost());
    }
    if let Some(switch) = app.take(M::RateLimited, labels) {
        let mut response =
            Refusal::Detail(StatusCode::TOO_MANY_REQUESTS, "Too many requests").into_response();
        let seconds = switch.delay_ms.div_ceil(1000).max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        return Some(response);
    }
    app.take(M::ServerError, labels).map(|_| internal())
}

/// What can go wrong after it is done.
async fn after(app: &App, labels: &[&str], answer: Value) -> Response {
    if let Some(switch) = app.take(M::SlowReply, labels) {
        tokio::time::sleep(Duration::from_millis(switch.delay_ms)).await;
    }
    if app.take(M::LostReply, labels).is_some() {
        return reply::lost();
    }
    if app.take(M::ServerErrorAfter, labels).is_some() {
        return internal();
    }
    if app.take(M::Garbage, labels).is_some() {
        return "<html>not what you asked for</html>".into_response();
    }
    Json(answer).into_response()
}

fn internal() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
}

pub(crate) fn unauthorised(app: &App, headers: &HeaderMap) -> Option<Response> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let why = match header.and_then(|header| header.strip_prefix("Bearer ")) {
        Some(token) if token == app.config.token => return None,
        Some(_) => "Could not validate credentials",
        None => "Not authenticated",
    };
    Some(Refusal::Detail(StatusCode::UNAUTHORIZED, why).into_response())
}
