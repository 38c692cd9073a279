//! `GET` and `POST /sandbox/click/services/pay`: what the buyer sees.
//!
//! The page carries the pay link in hidden fields and the answer is checked again from the start. A payment runs in a
//! task of its own, so that a closed browser does not stop Click halfway.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::sync::Arc;
use url::Url;

use super::attempt::{Attempt, AttemptState};
use super::error::ClickError;
use super::flow::Flow;
use super::ledger::{Key, ORDER_CHARS_MAX};
use super::patience::Patience;
use super::state::App;
use super::{amount, pages};

/// The pay link as it came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PayLink {
    service_id: String,
    merchant_id: String,
    pub(crate) amount: String,
    pub(crate) transaction_param: String,
    pub(crate) return_url: String,
}

impl PayLink {
    /// Name and value of every parameter, for the page's hidden fields.
    pub(crate) fn fields(&self) -> [(&'static str, &str); 5] {
        [
            ("service_id", &self.service_id),
            ("merchant_id", &self.merchant_id),
            ("amount", &self.amount),
            ("transaction_param", &self.transaction_param),
            ("return_url", &self.return_url),
        ]
    }

    fn check(&self, app: &App) -> Result<(), String> {
        if self.service_id != app.config.service_id {
            return Err("service_id is not registered here".into());
        }
        if self.merchant_id != app.config.merchant_id {
            return Err("merchant_id does not belong to this service".into());
        }
        if amount::tiyin(&self.amount).is_none() {
            return Err(ClickError::Amount(self.amount.clone()).to_string());
        }
        if self.transaction_param.is_empty() || self.transaction_param.chars().count() > ORDER_CHARS_MAX {
            return Err(ClickError::Order.to_string());
        }
        let web = |url: Url| matches!(url.scheme(), "http" | "https");
        if !self.return_url.is_empty() && !Url::parse(&self.return_url).is_ok_and(web) {
            return Err("return_url must be an absolute http or https URL".into());
        }
        Ok(())
    }

    /// Where the buyer goes back to. The query's names are what merchants see; no document promises them.
    pub(crate) fn back(&self, attempt: Option<&Attempt>) -> Option<String> {
        let mut url = Url::parse(&self.return_url).ok()?;
        if let Some(attempt) = attempt {
            url.query_pairs_mut()
                .append_pair("payment_id", &attempt.click_paydoc_id.to_string())
                .append_pair("payment_status", &attempt.state.payment_status().to_string());
        }
        Some(url.into())
    }
}

/// Which button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Button {
    /// The whole way, or the rest of it.
    Pay,
    /// Prepare, and no confirmation yet.
    Prepare,
    /// Prepare, and then the bank refuses the card.
    Fail,
    Cancel,
    Close,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    #[serde(flatten)]
    link: PayLink,
    decision: Button,
}

pub(crate) async fn show(State(app): State<App>, Query(link): Query<PayLink>) -> Response {
    if let Err(why) = link.check(&app) {
        return refused_link(&app, &why);
    }
    app.count("pay_page_shown");
    let prepared = app.ledger.lock().prepared_key(&link.transaction_param).is_some();
    page(pages::pay(&app.config, &link, prepared))
}

pub(crate) async fn decide(State(app): State<App>, Form(decision): Form<Decision>) -> Response {
    let Decision { link, decision } = decision;
    if let Err(why) = link.check(&app) {
        return refused_link(&app, &why);
    }
    let prepared = app.ledger.lock().prepared_key(&link.transaction_param);
    let key = match (decision, prepared) {
        (Button::Close, _) => {
            app.count("window_closed");
            return page(pages::closed());
        }
        (Button::Cancel, None) => return go_back(&link, None),
        (_, Some(key)) => Ok(key),
        (_, None) => app.open(&link.transaction_param, &link.amount),
    };
    let key = match key {
        Ok(key) => key,
        Err(error) => return (StatusCode::CONFLICT, pages::refused_link(&error.to_string())).into_response(),
    };
    let task = tokio::spawn(run(Arc::clone(&app), key.clone(), decision));
    // The payment goes on when this wait is over, as it does when the buyer leaves.
    let _ = tokio::time::timeout(app.config.page_wait, task).await;
    let attempt = app.ledger.lock().find(&key);
    match attempt.as_ref().map(|attempt| attempt.state) {
        Some(AttemptState::Refused | AttemptState::Returned | AttemptState::Hanging) => {
            page(pages::outcome(attempt.as_ref(), &link))
        }
        // The buyer wanted to pay and did not call it off: say why it came to nothing.
        Some(AttemptState::Cancelled) if decision == Button::Pay => {
            page(pages::outcome(attempt.as_ref(), &link))
        }
        Some(AttemptState::Prepared) => page(pages::pay(&app.config, &link, true)),
        _ => go_back(&link, attempt.as_ref()),
    }
}

async fn run(app: App, key: Key, decision: Button) {
    let patience = Patience::ordinary(app.config.retry);
    let prepared = app.ledger.lock().find(&key).is_some_and(|known| known.state == AttemptState::Prepared);
    let flow = Flow { app: &app, key, patience };
    match decision {
        Button::Pay if prepared => flow.finish().await,
        Button::Pay => flow.pay().await,
        Button::Prepare | Button::Fail => {
            if !prepared {
                flow.agree().await;
            }
            if decision == Button::Fail {
                flow.cancel().await;
            }
        }
        Button::Cancel => {
            flow.cancel().await;
        }
        Button::Close => {}
    }
}

fn go_back(link: &PayLink, attempt: Option<&Attempt>) -> Response {
    match link.back(attempt) {
        Some(url) => ([(CACHE_CONTROL, "no-store")], Redirect::to(&url)).into_response(),
        None => page(pages::outcome(attempt, link)),
    }
}

fn refused_link(app: &App, why: &str) -> Response {
    app.count("pay_link_refused");
    (StatusCode::BAD_REQUEST, pages::refused_link(why)).into_response()
}

fn page(markup: maud::Markup) -> Response {
    ([(CACHE_CONTROL, "no-store")], markup).into_response()
}
