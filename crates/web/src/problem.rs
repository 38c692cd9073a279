//! What a client is told when a session could not be kept: RFC 9457 problem+json with a code and a remedy.
//!
//! The only file that knows both our errors and HTTP. Nothing of a store's or driver's words goes out; those are
//! logged where they happen.

use crate::error::Error;
use axum_core::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use sessile_core::login::{DataError, LoginError};
use std::borrow::Cow;

const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors/");
/// Seconds after which a client may ask again when the store was away.
const RETRY_AFTER_SECONDS: u16 = 1;

/// Every code that a [`Problem`] of this crate can have; each has a page under `docs/errors/`.
pub const PROBLEM_CODES: [&str; 12] = [
    "cross_site_request",
    "entropy_unavailable",
    "not_signed_in",
    "session_committed",
    "session_ended",
    "session_key_reserved",
    "session_layer_missing",
    "session_too_large",
    "session_value_type",
    "storage_unavailable",
    "user_id_invalid",
    "version_conflict",
];

/// An answer of ours in place of the application's.
///
/// ```
/// use axum::response::IntoResponse;
///
/// let answer = sessile::Error::NotSignedIn.into_response();
/// assert_eq!(answer.status(), 401);
/// assert_eq!(answer.headers()["content-type"], "application/problem+json");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

#[derive(Serialize)]
struct Body<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    code: &'p str,
    remedy: &'p str,
}

impl Problem {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable, machine-readable code, such as `session_ended`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The whole answer, with whatever body type the service uses.
    #[must_use]
    pub fn into_http<B: From<Vec<u8>>>(self) -> http::Response<B> {
        let body = Body {
            r#type: format!("{DOCS}{}.md", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            remedy: &self.remedy,
        };
        // Strings and a number always have a JSON form.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut answer = http::Response::new(B::from(json));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        answer
    }

    /// The extractor ran where no session layer stands.
    pub(crate) const fn layer_missing() -> Self {
        Self::fixed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "session_layer_missing",
            "No session layer",
            "This route takes a session, but no SessionLayer is in front of it.",
            "Add `.layer(SessionLayer::builder(store, secrets).build()?)` to the router, after the route.",
        )
    }

    /// The store did not answer.
    pub(crate) const fn unavailable() -> Self {
        Self::fixed(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_unavailable",
            "Session storage is unavailable",
            "Session storage did not answer, so it is not known whether the change is stored.",
            "Repeat the request after `Retry-After`; repeating is safe.",
        )
    }

    /// Another site's page sent the request.
    pub(crate) const fn cross_site() -> Self {
        Self::fixed(
            StatusCode::FORBIDDEN,
            "cross_site_request",
            "Cross-site request refused",
            "This request changes something and comes from another site.",
            "Send it from the application's own pages, or put the calling origin on the allow-list.",
        )
    }

    const fn fixed(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self { status, code, title, detail: Cow::Borrowed(detail), remedy: Cow::Borrowed(remedy) }
    }
}

impl From<&LoginError> for Problem {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::Ended => Self::fixed(
                StatusCode::UNAUTHORIZED,
                "session_ended",
                "The session has ended",
                "The session was ended while this request ran; nothing of it was stored.",
                "Sign in again, then repeat the request.",
            ),
            LoginError::Conflict => Self::fixed(
                StatusCode::CONFLICT,
                "version_conflict",
                "The session changed meanwhile",
                "Another request changed the session while this one ran; nothing of this one was stored.",
                "Read the present state and repeat the request.",
            ),
            LoginError::TooLarge { bytes, limit } => Self {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: "session_too_large",
                title: "The session is too large",
                detail: Cow::Owned(format!("The session would hold {bytes} bytes; {limit} is the limit.")),
                remedy: Cow::Owned(format!(
                    "Keep less than {limit} bytes in the session: store large values elsewhere and keep their id."
                )),
            },
            LoginError::Unavailable(_) => Self::unavailable(),
            LoginError::NoEntropy(_) => Self::fixed(
                StatusCode::SERVICE_UNAVAILABLE,
                "entropy_unavailable",
                "No random numbers",
                "The operating system gave no random bytes, so that no session id can be made.",
                "Check that getrandom(2) or /dev/urandom is available to the server, then repeat the request.",
            ),
        }
    }
}

impl From<&DataError> for Problem {
    fn from(error: &DataError) -> Self {
        let (code, title, remedy) = match error {
            DataError::ReservedKey(_) => {
                ("session_key_reserved", "Reserved session key", "Use another key in the application's code.")
            }
            DataError::WrongType { .. } => (
                "session_value_type",
                "Unexpected type of a session value",
                "Read the key as the type that was stored, or remove it.",
            ),
            DataError::TooLate => (
                "session_committed",
                "The session is committed already",
                "Change the session before the handler returns; or `save` it there.",
            ),
        };
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code,
            title,
            // These name a key of the application's own at most, never a value.
            detail: Cow::Owned(error.to_string()),
            remedy: Cow::Borrowed(remedy),
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::Data(error) => error.into(),
            Error::Login(error) => error.into(),
            Error::NotSignedIn => Self::fixed(
                StatusCode::UNAUTHORIZED,
                "not_signed_in",
                "Not signed in",
                "Nobody is signed in to this session.",
                "Sign in, then repeat the request.",
            ),
            Error::NotAUser => Self::fixed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "user_id_invalid",
                "Not a user id",
                "A user id is a number or a text of 1 to 255 bytes without NUL.",
                "Sign in with such an id.",
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_http()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
