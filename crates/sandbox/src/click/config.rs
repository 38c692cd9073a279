//! What the stand-in knows of its one merchant: ids, secret, where to call it, and how patient to be.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

use super::error::ClickError;
use crate::clock::{Clock, system_clock};
use crate::loopback::is_http_on_loopback;

/// Where the merchant takes Click's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callbacks {
    /// Prepare (`action=0`).
    pub prepare_url: String,
    /// Complete (`action=1`). May be the same as the other one.
    pub complete_url: String,
}

impl Callbacks {
    /// Both URLs. They are checked when they are given to the stand-in.
    #[must_use]
    pub fn new(prepare_url: impl Into<String>, complete_url: impl Into<String>) -> Self {
        Self { prepare_url: prepare_url.into(), complete_url: complete_url.into() }
    }

    /// Demo money is for demo merchants: a stand-in never calls anything but this machine.
    pub(crate) fn check(&self) -> Result<(), ClickError> {
        for url in [&self.prepare_url, &self.complete_url] {
            if !is_http_on_loopback(url) {
                return Err(ClickError::NotLoopback(url.clone()));
            }
        }
        Ok(())
    }
}

/// How a message is repeated that was not answered. The real intervals are minutes; here time runs fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Before the second try; doubles from there.
    pub first_delay: Duration,
    /// The longest wait between two tries.
    pub delay_max: Duration,
    /// Tries of one message before it is given up. [`super::ClickControl::pay_all`] goes on until its time is up.
    pub tries_max: u32,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// How long one payment may take, whatever happens.
    pub total_time: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(50),
            delay_max: Duration::from_secs(1),
            tries_max: 8,
            call_timeout: Duration::from_secs(2),
            total_time: Duration::from_secs(60),
        }
    }
}

/// What Click does when the merchant refuses a Prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// As documented: a Complete with `error<0` follows, so that the merchant lets go of the order.
    SendCancel,
    /// Nothing follows.
    Stop,
}

/// The stand-in's settings.
#[derive(Clone)]
pub struct ClickConfig {
    /// The merchant's service.
    pub service_id: String,
    /// The merchant.
    pub merchant_id: String,
    /// Who calls the Merchant API.
    pub merchant_user_id: String,
    /// Signs messages and proves Merchant API calls.
    pub secret_key: String,
    /// Shown on the pay page.
    pub merchant_name: String,
    /// Where messages go, one after the other in turn; empty until the application's port is known.
    pub callbacks: Vec<Callbacks>,
    /// How unanswered messages are repeated.
    pub retry: Retry,
    /// What follows a refused Prepare.
    pub after_refusal: AfterRefusal,
    /// How far a Merchant API caller's clock may be off.
    pub auth_tolerance: Duration,
    /// How long the pay page waits for a payment before it sends the buyer back as "processing".
    pub page_wait: Duration,
    /// Orders kept in memory; the oldest is forgotten above that.
    pub payments_max: usize,
    /// Unix milliseconds.
    pub clock: Clock,
}

impl ClickConfig {
    /// A merchant with these credentials and no callbacks yet.
    #[must_use]
    pub fn new(
        service_id: impl Into<String>,
        merchant_id: impl Into<String>,
        merchant_user_id: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        Self {
            service_id: service_id.into(),
            merchant_id: merchant_id.into(),
            merchant_user_id: merchant_user_id.into(),
            secret_key: secret_key.into(),
            merchant_name: "Demo shop".into(),
            callbacks: Vec::new(),
            retry: Retry::default(),
            after_refusal: AfterRefusal::SendCancel,
            auth_tolerance: Duration::from_secs(300),
            page_wait: Duration::from_secs(5),
            payments_max: 10_000,
            clock: system_clock(),
        }
    }

    /// Made-up credentials for a demonstration: service 12345 of merchant 54321.
    #[must_use]
    pub fn demo() -> Self {
        Self::new("12345", "54321", "10101", "test_secret_key")
    }

    /// Adds a place to call.
    #[must_use]
    pub fn with_callbacks(mut self, prepare_url: impl Into<String>, complete_url: impl Into<String>) -> Self {
        self.callbacks.push(Callbacks::new(prepare_url, complete_url));
        self
    }
}

impl fmt::Debug for ClickConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickConfig")
            .field("service_id", &self.service_id)
            .field("merchant_id", &self.merchant_id)
            .field("merchant_user_id", &self.merchant_user_id)
            .field("secret_key", &"[secret]")
            .field("callbacks", &self.callbacks)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
