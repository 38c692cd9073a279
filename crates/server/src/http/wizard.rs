//! The wizard's pages: add, packages, checkout, payment. They only show; everything is changed by the checkout and
//! payment routes, which the pages' script calls. Served where there is a ledger to keep checkouts in and a catalogue
//! to price them.

use super::accept::found;
use super::caller::Asker;
use super::headers::scripted;
use super::problem::Problem;
use super::return_to::sign_in_for;
use super::{me, missing};
use crate::app::App;
use crate::money::Money;
use crate::pages::{self, Gone, PaymentView, Summary, Visitor};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use sessile::{Lost, SignInSession};
use sessile_core::StoreError;
use sessile_core::checkout::{Caller, Catalogue, Checkout, CheckoutError, CheckoutId, ITEMS_MAX, Invalid};
use sessile_core::ledger::{CheckoutKey, PaymentKey, Reads};
use sessile_core::money::Price;
use sessile_core::payment::{OrderId, PaymentError};

/// The pages, where they can work at all.
pub(crate) fn routes(app: &App) -> Router<App> {
    if parts(app).is_none() {
        return Router::new();
    }
    Router::new()
        .route("/add", get(add))
        .route("/packages", get(packages))
        .route("/packages/price", get(price))
        .route("/checkout", get(checkout))
        .route("/payment/{order}", get(payment))
}

/// The services and what they sell.
pub(crate) fn parts(app: &App) -> Option<(&Money, &Catalogue)> {
    let money = app.money.kinds.as_ref().ok()?;
    Some((money, money.payments.terms().catalogue.as_ref()?))
}

/// Which checkout a page is about.
#[derive(Deserialize)]
pub(crate) struct About {
    #[serde(rename = "sessionId")]
    session_id: Option<String>,
}

impl About {
    fn id(&self) -> Option<CheckoutId> {
        self.session_id.as_deref().and_then(CheckoutId::parse)
    }
}

/// Who looks at a page, and where they sign in to come back to it.
fn visitor(app: &App, session: &SignInSession, uri: &Uri) -> Visitor {
    let here = uri.path_and_query().map_or("/add", http::uri::PathAndQuery::as_str);
    Visitor {
        user: session.user().map(|user| user.as_str().to_owned()),
        sign_in: sign_in_for(app.sign_in_path(), here),
    }
}

/// The session store or the ledger is away: nobody is told that they are a guest, or that their order is gone.
fn away() -> Response {
    let private = [(CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, private, pages::away()).into_response()
}

/// `GET /add`.
async fn add(
    State(app): State<App>,
    session: SignInSession,
    uri: Uri,
    Query(about): Query<About>,
) -> Response {
    if session.why_lost() == Some(Lost::StoreDown) {
        return away();
    }
    scripted(pages::add(&visitor(&app, &session, &uri), about.id().as_ref().map(CheckoutId::as_str)))
}

/// `GET /packages`.
async fn packages(
    State(app): State<App>,
    session: SignInSession,
    uri: Uri,
    Query(about): Query<About>,
) -> Response {
    if session.why_lost() == Some(Lost::StoreDown) {
        return away();
    }
    let Some((_, catalogue)) = parts(&app) else { return missing::route(HeaderMap::new()).await };
    let id = about.id();
    let visitor = visitor(&app, &session, &uri);
    scripted(pages::packages(&visitor, catalogue, id.as_ref().map(CheckoutId::as_str)))
}

/// `GET /packages/price?package=…&package=…`: what these cost together, in this order. For the page's total; what is
/// paid is computed when the checkout is made.
async fn price(State(app): State<App>, Query(chosen): Query<Vec<(String, String)>>) -> Response {
    let Some((_, catalogue)) = parts(&app) else { return Problem::route_not_found().into_response() };
    let ids: Vec<String> = chosen
        .into_iter()
        .filter(|(name, _)| name == "package")
        .map(|(_, id)| id)
        .take(ITEMS_MAX + 1)
        .collect();
    match catalogue.price(&json!(ids)) {
        Ok(Price { original, currency, .. }) => {
            let text = pages::price_text(original, currency);
            Json(json!({ "amount": original.get(), "currency": currency.as_str(), "text": text }))
                .into_response()
        }
        Err(unpriced) => {
            (StatusCode::BAD_REQUEST, Json(json!({ "error": unpriced.to_string() }))).into_response()
        }
    }
}

/// `GET /checkout?sessionId=…`.
async fn checkout(
    State(app): State<App>,
    Asker(caller): Asker,
    session: SignInSession,
    uri: Uri,
    Query(about): Query<About>,
) -> Response {
    let Some((money, catalogue)) = parts(&app) else { return missing::route(HeaderMap::new()).await };
    if session.why_lost() == Some(Lost::StoreDown) {
        return away();
    }
    let visitor = visitor(&app, &session, &uri);
    let gone = |why: &Gone<'_>| scripted(pages::gone(&visitor, why));
    let Some(asked) = about.session_id.as_deref().filter(|id| !id.is_empty()) else {
        return gone(&Gone::Unnamed);
    };
    let Some(id) = CheckoutId::parse(asked) else { return gone(&Gone::Invalid(asked, Invalid::NotFound)) };
    let row = match money.checkouts.validate(&caller, &id).await {
        Ok(row) => row,
        Err(CheckoutError::Invalid(why)) => return gone(&Gone::Invalid(asked, why)),
        Err(error) => return unavailable(&error),
    };
    // One that was made without a catalogue has no price to show, and a browser may not name one.
    let Some(price) = row.price else { return gone(&Gone::Unnamed) };
    let under_way = match processing(money, &row).await {
        Ok(under_way) => under_way,
        Err(error) => return unavailable(&error),
    };
    let email = match session.user() {
        Some(user) => me::find(&app, &user).await.ok().flatten().and_then(|user| user.email),
        None => None,
    };
    let lines = pages::lines(&row.data, catalogue);
    let cannot_pay = app.money.click.as_ref().err().map(String::as_str);
    let view = Summary { checkout: &row, lines, price, email, under_way, cannot_pay };
    scripted(pages::checkout(&visitor, &view))
}

/// The payment of a checkout that its provider has.
async fn processing(money: &Money, row: &Checkout) -> Result<Option<String>, StoreError> {
    let books = money.ledger.look(&Reads::none().checkout(CheckoutKey::Id(row.id.clone()))).await?;
    let mut payments = books.payments_of(&row.id).filter(|payment| payment.state.is_processing());
    Ok(payments.next().map(|payment| payment.order.as_str().to_owned()))
}

/// `GET /payment/{orderId}`. Whoever is not signed in does that first and comes back; somebody else's is not found.
async fn payment(
    State(app): State<App>,
    Asker(caller): Asker,
    session: SignInSession,
    uri: Uri,
    headers: HeaderMap,
    Path(order): Path<String>,
) -> Response {
    let Some((money, catalogue)) = parts(&app) else { return missing::route(headers).await };
    if session.why_lost() == Some(Lost::StoreDown) {
        return away();
    }
    let visitor = visitor(&app, &session, &uri);
    if visitor.user.is_none() {
        return found(&visitor.sign_in);
    }
    let Some(order) = OrderId::parse(&order) else { return missing::route(headers).await };
    let payment = match money.payments.show(&caller, PaymentKey::Order(order)).await {
        Ok(payment) => payment,
        Err(PaymentError::Unavailable(error)) => return unavailable(&error),
        Err(_) => return missing::route(headers).await,
    };
    let lines = match &payment.checkout {
        Some(id) => bought(money, &caller, id).await.map(|row| pages::lines(&row.data, catalogue)),
        None => None,
    };
    scripted(pages::payment(&visitor, &PaymentView { payment: &payment, lines: lines.unwrap_or_default() }))
}

/// What a payment is for, as far as that can be told now.
async fn bought(money: &Money, caller: &Caller, id: &CheckoutId) -> Option<Checkout> {
    money.checkouts.show(caller, id).await.ok()
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error = chain(error), "the ledger did not answer a page");
    away()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
