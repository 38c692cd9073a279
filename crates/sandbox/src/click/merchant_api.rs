//! The Merchant API: what the merchant asks Click. Payments are named by `click_paydoc_id`.
//!
//! HTTP status and headers as documented: 401 for a bad `Auth`, 406 without the required `Accept` and
//! `Content-Type`, 502 and 500 when switched on. Business refusals are HTTP 200 with `error_code` below zero; their
//! numbers are not documented, so a caller must not depend on them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::civil::DateTime;
use serde_json::{Value, json};
use std::time::Duration;
use subtle::ConstantTimeEq;

use super::attempt::{Attempt, AttemptState};
use super::ledger::key_of;
use super::misbehaviour::Misbehaviour as M;
use super::sign;
use super::state::App;

/// Digits of a unix timestamp in seconds, until the year 2286.
const TIMESTAMP_DIGITS: usize = 10;
/// There is no such payment.
const NOT_FOUND: i64 = -16;
/// The payment cannot be reversed.
const NOT_REVERSIBLE: i64 = -17;

/// `GET payment/status/{service}/{payment_id}`
pub(crate) async fn status(
    State(app): State<App>,
    Path((service, payment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = gate(&app, &headers, &service) {
        return refusal;
    }
    let found = payment.parse().ok().and_then(|id| app.ledger.lock().by_paydoc(id).cloned());
    if let Some(response) = switched(&app, found.as_ref()).await {
        return response;
    }
    app.count("status_asked");
    match found {
        Some(attempt) => Json(described(&attempt)).into_response(),
        None => refused(NOT_FOUND, "Payment not found"),
    }
}

/// `GET payment/status_by_mti/{service}/{merchant_trans_id}/{YYYY-MM-DD}`
pub(crate) async fn status_by_order(
    State(app): State<App>,
    Path((service, order, day)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = gate(&app, &headers, &service) {
        return refusal;
    }
    if day.parse::<jiff::civil::Date>().map(|date| date.to_string()).ok().as_deref() != Some(day.as_str()) {
        return plain(StatusCode::BAD_REQUEST, "the date must be YYYY-MM-DD");
    }
    let found = app.ledger.lock().by_order_on(&order, &day);
    if let Some(response) = switched(&app, found.as_ref()).await {
        return response;
    }
    app.count("status_asked");
    match found {
        Some(attempt) => {
            let mut answer = described(&attempt);
            answer["merchant_trans_id"] = json!(attempt.order);
            Json(answer).into_response()
        }
        None => refused(NOT_FOUND, "Payment not found"),
    }
}

/// `DELETE payment/reversal/{service}/{payment_id}`: the whole amount, of a successful payment of this month.
pub(crate) async fn reverse(
    State(app): State<App>,
    Path((service, payment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = gate(&app, &headers, &service) {
        return refusal;
    }
    app.count("reversal_asked");
    let found = payment.parse().ok().and_then(|id| app.ledger.lock().by_paydoc(id).cloned());
    let Some(attempt) = found else {
        return refused(NOT_FOUND, "Payment not found");
    };
    if app.take(M::ReversalRefused, None, &attempt.order).is_some() {
        return refused(NOT_REVERSIBLE, "Reversal refused by the processing centre");
    }
    if !in_reporting_month(sign::tashkent(attempt.created_at_ms), sign::tashkent(app.now_ms())) {
        return refused(NOT_REVERSIBLE, "The payment is not of the current reporting month");
    }
    let (from, to) = (AttemptState::Successful, AttemptState::Reversed);
    if !app.ledger.lock().give_back(&key_of(&attempt), from, to, "reversed by the merchant") {
        return refused(NOT_REVERSIBLE, "The payment is not a successful one");
    }
    app.count("reversed");
    let answer = json!({ "error_code": 0, "error_note": "Success", "payment_id": attempt.click_paydoc_id });
    Json(answer).into_response()
}

/// This month; or last month's, on the first day of this one.
fn in_reporting_month(made: DateTime, now: DateTime) -> bool {
    let month = |at: DateTime| i32::from(at.year()) * 12 + i32::from(at.month());
    month(made) == month(now) || (month(made) + 1 == month(now) && now.day() == 1)
}

fn described(attempt: &Attempt) -> Value {
    let note = if attempt.note.is_empty() { "Success" } else { &attempt.note };
    json!({
        "error_code": 0,
        "error_note": note,
        "payment_id": attempt.click_paydoc_id,
        "payment_status": attempt.state.payment_status(),
    })
}

fn refused(error_code: i64, error_note: &str) -> Response {
    Json(json!({ "error_code": error_code, "error_note": error_note })).into_response()
}

fn plain(status: StatusCode, error_note: &str) -> Response {
    let code = -i64::from(status.as_u16());
    (status, Json(json!({ "error_code": code, "error_note": error_note }))).into_response()
}

async fn switched(app: &App, found: Option<&Attempt>) -> Option<Response> {
    let order = found.map_or("", |attempt| attempt.order.as_str());
    if let Some(switch) = app.take(M::StatusSlow, None, order) {
        tokio::time::sleep(Duration::from_millis(switch.delay_ms)).await;
    }
    if app.take(M::StatusUnavailable, None, order).is_some() {
        return Some(plain(StatusCode::BAD_GATEWAY, "Switched on: status_unavailable"));
    }
    if app.take(M::Status500, None, order).is_some() {
        return Some(plain(StatusCode::INTERNAL_SERVER_ERROR, "Switched on: status_500"));
    }
    None
}

/// Why a call is not looked at, if so.
fn gate(app: &App, headers: &HeaderMap, service: &str) -> Option<Response> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !header("auth").is_some_and(|auth| authentic(app, auth)) {
        app.count("api_unauthorized");
        let why =
            "Auth must be merchant_user_id:sha1(timestamp + secret_key):timestamp, with a current timestamp";
        return Some(plain(StatusCode::UNAUTHORIZED, why));
    }
    for name in ["accept", "content-type"] {
        if !header(name).is_some_and(|value| value.contains("application/json")) {
            let why = format!("the header {name}: application/json is required");
            return Some(plain(StatusCode::NOT_ACCEPTABLE, &why));
        }
    }
    (service != app.config.service_id)
        .then(|| plain(StatusCode::FORBIDDEN, "the service is not this merchant's"))
}

fn authentic(app: &App, auth: &str) -> bool {
    let mut parts = auth.split(':');
    let (Some(user), Some(digest), Some(timestamp), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let (true, Ok(seconds)) = (timestamp.len() == TIMESTAMP_DIGITS, timestamp.parse::<i64>()) else {
        return false;
    };
    let off = app.now_ms().div_euclid(1000).abs_diff(seconds);
    let expected = sign::api_digest(timestamp, &app.config.secret_key);
    off <= app.config.auth_tolerance.as_secs()
        && user == app.config.merchant_user_id
        && bool::from(expected.as_bytes().ct_eq(digest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_months_payments_can_be_reversed_on_the_first_only() {
        let at = |text: &str| text.parse::<DateTime>().unwrap();
        for (made, now, expected) in [
            ("2026-11-02T10:00", "2026-11-30T23:59", true),
            ("2026-11-30T10:00", "2026-12-01T00:01", true),
            ("2026-12-30T10:00", "2027-01-01T00:01", true),
            ("2026-11-30T10:00", "2026-12-02T00:00", false),
            ("2026-10-30T10:00", "2026-12-01T00:00", false),
            ("2025-12-10T10:00", "2026-12-10T10:00", false),
        ] {
            assert_eq!(in_reporting_month(at(made), at(now)), expected, "{made} {now}");
        }
    }
}
