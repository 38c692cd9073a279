//! The two envelopes, and every refusal with its status.

use crate::http::problem::Problem;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use sessile_core::Timestamp;
use sessile_whatsapp::{BadMessage, DeviceError};

/// Seconds after which a device that is not ready may be.
const RETRY_SECONDS: u64 = 5;

/// `{success: true, data, message}`; nobody's to keep.
pub(super) fn done(data: &Value, message: &str) -> Response {
    let body = json!({ "success": true, "data": data, "message": message });
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) enum Refused {
    /// `{success: false, error, message, timestamp}`.
    Plain(Box<Plain>),
    /// The kind is not configured.
    Missing(String),
    /// There is no room.
    Full,
}

/// A refusal in the drop-in envelope.
#[derive(Debug)]
pub(crate) struct Plain {
    status: StatusCode,
    error: &'static str,
    message: String,
    at: Timestamp,
    data: Option<Value>,
    retry_after_seconds: Option<u64>,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        message: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        let message = message.into();
        Self::Plain(Box::new(Plain { status, error, message, at, data: None, retry_after_seconds: None }))
    }

    /// The same, with what is known all the same.
    pub(super) fn with(mut self, known: Value) -> Self {
        if let Self::Plain(plain) = &mut self {
            plain.data = Some(known);
        }
        self
    }

    fn again_in(mut self, seconds: u64) -> Self {
        if let Self::Plain(plain) = &mut self {
            plain.retry_after_seconds = Some(seconds);
        }
        self
    }

    pub(super) fn unauthorized(at: Timestamp) -> Self {
        let what = "Send `Authorization: Bearer` with a key of SESSILE_API_KEYS or the operator's token.";
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", what, at)
    }

    pub(super) fn bad_client_id(at: Timestamp) -> Self {
        let what = "clientId is 1 to 64 letters, digits, `.`, `_` or `-`, and does not begin with a dot.";
        Self::new(StatusCode::BAD_REQUEST, "Invalid client id", what, at)
    }

    pub(super) fn message(bad: BadMessage, at: Timestamp) -> Self {
        let error = match bad {
            BadMessage::Number => "Invalid phone number format",
            BadMessage::Empty => "Missing required fields",
            BadMessage::TooLong { .. } => "Message too long",
        };
        Self::new(StatusCode::BAD_REQUEST, error, sentence(&bad), at)
    }

    /// What a device answered in place of doing it.
    pub(super) fn device(refusal: DeviceError, at: Timestamp) -> Self {
        use DeviceError as E;
        let message = sentence(&refusal);
        match refusal {
            E::NotReady { .. } => {
                let what = format!("{message} Pair or reconnect it, then send again.");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "WhatsApp is not ready", what, at)
                    .again_in(RETRY_SECONDS)
            }
            E::Elsewhere { until } => {
                let wait = until.since(at).as_secs().max(1);
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "WhatsApp runs in another process", message, at)
                    .again_in(wait)
            }
            E::AlreadyPaired => {
                let what = format!("{message} Log it out first.");
                Self::new(StatusCode::CONFLICT, "Already paired", what, at)
            }
            E::KeyReused => {
                let what = format!("{message} Use a new key for another message.");
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key reused", what, at)
            }
            E::InFlight => Self::new(StatusCode::CONFLICT, "Message is being sent", message, at).again_in(1),
            E::Refused(_) => Self::new(StatusCode::BAD_GATEWAY, "WhatsApp refused", message, at),
            E::Throttled { wait } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "WhatsApp asks for patience", message, at)
                    .again_in(wait.map_or(RETRY_SECONDS, |wait| wait.as_secs().max(1)))
            }
            E::Unknown(_) => {
                let what = format!("{message} Repeat it with the same Idempotency-Key: it is shown once.");
                Self::new(StatusCode::BAD_GATEWAY, "Outcome unknown", what, at)
            }
            E::StorageAway(_) => {
                tracing::error!(error = message, "the store of WhatsApp devices did not answer");
                let what = "The store of the device's keys does not answer. Repeat after `Retry-After`.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Storage unavailable", what, at)
                    .again_in(RETRY_SECONDS)
            }
            E::Unusable(_) => {
                tracing::error!(error = message, "a stored WhatsApp device cannot be used");
                let what = format!("{message} `sessile inspect` with its clientId says what to do.");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Stored device unusable", what, at)
            }
            E::ShuttingDown => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Shutting down", message, at).again_in(1)
            }
        }
    }
}

/// An error's words as a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let plain = match self {
            Self::Plain(plain) => *plain,
            Self::Missing(sentence) => return Problem::not_configured(&sentence).into_response(),
            Self::Full => return Problem::overloaded().into_response(),
        };
        let Plain { status, error, message, at, data, retry_after_seconds } = plain;
        let mut body = Map::new();
        body.insert("success".to_owned(), json!(false));
        body.insert("error".to_owned(), json!(error));
        if let Some(data) = data {
            body.insert("data".to_owned(), data);
        }
        body.insert("message".to_owned(), json!(message));
        body.insert("timestamp".to_owned(), json!(at.to_iso8601()));
        let mut response = (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
