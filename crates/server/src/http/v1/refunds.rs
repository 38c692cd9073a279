//! `/v1/refunds`: money going back, and the operator's word on what the provider would not do.

use super::input::Shaped;
use super::list::{Listing, page_of};
use super::staff::Staff;
use super::{away, money, ok};
use crate::app::App;
use crate::http::problem::Problem;
use crate::limits::NOTE_CHARS_MAX;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use sessile_core::checkout::Caller;
use sessile_core::ledger::{Kind, PaymentFilter, Record};
use sessile_core::payment::{PaymentError, Refund, RefundEvent, RefundId};

/// `GET /v1/refunds?cursor&limit`.
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ledger = &money(&app)?.ledger;
    let Listing { after, limit, filters: [] } = Listing::read(query.as_deref(), [])?;
    let page = ledger.page(Kind::Refund, &PaymentFilter::default(), after.as_ref(), limit).await;
    Ok(ok(page_of(page.map_err(|error| away(&error))?, |record| match record {
        Record::Refund(refund) => Some(view(&refund)),
        _ => None,
    })))
}

/// What the operator says about a refund.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settlement {
    /// How the money went back.
    note: String,
}

/// `POST /v1/admin/refunds/{id}/settle`.
pub(crate) async fn settle(
    State(app): State<App>,
    Path(id): Path<String>,
    Shaped(Settlement { note }): Shaped<Settlement>,
) -> Result<Response, Problem> {
    Ok(ok(view(&settle_by_hand(&app, &id, &note).await?)))
}

/// The same, for whoever may: the operator's word that the money went back, and how.
pub(crate) async fn settle_by_hand(app: &App, id: &str, note: &str) -> Result<Refund, Problem> {
    let note = note.trim();
    if note.is_empty() || note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) {
        let what = format!("`note` says how the money went back, in 1 to {NOTE_CHARS_MAX} characters.");
        return Err(Problem::invalid_body(&what));
    }
    let id = RefundId::parse(id).ok_or_else(Problem::refund_not_found)?;
    let event = RefundEvent::Settle(note.to_owned());
    let refund = money(app)?.payments.refunded(&id, event, &Caller::Operator.to_string()).await;
    let refund = refund.map_err(|error| match error {
        PaymentError::NotFound => Problem::refund_not_found(),
        other => other.into(),
    })?;
    tracing::info!(refund = refund.id.fingerprint(), "refund settled by hand");
    Ok(refund)
}

fn view(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "paymentId": refund.payment,
        "amountMinor": refund.amount,
        "reason": refund.reason.name(),
        "status": refund.state.name(),
        "note": refund.note,
        "createdAt": refund.created_at.to_iso8601(),
        "updatedAt": refund.updated_at.to_iso8601(),
    })
}
