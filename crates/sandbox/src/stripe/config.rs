//! What the stand-in knows of its one account: key, prices, where webhooks go, and how patient it is.

use std::fmt;
use std::time::Duration;

use super::error::StripeError;
use super::price::Price;
use crate::clock::{Clock, system_clock};
use crate::loopback::is_http_on_loopback;

/// The API version the account is pinned to: what an answer says when a request names none, and what events are
/// rendered in.
pub const API_VERSION: &str = "2026-10-28.endive";

/// The most signing secrets of one endpoint.
const SECRETS_MAX: usize = 8;
/// The most processes webhooks go to in turn.
const URLS_MAX: usize = 64;

/// The endpoint that is told of events.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where deliveries go, one after the other in turn: several processes of one application.
    pub urls: Vec<String>,
    /// What they are signed with; each one adds a `v1`, as while a secret is being rolled.
    pub secrets: Vec<String>,
}

impl Webhook {
    /// One process. Each secret adds a signature.
    #[must_use]
    pub fn new<S: Into<String>>(url: impl Into<String>, secrets: impl IntoIterator<Item = S>) -> Self {
        Self::in_turn([url], secrets)
    }

    /// Several processes.
    #[must_use]
    pub fn in_turn<U: Into<String>, S: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        secrets: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            urls: urls.into_iter().map(Into::into).collect(),
            secrets: secrets.into_iter().map(Into::into).collect(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StripeError> {
        if let Some(far) = self.urls.iter().find(|url| !is_http_on_loopback(url)) {
            return Err(StripeError::NotLoopback(far.clone()));
        }
        let urls = (1..=URLS_MAX).contains(&self.urls.len());
        let secrets = (1..=SECRETS_MAX).contains(&self.secrets.len());
        if !urls || !secrets || self.secrets.iter().any(String::is_empty) {
            return Err(StripeError::Webhook { urls_max: URLS_MAX, secrets_max: SECRETS_MAX });
        }
        Ok(())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("urls", &self.urls)
            .field("secrets", &format_args!("[{} secret(s)]", self.secrets.len()))
            .finish()
    }
}

/// How a delivery is repeated that was not answered with 2xx. The real one goes on for three days; here time runs fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Before the second try; doubles from there.
    pub first_delay: Duration,
    /// The longest wait between two tries.
    pub delay_max: Duration,
    /// Tries before an event is given up.
    pub tries_max: u32,
    /// How long one delivery may take.
    pub call_timeout: Duration,
    /// Deliveries under way at once, of all events.
    pub connections_max: usize,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_millis(50),
            delay_max: Duration::from_secs(2),
            tries_max: 60,
            call_timeout: Duration::from_secs(5),
            connections_max: 64,
        }
    }
}

/// The stand-in's settings.
#[derive(Clone)]
pub struct StripeConfig {
    /// The only key it knows.
    pub secret_key: String,
    /// Shown on the payment page.
    pub account_name: String,
    /// What can be bought.
    pub prices: Vec<Price>,
    /// Who is told of events; nobody until the application's port is known.
    pub webhook: Option<Webhook>,
    /// Types of event the endpoint listens to. Others are recorded and not delivered.
    pub enabled_events: Vec<String>,
    /// How deliveries are repeated.
    pub schedule: Schedule,
    /// Base of the payment page's address; unset is `http://<address it listens on>`.
    pub public_url: Option<String>,
    /// How long a session can be paid unless it says otherwise.
    pub session_lifetime: Duration,
    /// After how long a bank debit succeeds by itself; `None` waits for [`super::StripeControl::settle`].
    pub settle_after: Option<Duration>,
    /// How long `api_timeout` keeps a caller waiting.
    pub hang: Duration,
    /// Sessions kept in memory; the oldest is forgotten above that.
    pub sessions_max: usize,
    /// Events kept in memory; the oldest is forgotten above that.
    pub events_max: usize,
    /// Unix milliseconds.
    pub clock: Clock,
}

/// What a webhook endpoint of a shop with Checkout usually listens to.
const ENABLED_EVENTS: [&str; 9] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
];

impl StripeConfig {
    /// An account with this key and these prices, and no webhook yet.
    #[must_use]
    pub fn new(secret_key: impl Into<String>, prices: Vec<Price>) -> Self {
        Self {
            secret_key: secret_key.into(),
            account_name: "Demo shop".into(),
            prices,
            webhook: None,
            enabled_events: ENABLED_EVENTS.map(str::to_owned).to_vec(),
            schedule: Schedule::default(),
            public_url: None,
            session_lifetime: Duration::from_secs(24 * 3600),
            settle_after: None,
            hang: Duration::from_secs(60),
            sessions_max: 20_000,
            events_max: 100_000,
            clock: system_clock(),
        }
    }

    /// A made-up account for a demonstration: one video, or three for the price of two and a half.
    #[must_use]
    pub fn demo() -> Self {
        Self::new(
            "sk_test_sandbox",
            vec![
                Price::new("price_sandbox_single", "One video", 299, "usd"),
                Price::new("price_sandbox_triple", "Three videos", 749, "usd"),
            ],
        )
    }

    /// Who is told of events.
    #[must_use]
    pub fn with_webhook(mut self, webhook: Webhook) -> Self {
        self.webhook = Some(webhook);
        self
    }
}

impl fmt::Debug for StripeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeConfig")
            .field("secret_key", &"[secret]")
            .field("prices", &self.prices)
            .field("webhook", &self.webhook)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}
