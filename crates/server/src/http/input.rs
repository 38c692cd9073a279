//! A JSON body as the drop-in routes take it: one object, read whole, refused with a sentence that each route puts
//! into its own words. Nothing here decides what a field means.

use crate::limits::BODY_BYTES_MAX;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

/// A body, or why there is none. Never rejects by itself.
pub(crate) struct Input(pub(crate) Result<Fields, BadInput>);

/// Why a body cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadInput {
    #[error("Send the request as JSON, with `Content-Type: application/json`.")]
    NotJson,
    #[error("The body is not a JSON object; check it for typing errors.")]
    Malformed,
    #[error("The body is larger than {BODY_BYTES_MAX} bytes.")]
    TooLarge,
    #[error("The body did not arrive whole; send it again.")]
    Broken,
}

impl BadInput {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson | Self::Malformed | Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let is_json = is_json(request.headers());
        Ok(Self(match Bytes::from_request(request, state).await {
            // Nothing is an object without fields: every route says itself what is missing.
            Ok(body) if body.is_empty() => Ok(Fields::default()),
            Ok(_) if !is_json => Err(BadInput::NotJson),
            Ok(body) => serde_json::from_slice(&body).map(Fields).map_err(|_| BadInput::Malformed),
            Err(rejection) => match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Err(BadInput::TooLarge),
                _ => Err(BadInput::Broken),
            },
        }))
    }
}

/// `application/json`, and `application/….+json`. A form, which any page of the web may send, is neither.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json")
}

/// An object's fields. `null` and absence are the same.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The field, taken out; `Null` where there is none.
    pub(crate) fn take(&mut self, name: &str) -> Value {
        self.0.remove(name).unwrap_or(Value::Null)
    }

    /// Whether the field was sent at all, be it as `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text that is not empty; anything else counts as absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use serde_json::json;

    async fn read(content_type: &str, body: &'static str) -> Result<Value, BadInput> {
        let request = Request::post("/").header(CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
        let Input(read) = Input::from_request(request, &()).await.unwrap();
        read.map(Fields::into_value)
    }

    #[tokio::test]
    async fn an_object_is_read_and_everything_else_has_a_sentence() {
        assert_eq!(read("application/json; charset=utf-8", r#"{"a":1}"#).await, Ok(json!({"a": 1})));
        assert_eq!(read("application/vnd.api+JSON", "{}").await, Ok(json!({})));
        assert_eq!(read("text/plain", "").await, Ok(json!({})));
        for (content_type, body, why) in [
            ("text/plain", "{}", BadInput::NotJson),
            ("application/x-www-form-urlencoded", "a=1", BadInput::NotJson),
            ("application/json", "[1]", BadInput::Malformed),
            ("application/json", "{", BadInput::Malformed),
            ("application/json", r#"{"a":NaN}"#, BadInput::Malformed),
        ] {
            assert_eq!(read(content_type, body).await, Err(why), "{content_type} {body}");
        }
    }

    #[test]
    fn texts_are_not_empty() {
        let mut fields = Fields(json!({"a": "x", "b": "", "c": 1}).as_object().cloned().unwrap());
        assert_eq!(["a", "b", "c", "d"].map(|name| fields.text(name)), [Some("x".into()), None, None, None]);
    }
}
