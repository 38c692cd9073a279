//! `/v1/payments`: list, look at, cancel, give back.

use super::input::Required;
use super::list::{Listing, page_of};
use super::staff::Staff;
use super::{away, money, ok};
use crate::app::App;
use crate::http::caller::Asker;
use crate::http::problem::Problem;
use crate::limits::HISTORY_ROWS_MAX;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};
use sessile::{Timestamp, UserId};
use sessile_core::checkout::Caller;
use sessile_core::ledger::{AuditRow, Kind, PaymentFilter, PaymentKey, Record, RecordKey};
use sessile_core::payment::{Disposition, Payment, PaymentError, PaymentId, PaymentState};

const STATES: [&str; 5] = ["pending", "processing", "completed", "failed", "expired"];

impl From<PaymentError> for Problem {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::NotFound => Self::payment_not_found(),
            PaymentError::TooLate => Self::payment_not_cancellable(),
            PaymentError::NothingToRefund => Self::nothing_to_refund(),
            PaymentError::NotManual => Self::refund_not_manual(),
            PaymentError::KeyReused => Self::idempotency_key_reused(),
            PaymentError::Unavailable(error) => away(&error),
        }
    }
}

/// `GET /v1/payments?status&user&cursor&limit`.
pub(crate) async fn list(
    State(app): State<App>,
    _: Staff,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let ledger = &money(&app)?.ledger;
    let Listing { after, limit, filters: [status, user] } =
        Listing::read(query.as_deref(), ["status", "user"])?;
    if status.as_deref().is_some_and(|status| !STATES.contains(&status)) {
        let known = STATES.join("`, `");
        return Err(Problem::invalid_parameter(&format!("`status` is one of `{known}`.")));
    }
    let user = match user {
        Some(text) => {
            let wrong = || Problem::invalid_parameter("`user` is a user's id.");
            Some(UserId::parse(text).ok_or_else(wrong)?)
        }
        None => None,
    };
    let filter = PaymentFilter { status, user };
    let page = ledger.page(Kind::Payment, &filter, after.as_ref(), limit).await;
    let now = app.clock.now();
    Ok(ok(page_of(page.map_err(|error| away(&error))?, |record| match record {
        Record::Payment(payment) => Some(with_provider(&payment, now)),
        _ => None,
    })))
}

/// `GET /v1/payments/{id}`. Only staff sees who did what.
pub(crate) async fn show(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    let money = money(&app).map_err(IntoResponse::into_response)?;
    let problem = |error: PaymentError| Problem::from(error).into_response();
    let id = known(&id).map_err(IntoResponse::into_response)?;
    let payment = money.payments.show(&caller, PaymentKey::Id(id.clone())).await.map_err(problem)?;
    let now = app.clock.now();
    if matches!(caller, Caller::Browser(_)) {
        return Ok(ok(view(&payment, now)));
    }
    let history = money.ledger.history(&RecordKey::Payment(id), HISTORY_ROWS_MAX).await;
    let history = history.map_err(|error| away(&error).into_response())?;
    let mut body = with_provider(&payment, now);
    body["email"] = json!(payment.email);
    body["history"] = history.iter().map(told).collect();
    Ok(ok(body))
}

/// `POST /v1/payments/{id}/cancel`.
pub(crate) async fn cancel(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let payment = money(&app)?.payments.cancel(&caller, &known(&id)?).await?;
    tracing::info!(payment = payment.id.fingerprint(), by = %caller, "payment cancelled");
    Ok(ok(view(&payment, app.clock.now())))
}

/// `POST /v1/payments/{id}/refund`: all of it. Answered from what never changes, so that the same key gets the same
/// bytes.
pub(crate) async fn refund(
    State(app): State<App>,
    Staff(caller): Staff,
    Required(key): Required,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let refund = money(&app)?.payments.refund(&caller, &known(&id)?, key.as_str()).await?;
    tracing::info!(
        refund = refund.id.fingerprint(),
        payment = refund.payment.fingerprint(),
        by = %caller,
        "refund requested"
    );
    let body = json!({
        "id": refund.id,
        "paymentId": refund.payment,
        "amountMinor": refund.amount,
        "reason": refund.reason.name(),
        "createdAt": refund.created_at.to_iso8601(),
    });
    Ok((StatusCode::CREATED, ok(body)).into_response())
}

/// A name that cannot be a payment's is that of a missing one.
fn known(id: &str) -> Result<PaymentId, Problem> {
    PaymentId::parse(id).ok_or_else(Problem::payment_not_found)
}

fn view(payment: &Payment, now: Timestamp) -> Value {
    let price = payment.price;
    // Nobody sees it as pending once its time is over, whether or not a timer was there.
    let (status, reason) = if payment.is_overdue(now) {
        ("expired", Some("timer"))
    } else {
        (payment.state.name(), reason_of(&payment.state))
    };
    json!({
        "id": payment.id,
        "orderId": payment.order,
        "userId": payment.user,
        "status": status,
        "reason": reason,
        "amountMinor": price.payable(),
        "originalMinor": price.original,
        "discountMinor": price.discount,
        "currency": price.currency,
        "method": payment.method.name(),
        "checkoutSessionId": payment.checkout,
        "couponId": payment.coupon.as_ref().map(|hold| &hold.coupon),
        "createdAt": payment.created_at.to_iso8601(),
        "updatedAt": payment.updated_at.to_iso8601(),
        "expiresAt": payment.expires_at.to_iso8601(),
    })
}

/// Also what the provider calls it, what became of the money, and what a person should look at.
fn with_provider(payment: &Payment, now: Timestamp) -> Value {
    let mut body = view(payment, now);
    body["provider"] = payment.state.attempt().map_or(Value::Null, |attempt| {
        json!({
            "transactionId": attempt.trans,
            "paydocId": attempt.paydoc,
            "prepareId": attempt.prepare,
        })
    });
    body["disposition"] = disposition_of(&payment.state);
    body["flags"] = json!({
        "cancelAfterSuccess": payment.flags.cancel_after_success,
        "amountDiffers": payment.flags.amount_differs,
        "couponOverflow": payment.flags.coupon_overflow,
    });
    body
}

const fn reason_of(state: &PaymentState) -> Option<&'static str> {
    match state {
        PaymentState::Pending | PaymentState::Processing { .. } => None,
        PaymentState::Completed { how, .. } => Some(how.name()),
        PaymentState::Failed { reason, .. } => Some(reason.name()),
        PaymentState::Expired { reason, .. } => Some(reason.name()),
    }
}

fn disposition_of(state: &PaymentState) -> Value {
    let PaymentState::Completed { disposition, .. } = state else { return Value::Null };
    match disposition {
        Disposition::Granted => json!({ "did": "granted" }),
        Disposition::Allocated { checkout } => json!({ "did": "allocated", "checkoutSessionId": checkout }),
        Disposition::Refunded { reason } => json!({ "did": "refunded", "reason": reason.name() }),
    }
}

fn told(row: &AuditRow) -> Value {
    json!({ "seq": row.seq, "at": row.at.to_iso8601(), "event": row.event, "actor": row.actor })
}
