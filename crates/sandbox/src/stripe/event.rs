//! An event and everything that was done to deliver it, kept for the page and for tests.

use serde::Serialize;
use serde_json::json;

use super::books::News;
use crate::random;

/// Deliveries kept of one event; more are counted only.
pub(crate) const DELIVERIES_MAX: usize = 256;
/// How much of an answer is kept.
pub(crate) const BODY_CHARS_KEPT: usize = 1024;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// An HTTP answer, whatever it says.
    Http {
        /// Its status.
        status: u16,
        /// The beginning of its body.
        body: String,
    },
    /// Nobody listens there, or the connection broke before or during the answer.
    Connection,
    /// No answer in time.
    Timeout,
    /// The body is larger than anything that is read.
    TooLarge,
    /// There was an answer and it was lost on the way, as switched on.
    Lost,
}

impl Answer {
    /// 2xx: the event need not be delivered again.
    #[must_use]
    pub fn acknowledges(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }

    /// HTTP status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// When it was sent, unix milliseconds.
    pub at_ms: i64,
    /// The event.
    pub event: String,
    /// Where it went.
    pub url: String,
    /// `Stripe-Signature` as it was sent, if any.
    pub signature: Option<String>,
    /// What came back.
    pub answer: Answer,
}

/// What became of an event's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Being delivered, or waiting for the next try.
    Pending,
    /// A 2xx came back.
    Acknowledged,
    /// Every try was in vain.
    GivenUp,
    /// Held back, as switched on.
    Withheld,
    /// Nobody listens to this type, or no webhook is set.
    NotSubscribed,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// `checkout.session.completed` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, unix milliseconds.
    pub at_ms: i64,
    /// The session it is about.
    pub session: String,
    /// The exact body of every delivery.
    pub body: String,
    /// What became of it.
    pub state: EventState,
    /// How often it was sent.
    pub sent: u64,
    /// How often a 2xx came back.
    pub acknowledged: u64,
    /// What was sent and what came back, oldest first, up to 256.
    pub deliveries: Vec<Delivery>,
}

/// Which call of the API made it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause {
    pub(crate) request: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

impl Event {
    pub(crate) fn new(news: &News, cause: &Cause, api_version: &str, now_ms: i64) -> Self {
        let id = format!("evt_1{}", random::letters(23));
        let body = json!({
            "id": id,
            "object": "event",
            "api_version": api_version,
            "created": now_ms / 1000,
            "data": { "object": news.object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": cause.request, "idempotency_key": cause.idempotency_key },
            "type": news.kind,
        });
        Self {
            kind: news.kind.to_owned(),
            at_ms: now_ms,
            session: news.session.clone(),
            // The real bodies are indented too: whoever parses and prints again before checking the signature fails.
            body: format!("{body:#}"),
            state: EventState::Pending,
            sent: 0,
            acknowledged: 0,
            deliveries: Vec::new(),
            id,
        }
    }

    /// Without its deliveries.
    pub(crate) fn outline(&self) -> Self {
        Self {
            id: self.id.clone(),
            kind: self.kind.clone(),
            session: self.session.clone(),
            body: self.body.clone(),
            deliveries: Vec::new(),
            ..*self
        }
    }

    pub(crate) fn record(&mut self, delivery: Delivery) {
        self.sent += 1;
        if delivery.answer.acknowledges() {
            self.acknowledged += 1;
            self.state = EventState::Acknowledged;
        }
        if self.deliveries.len() < DELIVERIES_MAX {
            self.deliveries.push(delivery);
        }
    }
}
