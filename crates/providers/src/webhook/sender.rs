//! One attempt to deliver one event.

use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt;
use url::Url;

use super::signature::{BadSecret, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secrets};
use crate::outgoing::{Unusable, check, client, status_of};
use crate::transport::Timeouts;

const SETTING: &str = "SESSILE_WEBHOOK_URL";
const SECRET_SETTING: &str = "SESSILE_WEBHOOK_SECRET";
/// The receiver wants no more of it.
const GONE: u16 = 410;

/// Posts events to one address.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    url: Url,
    secrets: Secrets,
}

/// What happened.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The same over every attempt: the receiver's idempotency key.
    pub id: &'a str,
    /// `payment.completed` and its siblings.
    pub topic: &'a str,
    /// When it happened, as ISO 8601.
    pub timestamp: &'a str,
    /// The event's data, an object.
    pub data: &'a serde_json::Value,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// The receiver answered 410: it wants no more of it.
    Gone,
    /// It has to be tried again; the sentence says what happened and holds no secret.
    Failed(String),
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    data: &'a RawValue,
}

impl Sender {
    /// To `url`, signed with `secrets`, the newest first.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong with the settings.
    pub fn new<'a>(
        url: &Url,
        secrets: impl IntoIterator<Item = &'a str>,
        timeouts: Timeouts,
    ) -> Result<Self, Unusable> {
        check(url, SETTING)?;
        let unusable = |bad: BadSecret| Unusable::Secret { setting: SECRET_SETTING, what: bad.to_string() };
        let secrets = Secrets::parse(secrets).map_err(unusable)?;
        Ok(Self { http: client(url, timeouts)?, url: url.clone(), secrets })
    }

    /// Posts an event once. `now_s`: unix seconds.
    pub async fn send(&self, event: Event<'_>, now_s: i64) -> Delivery {
        let Some(body) = body(event) else {
            return Delivery::Failed("the event cannot be written as JSON".to_owned());
        };
        let request = self
            .http
            .post(self.url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header(HEADER_ID, event.id)
            .header(HEADER_TIMESTAMP, now_s)
            .header(HEADER_SIGNATURE, self.secrets.sign(event.id, now_s, body.as_bytes()));
        match status_of(request.body(body)).await {
            Ok(200..=299) => Delivery::Delivered,
            Ok(GONE) => Delivery::Gone,
            Ok(status @ 300..=399) => {
                Delivery::Failed(format!("the receiver answered {status}; redirects are not followed"))
            }
            Ok(status) => Delivery::Failed(format!("the receiver answered {status}")),
            Err(what) => Delivery::Failed(what),
        }
    }
}

/// The path and the query may hold a token.
impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        f.debug_struct("Sender").field("to", &origin).field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

fn body(event: Event<'_>) -> Option<String> {
    let data = serde_json::value::to_raw_value(event.data).ok()?;
    serde_json::to_string(&Body { r#type: event.topic, timestamp: event.timestamp, data: &data }).ok()
}
