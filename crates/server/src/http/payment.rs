//! The drop-in payment routes: a payment is made, looked at, waited for, and come back from.
//!
//! An answer about a payment that was made is built from what never changes in its row, so that the same request
//! always gets the same bytes. What CLICK itself sends is in `click`.

use super::accept::found;
use super::caller::Asker;
use super::idempotency::Key;
use super::input::{BadInput, Fields, Input};
use super::problem::Problem;
use super::return_to::DASHBOARD;
use super::som::{percent, som};
use super::throttle::{Origin, TooMany};
use super::wizard;
use crate::app::App;
use crate::money::{Click, Money};
use crate::stores::reason_of;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sessile_core::StoreError;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::PaymentKey;
use sessile_core::payment::{CreateError, Created, Discount, NewPayment, OrderId, Payment, PaymentError};
use sessile_core::user::FIELD_BYTES_MAX;
use sessile_providers::click::MerchantTransId;
use url::Url;

/// Where CLICK sends the buyer back to, unless it is told otherwise.
pub(crate) const RETURN_PATH: &str = "/api/click/return";

/// A refusal in the form that payment pages know.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response {
    let body = json!({ "success": false, "message": message });
    let mut response = (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, 1.into());
    }
    response
}

pub(crate) fn away(error: &StoreError) -> Response {
    tracing::error!(error = reason_of(error), "the ledger did not take a payment request");
    if !matches!(error, StoreError::Unavailable(_)) {
        return failure(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
    }
    let message = "Payments cannot be taken right now. Send the same request again.";
    failure(StatusCode::SERVICE_UNAVAILABLE, message)
}

pub(crate) fn kinds(app: &App) -> Result<&Money, Problem> {
    app.money.kinds.as_ref().map_err(|missing| Problem::not_configured(missing))
}

fn provider(app: &App) -> Result<&Click, Problem> {
    app.money.click.as_ref().map_err(|missing| Problem::not_configured(missing))
}

type Answer = Result<Response, Response>;

/// `POST /api/click/create-transaction`.
pub(crate) async fn create(
    State(app): State<App>,
    Asker(caller): Asker,
    origin: Origin,
    headers: HeaderMap,
    Input(body): Input,
) -> Answer {
    let money = kinds(&app).map_err(IntoResponse::into_response)?;
    let click = provider(&app).map_err(IntoResponse::into_response)?;
    let bad = |why: &str| failure(StatusCode::BAD_REQUEST, why);
    let key = Key::of(&headers).map_err(|why| bad(&why.to_string()))?;
    let body = body.map_err(|why: BadInput| failure(why.status(), &why.to_string()))?;
    let new = wanted(body, key).map_err(|refused| *refused)?;
    if new.coupon.is_some() {
        app.throttle.take(origin, &caller, app.clock.now()).map_err(too_many)?;
    }
    let created = money.payments.create(&caller, new).await.map_err(not_created)?;
    let payment = &created.payment;
    tracing::info!(
        user_id = payment.user.as_str(),
        payment = payment.id.fingerprint(),
        order = payment.order.fingerprint(),
        amount_minor = payment.price.payable().get(),
        status = payment.state.name(),
        by = %caller,
        "payment made"
    );
    let body = made(&app, click, &created).ok_or_else(|| {
        tracing::error!(payment = payment.id.fingerprint(), "no link can be made for this payment");
        failure(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    })?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

fn too_many(tries: TooMany) -> Response {
    let message = "Too many coupon codes were tried. Wait a moment.";
    let mut response = failure(StatusCode::TOO_MANY_REQUESTS, message);
    response.headers_mut().insert(RETRY_AFTER, tries.seconds().into());
    response
}

fn wanted(mut body: Fields, key: Option<Key>) -> Result<NewPayment, Box<Response>> {
    // Absent, it is the checkout's price; anything that is there and no whole amount is refused below, as zero is.
    let amount = body.has("amount").then(|| body.take("amount").as_i64().unwrap_or(0));
    let user = match body.take("userId") {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let storable = |email: &String| email.len() <= FIELD_BYTES_MAX && !email.chars().any(char::is_control);
    let checkout = match body.take("checkoutSessionId") {
        Value::Null => None,
        given => match given.as_str().and_then(CheckoutId::parse) {
            Some(id) => Some(id),
            None => {
                let why = CreateError::CheckoutNotLive.to_string();
                return Err(Box::new(failure(StatusCode::BAD_REQUEST, &why)));
            }
        },
    };
    Ok(NewPayment {
        amount,
        user,
        email: body.text("userEmail").filter(storable).unwrap_or_default(),
        coupon: body.text("couponCode"),
        checkout,
        key: key.map(Key::into_text),
    })
}

fn not_created(error: CreateError) -> Response {
    let status = match &error {
        CreateError::InvalidAmount | CreateError::AlreadyEntitled | CreateError::CheckoutNotLive => {
            StatusCode::BAD_REQUEST
        }
        CreateError::NotSignedIn | CreateError::UserNotFound => StatusCode::UNAUTHORIZED,
        CreateError::InProgress => StatusCode::CONFLICT,
        CreateError::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        CreateError::Unavailable(error) => return away(error),
    };
    failure(status, &error.to_string())
}

/// Of what never changes in the row.
fn made(app: &App, click: &Click, Created { payment, coupon }: &Created) -> Option<Value> {
    let price = payment.price;
    let applied = coupon.as_ref().map(|coupon| {
        let share = match coupon.discount {
            Discount::Percentage(percent) => i64::from(percent),
            Discount::Fixed(_) => percent(price.discount, price.original),
        };
        json!({ "code": coupon.code, "discountAmount": som(price.discount), "discountPercent": share })
    });
    if price.payable().is_zero() {
        return Some(json!({
            "success": true,
            "isFullDiscount": true,
            "transactionId": payment.id,
            "merchantTransId": payment.order,
            "amount": 0,
            "message": "The coupon covers everything. Nothing is left to pay.",
            "appliedCoupon": applied,
        }));
    }
    Some(json!({
        "success": true,
        "paymentUrl": pay_url(app, click, payment)?,
        "orderId": payment.order,
        "merchantTransId": payment.order,
        "transactionId": payment.id,
        "amount": som(price.payable()),
        "appliedCoupon": applied,
    }))
}

fn pay_url(app: &App, click: &Click, payment: &Payment) -> Option<String> {
    let order = MerchantTransId::parse(payment.order.as_str())?;
    let own = || app.app_url.as_ref().and_then(|home| home.join(RETURN_PATH).ok());
    let link = match click.return_url.clone().or_else(own) {
        None => click.link.clone(),
        Some(mut back) => {
            // Our own route has to know which payment; an application's page gets what was configured for it.
            if back.path().ends_with(RETURN_PATH) {
                back.query_pairs_mut().append_pair("order", order.as_str());
            }
            click.link.returning_to(back)
        }
    };
    link.url(&order, payment.price.payable().get()).ok().map(String::from)
}

/// `GET /api/click/status/{orderId}`, for the owner.
pub(crate) async fn status(
    State(app): State<App>,
    Asker(caller): Asker,
    Path(order): Path<String>,
) -> Answer {
    let payments = &kinds(&app).map_err(IntoResponse::into_response)?.payments;
    let order = OrderId::parse(&order).ok_or_else(missing)?;
    let payment = payments.show(&caller, PaymentKey::Order(order)).await.map_err(not_shown)?;
    let body = json!({ "success": true, "orderId": payment.order, "status": payment.state.name() });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

pub(crate) fn missing() -> Response {
    failure(StatusCode::NOT_FOUND, "Payment not found")
}

pub(crate) fn not_shown(error: PaymentError) -> Response {
    match error {
        PaymentError::Unavailable(error) => away(&error),
        _ => missing(),
    }
}

/// `GET /api/click/return`: the buyer is back. Nothing that the browser brings along is believed; the page that it is
/// sent to shows our own state.
pub(crate) async fn back(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let order = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "order")
        // A second `?`, where somebody pasted one address to the other.
        .and_then(|(_, value)| MerchantTransId::parse(value.split('?').next().unwrap_or_default()));
    // Our page is one of the wizard's; without it the signed-in page is what we have to show.
    let own = || match &order {
        Some(order) if wizard::parts(&app).is_some() => format!("/payment/{order}"),
        _ => DASHBOARD.to_owned(),
    };
    let to = match &app.money.after_payment {
        Some(page) => with_order(page.clone(), order.as_ref()).into(),
        None => own(),
    };
    let mut response = found(&to);
    response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

fn with_order(mut page: Url, order: Option<&MerchantTransId>) -> Url {
    if let Some(order) = order {
        page.query_pairs_mut().append_pair("orderId", order.as_str());
    }
    page
}
