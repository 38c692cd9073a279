//! `/v1/admin/outbox`: what the world has not heard yet, and what was given up.

use super::list::Listing;
use super::{away, money, ok};
use crate::app::App;
use crate::http::problem::Problem;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::ledger::{Effect, EffectRow, EffectState};

/// `GET /v1/admin/outbox?state=dead|pending&limit`, oldest first.
pub(crate) async fn list(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let ledger = &money(&app)?.ledger;
    let Listing { after, limit, filters: [state] } = Listing::read(query.as_deref(), ["state"])?;
    let state = match state.as_deref() {
        Some("dead") => EffectState::Dead,
        None | Some("pending") => EffectState::Pending,
        Some(_) => return Err(Problem::invalid_parameter("`state` is `dead` or `pending`.")),
    };
    if after.is_some() {
        let what = "The outbox has one page: requeue or carry out what is on it, and ask again.";
        return Err(Problem::invalid_parameter(what));
    }
    let rows = ledger.effects(state, limit).await.map_err(|error| away(&error))?;
    let data: Vec<Value> = rows.iter().map(view).collect();
    Ok(ok(json!({ "data": data, "nextCursor": null })))
}

/// `POST /v1/admin/outbox/{id}/requeue`.
pub(crate) async fn requeue(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    put_back(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The same, for whoever may.
pub(crate) async fn put_back(app: &App, id: &str) -> Result<(), Problem> {
    // No id of ours, and with a NUL nothing that Postgres would take.
    if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::effect_not_found());
    }
    let back = money(app)?.ledger.requeue(id, app.clock.now()).await.map_err(|error| away(&error))?;
    if !back {
        return Err(Problem::effect_not_found());
    }
    tracing::info!(effect = id, "a dead effect was put back");
    Ok(())
}

fn view(row: &EffectRow) -> Value {
    let about = match &row.effect {
        Effect::Webhook { topic, .. } => json!({ "topic": topic }),
        Effect::Refund { refund, payment } => json!({ "refundId": refund, "paymentId": payment }),
        Effect::Tier { user, tier } => json!({ "userId": user, "tier": tier }),
    };
    json!({
        "id": row.id,
        "kind": row.effect.kind().name(),
        "about": about,
        "state": row.state.name(),
        "attempts": row.attempts,
        "error": row.error,
        "createdAt": row.created_at.to_iso8601(),
        "nextAt": row.next_at.to_iso8601(),
    })
}
