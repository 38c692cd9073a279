//! `POST /api/coupons/validate`: what a code would take off. Tries are counted, and a code that is unknown, switched
//! off or used up reads alike, so that guessing teaches nothing.

use super::caller::Asker;
use super::input::{BadInput, Fields, Input};
use super::problem::Problem;
use super::som::{discount_of, percent, som};
use super::throttle::Origin;
use crate::app::App;
use crate::stores::reason_of;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use serde_json::{Value, json};
use sessile_core::StoreError;
use sessile_core::money::Minor;
use sessile_core::payment::{Discount, Quote};

pub(crate) async fn validate(
    State(app): State<App>,
    Asker(caller): Asker,
    origin: Origin,
    Input(body): Input,
) -> Response {
    let money = match &app.money.kinds {
        Ok(money) => money,
        Err(missing) => return Problem::not_configured(missing).into_response(),
    };
    let (code, amount) = match asked(body) {
        Ok(asked) => asked,
        Err(response) => return *response,
    };
    if let Err(too_many) = app.throttle.take(origin, &caller, app.clock.now()) {
        let mut response =
            invalid(StatusCode::TOO_MANY_REQUESTS, "Too many coupon codes were tried. Wait a moment.");
        response.headers_mut().insert(RETRY_AFTER, too_many.seconds().into());
        return response;
    }
    match money.payments.quote(&code, amount).await {
        Ok(Some(quote)) => {
            let body = json!({ "valid": true, "coupon": view(&quote), "message": "Coupon applied" });
            ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Ok(None) => invalid(StatusCode::NOT_FOUND, "This coupon does not exist or cannot be used any more"),
        Err(error) => failed(&error),
    }
}

fn invalid(status: StatusCode, message: &str) -> Response {
    let body = json!({ "valid": false, "message": message });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn asked(body: Result<Fields, BadInput>) -> Result<(String, Option<Minor>), Box<Response>> {
    let refuse = |status, message: &str| Box::new(invalid(status, message));
    let mut body = body.map_err(|bad| refuse(bad.status(), &bad.to_string()))?;
    let code = body.text("code").ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "Coupon code is required"))?;
    let amount = match body.take("amount") {
        Value::Null => None,
        given => {
            let amount = given.as_i64().and_then(Minor::from_major).filter(|amount| !amount.is_zero());
            Some(amount.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "Invalid amount"))?)
        }
    };
    Ok((code, amount))
}

fn view(quote: &Quote) -> Value {
    let (coupon, price) = (&quote.coupon, quote.price);
    let (kind, value) = discount_of(coupon);
    let share = match (coupon.discount, price) {
        (Discount::Percentage(percent), _) => Some(i64::from(percent)),
        (Discount::Fixed(_), Some(price)) => Some(percent(price.discount, price.original)),
        (Discount::Fixed(_), None) => None,
    };
    let free = match price {
        Some(price) => price.payable().is_zero(),
        None => coupon.discount == Discount::Percentage(100),
    };
    json!({
        "id": coupon.id,
        "code": coupon.code,
        "description": coupon.description,
        "discountType": kind,
        "discountValue": value,
        "originalAmount": price.map(|price| som(price.original)),
        "discountAmount": price.map(|price| som(price.discount)),
        "finalAmount": price.map(|price| som(price.payable())),
        "discountPercent": share,
        "isFullDiscount": free,
    })
}

fn failed(error: &StoreError) -> Response {
    tracing::error!(error = reason_of(error), "the ledger did not answer about a coupon");
    if !matches!(error, StoreError::Unavailable(_)) {
        return invalid(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
    }
    let mut response = invalid(StatusCode::SERVICE_UNAVAILABLE, "Coupons cannot be checked right now");
    response.headers_mut().insert(RETRY_AFTER, 1.into());
    response
}
