//! What each endpoint does: one function a route, on the books, with the parameters it takes and no others.

use serde_json::{Value, json};

use super::api_error::ApiError;
use super::books::{RefundRefused, RefundWish};
use super::create_session::create_session;
use super::error::StripeError;
use super::event::{Cause, Event};
use super::params::Params;
use super::price::Expand;
use super::route::Route;
use super::session::CheckoutSession;
use super::state::App;

/// The most objects of a page, and how many unless asked.
const PAGE_MAX: usize = 100;
const PAGE_DEFAULT: usize = 10;
/// What every list takes.
const PAGING: [&str; 4] = ["limit", "starting_after", "ending_before", "expand"];
/// When the demo prices were made, unix seconds.
pub(crate) const PRICES_CREATED: i64 = 1_700_000_000;

/// Carries a call out. What it gives is the answer of a 200.
pub(crate) fn carry_out(app: &App, route: &Route, params: &Params, cause: &Cause) -> Result<Value, ApiError> {
    match route {
        Route::CreateSession => create_session(app, params, cause),
        Route::ListSessions => list_sessions(app, params),
        Route::RetrieveSession(id) => {
            params.only(&["expand"])?;
            show(app, &session(app, id)?, &params.list("expand"))
        }
        Route::LineItems(id) => {
            params.only(&PAGING)?;
            Ok(session(app, id)?.line_items_json())
        }
        Route::ExpireSession(id) => expire(app, id, params, cause),
        Route::CreateRefund => create_refund(app, params, cause),
        Route::ListRefunds => list_refunds(app, params),
        Route::RetrieveRefund(id) => {
            params.only(&["expand"])?;
            let refund = app.books.lock().refunds.get(id).map(super::Refund::json);
            refund.ok_or_else(|| ApiError::no_such("refund", id))
        }
        Route::ListPrices => list_prices(app, params),
        Route::RetrievePrice(id) => {
            params.only(&["expand"])?;
            let expand = product(&params.list("expand"), "product")?;
            let price = app.config.prices.iter().find(|price| price.id == *id);
            Ok(price.ok_or_else(|| ApiError::no_such("price", id))?.json(PRICES_CREATED, expand))
        }
        Route::RetrieveIntent(id) => retrieve_intent(app, id, params),
        Route::ListEvents => list_events(app, params),
        Route::RetrieveEvent(id) => {
            params.only(&["expand"])?;
            let event = app.event(id).ok_or_else(|| ApiError::no_such("event", id))?;
            Ok(event_json(&event))
        }
    }
}

fn session(app: &App, id: &str) -> Result<CheckoutSession, ApiError> {
    app.session(id).ok_or_else(|| ApiError::no_such("checkout.session", id))
}

/// The session with what was asked for in full.
pub(crate) fn show(app: &App, session: &CheckoutSession, expand: &[&str]) -> Result<Value, ApiError> {
    let mut object = session.json();
    for property in expand {
        match *property {
            "line_items" => object["line_items"] = session.line_items_json(),
            "payment_intent" => {
                let books = app.books.lock();
                let intent = session.payment_intent.as_deref().and_then(|id| books.intents.get(id));
                object["payment_intent"] = intent.map_or(Value::Null, super::PaymentIntent::json);
            }
            other => return Err(not_expandable(other)),
        }
    }
    Ok(object)
}

fn not_expandable(property: &str) -> ApiError {
    ApiError::invalid(format!("This property cannot be expanded ({property}).")).param("expand")
}

fn product(expand: &[&str], name: &str) -> Result<Expand, ApiError> {
    match expand.iter().find(|property| **property != name) {
        Some(other) => Err(not_expandable(other)),
        None if expand.is_empty() => Ok(Expand::Nothing),
        None => Ok(Expand::Product),
    }
}

/// One page of a list, newest first. Every item comes with its id.
fn page(params: &Params, url: &str, items: impl Iterator<Item = (String, Value)>) -> Result<Value, ApiError> {
    let limit = params.integer::<usize>("limit")?.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        let message = format!("This value must be between 1 and {PAGE_MAX} (inclusive).");
        return Err(ApiError::invalid(message).code("parameter_invalid_integer").param("limit"));
    }
    if params.get("ending_before").is_some() {
        return Err(
            ApiError::invalid("The stand-in pages forwards only: use starting_after.").param("ending_before")
        );
    }
    let after = params.get("starting_after");
    let mut passed = after.is_none();
    let mut data: Vec<Value> = Vec::new();
    let mut has_more = false;
    for (id, item) in items {
        if !passed {
            passed = Some(id.as_str()) == after;
        } else if data.len() < limit {
            data.push(item);
        } else {
            has_more = true;
            break;
        }
    }
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

fn only_list(params: &Params, filters: &[&str]) -> Result<(), ApiError> {
    let known: Vec<&str> = PAGING.into_iter().chain(filters.iter().copied()).collect();
    params.only(&known)
}

fn list_sessions(app: &App, params: &Params) -> Result<Value, ApiError> {
    only_list(params, &["payment_intent", "status"])?;
    let (intent, status) = (params.get("payment_intent"), params.get("status"));
    let books = app.books.lock();
    let wanted = |session: &&CheckoutSession| {
        intent.is_none_or(|intent| session.payment_intent.as_deref() == Some(intent))
            && status.is_none_or(|status| session.status.to_string() == status)
    };
    let items =
        books.sessions.iter().rev().filter(wanted).map(|session| (session.id.clone(), session.json()));
    page(params, "/v1/checkout/sessions", items)
}

fn expire(app: &App, id: &str, params: &Params, cause: &Cause) -> Result<Value, ApiError> {
    params.only(&["expand"])?;
    session(app, id)?;
    match app.expire(id, cause) {
        Ok(()) => show(app, &session(app, id)?, &params.list("expand")),
        Err(StripeError::NotOpen { status, .. }) => Err(ApiError::invalid(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of \
             `{status}`."
        ))
        .executed()),
        Err(_) => Err(ApiError::no_such("checkout.session", id)),
    }
}

fn create_refund(app: &App, params: &Params, cause: &Cause) -> Result<Value, ApiError> {
    params.only(&["payment_intent", "charge", "amount", "reason", "metadata", "expand"])?;
    let (intent, charge) = (params.get("payment_intent"), params.get("charge"));
    let Some(payment) = intent.or(charge) else {
        let message =
            "One of the following params should be provided for this request: payment_intent or charge.";
        return Err(ApiError::invalid(message).code("parameter_missing"));
    };
    let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
    if let Some(reason) = params.get("reason").filter(|reason| !reasons.contains(reason)) {
        let message = format!("Invalid reason: must be one of {}; you passed {reason}", reasons.join(", "));
        return Err(ApiError::invalid(message).param("reason"));
    }
    let amount = params.integer::<i64>("amount")?;
    if amount.is_some_and(|amount| amount < 1) {
        let error = ApiError::invalid("This value must be greater than or equal to 1.");
        return Err(error.code("parameter_invalid_integer").param("amount"));
    }
    let wish = RefundWish {
        amount,
        reason: params.get("reason").map(str::to_owned),
        metadata: params.metadata("metadata")?,
        idempotency_key: cause.idempotency_key.clone(),
    };
    let (what, param) =
        if intent.is_some() { ("payment_intent", "payment_intent") } else { ("charge", "charge") };
    let known = {
        let books = app.books.lock();
        books.intents.get(payment).is_some() || books.charges.get(payment).is_some()
    };
    if !known {
        return Err(ApiError::no_such_param(what, payment, param));
    }
    let refunded = app.books.lock().refund(payment, wish, app.now());
    let (refund, news) = refunded.map_err(|refused| refund_error(refused, payment).executed())?;
    app.tell(&news, cause);
    Ok(refund.json())
}

fn refund_error(refused: RefundRefused, payment: &str) -> ApiError {
    match refused {
        RefundRefused::NothingPaid => {
            let message =
                format!("This PaymentIntent ({payment}) does not have a successful charge to refund.");
            ApiError::invalid(message).code("payment_intent_unexpected_state").param("payment_intent")
        }
        RefundRefused::AlreadyRefunded { charge } => {
            let error = ApiError::invalid(format!("Charge {charge} has already been refunded."));
            error.code("charge_already_refunded")
        }
        RefundRefused::TooMuch { left } => {
            let error = ApiError::invalid(format!(
                "Refund amount is greater than unrefunded amount on charge ({left})."
            ));
            error.code("amount_too_large").param("amount")
        }
    }
}

fn list_refunds(app: &App, params: &Params) -> Result<Value, ApiError> {
    only_list(params, &["payment_intent", "charge"])?;
    let (intent, charge) = (params.get("payment_intent"), params.get("charge"));
    let books = app.books.lock();
    let wanted = |refund: &&super::Refund| {
        intent.is_none_or(|intent| refund.payment_intent == intent)
            && charge.is_none_or(|charge| refund.charge == charge)
    };
    let items = books.refunds.iter().rev().filter(wanted).map(|refund| (refund.id.clone(), refund.json()));
    page(params, "/v1/refunds", items)
}

fn list_prices(app: &App, params: &Params) -> Result<Value, ApiError> {
    only_list(params, &["active", "currency", "type"])?;
    let expand = product(&params.list("expand"), "data.product")?;
    let active = match params.get("active") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return Err(ApiError::invalid(format!("Invalid boolean: {other}")).param("active")),
    };
    let currency = params.get("currency");
    let recurring = params.get("type") == Some("recurring");
    let prices = app.config.prices.iter().filter(|price| {
        !recurring
            && active.is_none_or(|active| price.active == active)
            && currency.is_none_or(|currency| price.currency == currency)
    });
    page(params, "/v1/prices", prices.map(|price| (price.id.clone(), price.json(PRICES_CREATED, expand))))
}

fn retrieve_intent(app: &App, id: &str, params: &Params) -> Result<Value, ApiError> {
    params.only(&["expand"])?;
    let books = app.books.lock();
    let intent = books.intents.get(id).ok_or_else(|| ApiError::no_such("payment_intent", id))?;
    let mut object = intent.json();
    for property in params.list("expand") {
        if property != "latest_charge" {
            return Err(not_expandable(property));
        }
        let charge = intent.latest_charge.as_deref().and_then(|charge| books.charges.get(charge));
        object["latest_charge"] = charge.map_or(Value::Null, super::Charge::json);
    }
    Ok(object)
}

fn list_events(app: &App, params: &Params) -> Result<Value, ApiError> {
    only_list(params, &["type"])?;
    let kind = params.get("type");
    let events = app.events.lock();
    let wanted = events.iter().rev().filter(|event| kind.is_none_or(|kind| event.kind == kind));
    page(params, "/v1/events", wanted.map(|event| (event.id.clone(), event_json(event))))
}

fn event_json(event: &Event) -> Value {
    let mut object: Value = serde_json::from_str(&event.body).unwrap_or_default();
    object["pending_webhooks"] = json!(u8::from(event.state == super::EventState::Pending));
    object
}
