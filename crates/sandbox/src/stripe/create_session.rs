//! `POST /v1/checkout/sessions`: what Stripe checks before a buyer sees anything.

use serde_json::Value;
use url::Url;

use super::api_error::ApiError;
use super::endpoints::show;
use super::event::Cause;
use super::params::Params;
use super::session::{CheckoutSession, LineItem, PaymentStatus, SessionStatus};
use super::state::App;
use crate::random;

/// What the stand-in takes; the last ones are taken and change nothing here.
const KNOWN: [&str; 26] = [
    "line_items",
    "mode",
    "success_url",
    "cancel_url",
    "client_reference_id",
    "metadata",
    "payment_intent_data",
    "customer_email",
    "expires_at",
    "expand",
    "ui_mode",
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer_creation",
    "invoice_creation",
    "locale",
    "origin_context",
    "payment_method_options",
    "payment_method_types",
    "phone_number_collection",
    "submit_type",
    "tax_id_collection",
];
/// The longest `client_reference_id`.
const REFERENCE_CHARS_MAX: usize = 200;
/// The longest URL.
const URL_CHARS_MAX: usize = 5000;
/// The most line items, and the most of one.
const LINE_ITEMS_MAX: usize = 100;
const QUANTITY_MAX: i64 = 999_999;
/// A session can be paid for half an hour to a day.
const LIFETIME_SECONDS: std::ops::RangeInclusive<i64> = 1800..=86_400;
/// The least a card is charged, in minor units; nothing at all is possible too.
const AMOUNT_MIN: i64 = 50;

pub(crate) fn create_session(app: &App, params: &Params, cause: &Cause) -> Result<Value, ApiError> {
    params.only(&KNOWN)?;
    mode(params)?;
    let success_url = url(params, "success_url")?.ok_or_else(|| ApiError::missing_param("success_url"))?;
    let cancel_url = url(params, "cancel_url")?;
    let line_items = line_items(app, params)?;
    let (amount_total, currency) = total(&line_items)?;
    let reference = params.get("client_reference_id");
    if reference.is_some_and(|text| text.chars().count() > REFERENCE_CHARS_MAX) {
        let message = format!("Invalid string: must be at most {REFERENCE_CHARS_MAX} characters");
        return Err(ApiError::invalid(message).param("client_reference_id"));
    }
    let id = format!("cs_test_a1{}", random::letters(58));
    let session = CheckoutSession {
        url: app.pay_url(&id),
        created: app.now(),
        expires_at: expires_at(app, params)?,
        status: SessionStatus::Open,
        payment_status: PaymentStatus::Unpaid,
        line_items,
        amount_total,
        currency,
        client_reference_id: reference.map(str::to_owned),
        metadata: params.metadata("metadata")?,
        payment_intent_metadata: params.metadata("payment_intent_data[metadata]")?,
        payment_intent: None,
        success_url,
        cancel_url,
        email: params.get("customer_email").map(str::to_owned),
        idempotency_key: cause.idempotency_key.clone(),
        id,
    };
    let answer = show(app, &session, &params.list("expand"))?;
    app.count("sessions_created");
    app.books.lock().sessions.put(&session.id.clone(), session);
    Ok(answer)
}

fn mode(params: &Params) -> Result<(), ApiError> {
    match params.required("mode")? {
        "payment" => {}
        other => {
            let message = format!("Invalid mode: must be payment; the stand-in does not do {other}");
            return Err(ApiError::invalid(message).param("mode"));
        }
    }
    match params.get("ui_mode") {
        None | Some("hosted" | "hosted_page") => Ok(()),
        Some(_) => {
            let message = "The stand-in has the hosted payment page only.";
            Err(ApiError::invalid(message).param("ui_mode"))
        }
    }
}

fn url(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    if parsed.is_none() || text.chars().count() > URL_CHARS_MAX {
        return Err(ApiError::invalid("Not a valid URL").code("url_invalid").param(name));
    }
    Ok(Some(text.to_owned()))
}

fn line_items(app: &App, params: &Params) -> Result<Vec<LineItem>, ApiError> {
    let indices = params.indices("line_items");
    if indices.is_empty() {
        return Err(ApiError::missing_param("line_items"));
    }
    if indices.len() > LINE_ITEMS_MAX {
        let message = format!("Array line_items exceeded maximum {LINE_ITEMS_MAX} allowed elements.");
        return Err(ApiError::invalid(message).param("line_items"));
    }
    indices.iter().map(|index| line_item(app, params, &format!("line_items[{index}]"))).collect()
}

fn line_item(app: &App, params: &Params, name: &str) -> Result<LineItem, ApiError> {
    let (price_name, quantity_name) = (format!("{name}[price]"), format!("{name}[quantity]"));
    let price_id = params.required(&price_name)?;
    let price = app.config.prices.iter().find(|price| price.id == price_id);
    let price = price.ok_or_else(|| ApiError::no_such_param("price", price_id, &price_name))?;
    if !price.active {
        let message = "The price specified is inactive. This field only accepts active prices.";
        return Err(ApiError::invalid(message).param(price_name));
    }
    let quantity =
        params.integer::<i64>(&quantity_name)?.ok_or_else(|| ApiError::missing_param(&quantity_name))?;
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        let bound = if quantity < 1 { "greater than or equal to 1" } else { "less than or equal to 999999" };
        let error = ApiError::invalid(format!("This value must be {bound}."));
        return Err(error.code("parameter_invalid_integer").param(quantity_name));
    }
    Ok(LineItem { id: format!("li_1{}", random::letters(23)), price: price.clone(), quantity })
}

fn total(items: &[LineItem]) -> Result<(i64, String), ApiError> {
    let currency = items.first().map(|item| item.price.currency.clone()).unwrap_or_default();
    if items.iter().any(|item| item.price.currency != currency) {
        let message = "All line items must have the same currency.";
        return Err(ApiError::invalid(message).param("line_items"));
    }
    let total = items.iter().fold(0_i64, |sum, item| sum.saturating_add(item.amount()));
    if (1..AMOUNT_MIN).contains(&total) {
        let message = "The Checkout Session's total amount due must add up to at least $0.50 usd";
        return Err(ApiError::invalid(message).code("amount_too_small"));
    }
    Ok((total, currency))
}

fn expires_at(app: &App, params: &Params) -> Result<i64, ApiError> {
    let now = app.now();
    let Some(at) = params.integer::<i64>("expires_at")? else {
        let lifetime =
            i64::try_from(app.config.session_lifetime.as_secs()).unwrap_or(*LIFETIME_SECONDS.end());
        return Ok(now.saturating_add(lifetime));
    };
    if !LIFETIME_SECONDS.contains(&at.saturating_sub(now)) {
        let message = "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout \
                       Session creation.";
        return Err(ApiError::invalid(message).param("expires_at"));
    }
    Ok(at)
}
