//! `GET` and `POST /sandbox/stripe/c/pay/{session}`: what the buyer sees.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;
use serde::Deserialize;

use super::error::StripeError;
use super::pages;
use super::payment::{Decline, Paid, PayWith};
use super::session::{CheckoutSession, SessionStatus};
use super::state::App;

/// What the form sends; a card's other fields are looked at by nobody.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PayForm {
    method: String,
    number: String,
    email: String,
}

pub(crate) async fn show(State(app): State<App>, Path(id): Path<String>) -> Response {
    let Some(session) = app.session(&id) else {
        return page(StatusCode::NOT_FOUND, pages::gone());
    };
    app.count("pay_page_shown");
    shown(&app, &session, None)
}

pub(crate) async fn pay(
    State(app): State<App>,
    Path(id): Path<String>,
    Form(form): Form<PayForm>,
) -> Response {
    let Some(session) = app.session(&id) else {
        return page(StatusCode::NOT_FOUND, pages::gone());
    };
    let with = match with(&form) {
        Ok(with) => with,
        Err(why) => return shown(&app, &session, Some(why)),
    };
    if let Some(session) = app.books.lock().sessions.get_mut(&id).filter(|session| session.email.is_none()) {
        session.email = Some(form.email.trim().to_owned()).filter(|email| email.contains('@'));
    }
    match app.pay(&id, with) {
        Ok(Paid::Complete | Paid::Pending) => {
            ([(CACHE_CONTROL, "no-store")], Redirect::to(&session.success_redirect())).into_response()
        }
        Ok(Paid::Declined(decline)) => shown(&app, &session, Some(decline.message())),
        Err(StripeError::NotOpen { .. }) => match app.session(&id) {
            Some(session) => shown(&app, &session, None),
            None => page(StatusCode::NOT_FOUND, pages::gone()),
        },
        Err(_) => page(StatusCode::NOT_FOUND, pages::gone()),
    }
}

fn with(form: &PayForm) -> Result<PayWith, &'static str> {
    if form.method == "bank" {
        return Ok(PayWith::BankDebit);
    }
    let digits: String = form.number.chars().filter(char::is_ascii_digit).collect();
    match digits.as_str() {
        "4242424242424242" | "5555555555554444" | "4000056655665556" => Ok(PayWith::Card),
        "4000000000000002" => Ok(PayWith::DeclinedCard(Decline::Generic)),
        "4000000000009995" => Ok(PayWith::DeclinedCard(Decline::InsufficientFunds)),
        "4000000000000069" => Ok(PayWith::DeclinedCard(Decline::ExpiredCard)),
        "" if form.method == "free" => Ok(PayWith::Card),
        "" => Err("Your card number is incomplete."),
        _ => Err("Your card number is invalid."),
    }
}

fn shown(app: &App, session: &CheckoutSession, problem: Option<&str>) -> Response {
    match session.status {
        SessionStatus::Open if problem.is_some() => {
            page(StatusCode::PAYMENT_REQUIRED, pages::pay(&app.config.account_name, session, problem))
        }
        SessionStatus::Open => page(StatusCode::OK, pages::pay(&app.config.account_name, session, None)),
        SessionStatus::Complete => page(StatusCode::OK, pages::done(session)),
        SessionStatus::Expired => page(StatusCode::GONE, pages::expired(session)),
    }
}

fn page(status: StatusCode, content: Markup) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], content).into_response()
}
