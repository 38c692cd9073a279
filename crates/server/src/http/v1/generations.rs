//! `/v1/generations`: paid jobs and Stripe's waiting messages, for operators and trusted backends.

use super::list::Listing;
use super::ok;
use super::staff::Staff;
use crate::app::App;
use crate::generation::staff_view;
use crate::http::problem::Problem;
use crate::stores::reason_of;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::checkout::Caller;
use sessile_core::generation::{Generation, GenerationKey, Generations, KeptEvent};
use sessile_core::{StoreError, Timestamp};

const STATES: [&str; 4] = ["pending", "processing", "completed", "error"];
/// What a list leaves out: it is shown with the job.
const LONG: [&str; 4] = ["prompt", "timeline", "requests", "events"];

/// For operators and trusted backends.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/generations", get(list))
        .route("/v1/generations/events", get(events))
        .route("/v1/generations/{id}", get(show))
        .route("/v1/generations/{id}/retry", post(retry))
        .route("/v1/generations/{id}/refund", post(refund))
}

impl Problem {
    fn generation_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "generation_not_found",
            "No such generation session",
            "There is no generation session of this name, or nobody changed it for 30 days.",
            "Check the id: `cs_…` as Stripe names it, or `gen_…` as we do.",
        )
    }

    fn generation_not_retryable() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "generation_not_retryable",
            "Nothing to retry",
            "The session is not paid, none of its videos failed, or its money goes back.",
            "Load the session and act on its `status`, `money` and `refund`.",
        )
    }

    fn generation_unreadable() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "generation_unreadable",
            "The stored session cannot be read",
            "A value is stored under this name that is no session: its data was never stored, or a newer program wrote it.",
            "Look up the payment in Stripe's dashboard; the value is kept as it is.",
        )
    }

    fn generations_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "generations_unavailable",
            "The store of generation sessions is unavailable",
            "The store did not answer, so it is not known whether the change is stored.",
            "Repeat the request after `Retry-After`; repeating is safe.",
        )
    }
}

pub(crate) fn lost(error: StoreError) -> Problem {
    match error {
        StoreError::Gone => Problem::generation_not_found(),
        StoreError::Undecodable { .. } => Problem::generation_unreadable(),
        other => {
            tracing::error!(error = reason_of(&other), "the store of generation sessions did not answer");
            Problem::generations_unavailable()
        }
    }
}

fn jobs(app: &App) -> Result<&Generations, Problem> {
    app.generation.jobs.as_ref().map_err(|missing| Problem::not_configured(missing))
}

fn known(id: &str) -> Result<GenerationKey, Problem> {
    GenerationKey::parse(id).ok_or_else(Problem::generation_not_found)
}

/// `GET /v1/generations?status&limit`, newest first.
async fn list(State(app): State<App>, _: Staff, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let Listing { after, limit, filters: [status] } = Listing::read(query.as_deref(), ["status"])?;
    if after.is_some() {
        return Err(Problem::invalid_parameter("This list has one page: the newest sessions."));
    }
    if status.as_deref().is_some_and(|status| !STATES.contains(&status)) {
        let known = STATES.join("`, `");
        return Err(Problem::invalid_parameter(&format!("`status` is one of `{known}`.")));
    }
    let found = jobs(&app)?.store().recent(status.as_deref(), limit).await.map_err(lost)?;
    let now = app.clock.now();
    let data: Vec<Value> = found.iter().map(|job| short(job, now)).collect();
    Ok(ok(json!({ "data": data, "nextCursor": null })))
}

fn short(job: &Generation, now: Timestamp) -> Value {
    let mut view = staff_view(job, now);
    if let Some(fields) = view.as_object_mut() {
        fields.retain(|name, _| !LONG.contains(&name.as_str()));
    }
    view["promptBytes"] = json!(job.prompt.len());
    view
}

/// `GET /v1/generations/{id}`.
async fn show(State(app): State<App>, _: Staff, Path(id): Path<String>) -> Result<Response, Problem> {
    let job =
        jobs(&app)?.find(&known(&id)?).await.map_err(lost)?.ok_or_else(Problem::generation_not_found)?;
    Ok(ok(staff_view(&job, app.clock.now())))
}

/// `POST /v1/generations/{id}/retry`: makes the failed videos after all.
async fn retry(
    State(app): State<App>,
    Staff(caller): Staff,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = retry_job(&app, &id, &caller).await?;
    Ok(ok(staff_view(&job, app.clock.now())))
}

/// The same, for whoever may.
pub(crate) async fn retry_job(app: &App, id: &str, by: &Caller) -> Result<Generation, Problem> {
    let key = known(id)?;
    let (job, changed) = jobs(app)?.change(&key, Generation::retry).await.map_err(lost)?;
    if !changed {
        return Err(Problem::generation_not_retryable());
    }
    tracing::info!(job = key.fingerprint(), %by, "a job is tried again");
    app.generation.bells.work.notify_one();
    Ok(job)
}

/// `POST /v1/generations/{id}/refund`: all of it. Ordering it twice orders it once.
async fn refund(
    State(app): State<App>,
    Staff(caller): Staff,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = refund_job(&app, &id, &caller).await?;
    Ok(ok(staff_view(&job, app.clock.now())))
}

/// The same, for whoever may.
pub(crate) async fn refund_job(app: &App, id: &str, by: &Caller) -> Result<Generation, Problem> {
    let key = known(id)?;
    let order = |job: &mut Generation, now| job.own().payment_intent.is_some() && job.order_refund(now);
    let (job, changed) = jobs(app)?.change(&key, order).await.map_err(lost)?;
    if !changed {
        return Err(Problem::nothing_to_refund());
    }
    tracing::info!(job = key.fingerprint(), %by, "a refund is ordered");
    app.generation.bells.work.notify_one();
    Ok(job)
}

/// `GET /v1/generations/events?limit`: messages of Stripe that nobody could apply so far, the oldest first.
async fn events(State(app): State<App>, _: Staff, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let Listing { after, limit, filters: [] } = Listing::read(query.as_deref(), [])?;
    if after.is_some() {
        return Err(Problem::invalid_parameter("This list has one page: the oldest messages."));
    }
    let waiting = jobs(&app)?.store().waiting(limit).await.map_err(lost)?;
    Ok(ok(json!({ "data": waiting.iter().map(event).collect::<Vec<Value>>(), "nextCursor": null })))
}

fn event(event: &KeptEvent) -> Value {
    json!({
        "id": event.id,
        "type": event.kind,
        "sessionId": event.key.as_ref().map(GenerationKey::as_str),
        "receivedAt": event.received_at.to_iso8601(),
        "attempts": event.attempts,
        "nextAt": event.next_at.to_iso8601(),
    })
}
