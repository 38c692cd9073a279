//! What we ask of Stripe. A change takes the caller's Idempotency-Key; a reading is free to repeat.

use serde::de::DeserializeOwned;
use std::fmt;

use super::config::{Config, ConfigError};
use super::error::StripeError;
use super::form::Form;
use super::key::IdempotencyKey;
use super::object::{CheckoutSession, Page, Price, Refund};
use super::request::{NewRefund, NewSession};
use super::send::{Line, Request};

/// The most prices that [`Client::active_prices`] reads; [`Client::price`] finds any.
pub const PRICES_MAX: usize = PRICES_PER_PAGE * PRICE_PAGES_MAX;

/// Stripe's own maximum.
const PRICES_PER_PAGE: usize = 100;
const PRICE_PAGES_MAX: usize = 10;

/// A client of one Stripe account.
#[derive(Clone)]
pub struct Client {
    line: Line,
}

impl Client {
    /// From settings that are checked here.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self { line: Line::new(config)? })
    }

    /// Opens a payment page.
    ///
    /// # Errors
    /// [`StripeError::OutcomeUnknown`] if it may have been opened; any other error means that it was not.
    pub async fn create_session(
        &self,
        session: &NewSession,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError> {
        self.post(&["v1", "checkout", "sessions"], session.form()?, key).await
    }

    /// Where a Checkout Session stands.
    ///
    /// # Errors
    /// If Stripe gave no clear word; that says nothing about the session. An unknown one is
    /// [`Refused`](StripeError::Refused), and [`is_missing`](super::Refusal::is_missing).
    pub async fn session(&self, id: &str) -> Result<CheckoutSession, StripeError> {
        self.get(&["v1", "checkout", "sessions", id], "").await
    }

    /// Closes a payment page that nobody may pay any more.
    ///
    /// # Errors
    /// [`StripeError::OutcomeUnknown`] if it may have been closed; [`Refused`](StripeError::Refused) if it was not open:
    /// look at it with [`session`](Self::session) before anything else, because it may have been paid.
    pub async fn expire_session(
        &self,
        id: &str,
        key: &IdempotencyKey,
    ) -> Result<CheckoutSession, StripeError> {
        self.post(&["v1", "checkout", "sessions", id, "expire"], String::new(), key).await
    }

    /// Gives money back.
    ///
    /// # Errors
    /// [`StripeError::OutcomeUnknown`] if it may have been given; any other error means that it was not.
    pub async fn refund(&self, refund: &NewRefund, key: &IdempotencyKey) -> Result<Refund, StripeError> {
        self.post(&["v1", "refunds"], refund.form()?, key).await
    }

    /// A price, active or not; `None` where this account and mode has no such price.
    ///
    /// # Errors
    /// If Stripe gave no clear word.
    pub async fn price(&self, id: &str) -> Result<Option<Price>, StripeError> {
        match self.get(&["v1", "prices", id], "").await {
            Ok(price) => Ok(Some(price)),
            // Not an id at all: asking would find nothing.
            Err(StripeError::Invalid("id")) => Ok(None),
            Err(StripeError::Refused(refusal)) if refusal.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The prices that may be sold, the newest first, [`PRICES_MAX`] at most.
    ///
    /// # Errors
    /// If Stripe gave no clear word.
    pub async fn active_prices(&self) -> Result<Vec<Price>, StripeError> {
        let mut prices: Vec<Price> = Vec::new();
        for _ in 0..PRICE_PAGES_MAX {
            let query = Form::new()
                .field("active", "true")
                .field("limit", PRICES_PER_PAGE)
                .optional("starting_after", prices.last().map(|price| &price.id))
                .finish();
            let page: Page<Price> = self.get(&["v1", "prices"], &query).await?;
            let more = page.has_more && !page.data.is_empty();
            prices.extend(page.data);
            if !more {
                break;
            }
        }
        prices.truncate(PRICES_MAX);
        Ok(prices)
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> Result<T, StripeError> {
        let body = self.line.send(&Request::Get { path, query }).await?;
        read(&body)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: String,
        key: &IdempotencyKey,
    ) -> Result<T, StripeError> {
        let body = self.line.send(&Request::Post { path, form, key }).await?;
        // Stripe says that it was done; only what was done cannot be read.
        read(&body).map_err(|error| StripeError::OutcomeUnknown(Box::new(error)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.line.base().as_str()).finish_non_exhaustive()
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, StripeError> {
    serde_json::from_slice(body).map_err(|_| StripeError::Unreadable("not the documented JSON"))
}
