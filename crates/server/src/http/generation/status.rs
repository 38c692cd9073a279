//! How a job goes, for pages; the whole session, for its owner; and a trusted backend's own word about it.

use super::{Refused, away, jobs, ok, refused};
use crate::app::App;
use crate::generation::{owner_view, progress_view, staff_view};
use crate::http::caller::Asker;
use crate::http::input::Input;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};
use sessile_core::StoreError;
use sessile_core::checkout::Caller;
use sessile_core::generation::{Generation, GenerationKey, Report, Status};

/// Characters of a backend's sentence that are kept.
const SENTENCE_CHARS_MAX: usize = 1000;

/// What pages expect of a session that is not there, or not there yet.
pub(super) fn not_started() -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("status".to_owned(), json!("pending"));
    fields.insert("message".to_owned(), json!("Session not found or processing not yet started"));
    fields
}

/// `GET /api/webhook-status/{id}`.
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Refused> {
    let jobs = jobs(&app)?;
    let Some(key) = GenerationKey::parse(&id) else { return Ok(ok(not_started())) };
    let Some(job) = jobs.find(&key).await.map_err(|error| away(&error))? else {
        return Ok(ok(not_started()));
    };
    let mut fields = progress_view(&job);
    for (name, value) in [
        ("toolSlug", &job.tool_slug),
        ("toolTitle", &job.tool_title),
        ("prompt", &job.prompt),
        ("timestamp", &job.created_at),
    ] {
        fields.insert(name.to_owned(), json!(value));
    }
    Ok(ok(fields))
}

/// `GET /api/session-data/{id}`. Somebody else's looks exactly like a missing one.
pub(super) async fn session(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let jobs = jobs(&app)?;
    let missing = || refused(StatusCode::NOT_FOUND, "Session not found");
    let key = GenerationKey::parse(&id).ok_or_else(missing)?;
    let staff = !matches!(caller, Caller::Browser(_));
    let job = match jobs.find(&key).await {
        Ok(job) => job,
        Err(StoreError::Undecodable { .. }) if !staff => None,
        Err(error) => return Err(away(&error)),
    };
    let job: Generation = job.filter(|job| caller.may_touch(&job.own().owner)).ok_or_else(missing)?;
    Ok(ok(if staff { staff_view(&job, app.clock.now()) } else { owner_view(&job) }))
}

/// `POST /api/webhook-status/{id}`: a backend that makes videos itself says how it goes.
pub(super) async fn report(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
    Input(body): Input,
) -> Result<Response, Refused> {
    let jobs = jobs(&app)?;
    if matches!(caller, Caller::Browser(_)) {
        return Err(refused(StatusCode::UNAUTHORIZED, "Unauthorized"));
    }
    let key = GenerationKey::parse(&id).filter(|key| matches!(key, GenerationKey::Stripe(_)));
    let key = key.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "Invalid session ID"))?;
    let mut body = body.map_err(|bad| refused(bad.status(), bad.to_string()))?;
    let status: Option<Status> = serde_json::from_value(body.take("status")).ok();
    let status = status.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "Invalid status"))?;
    let error = body.text("error").map(|text| text.chars().take(SENTENCE_CHARS_MAX).collect());
    let file_id = body.text("fileId").filter(|id| id.len() <= 255);
    match jobs.report(&key, Report { status, file_id, error }).await {
        Ok(true) => {
            tracing::info!(job = key.fingerprint(), by = %caller, status = status.name(), "a backend reported a job");
            Ok(ok(json!({ "success": true })))
        }
        Ok(false) => Err(refused(StatusCode::CONFLICT, "The session cannot change to this status")),
        Err(StoreError::Gone) => Err(refused(StatusCode::NOT_FOUND, "Session not found")),
        Err(error) => Err(away(&error)),
    }
}
