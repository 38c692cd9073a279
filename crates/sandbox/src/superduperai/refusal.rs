//! The API's error answers: `{"detail": …}`, as FastAPI answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A status and a sentence.
    Detail(StatusCode, &'static str),
    /// 422: what is wrong, and where (`body` or `query`, then a path with dots).
    Invalid { place: &'static str, path: String, message: &'static str },
}

impl Refusal {
    pub(crate) fn body(path: &str, message: &'static str) -> Self {
        Self::Invalid { place: "body", path: path.to_owned(), message }
    }

    pub(crate) fn query(path: &str, message: &'static str) -> Self {
        Self::Invalid { place: "query", path: path.to_owned(), message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Detail(status, text) => (status, Json(json!({ "detail": text }))).into_response(),
            Self::Invalid { place, path, message } => {
                let path = path.split('.').filter(|part| !part.is_empty());
                let location: Vec<&str> = std::iter::once(place).chain(path).collect();
                let body = json!({ "detail": [{ "loc": location, "msg": message, "type": "value_error" }] });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
            }
        }
    }
}
