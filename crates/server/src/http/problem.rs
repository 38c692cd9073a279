//! The program's own refusals as problem+json (RFC 9457), beside those of the session layer.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors/");
const RETRY_AFTER_SECONDS: u16 = 1;

/// Every code that a problem of the program can have; each has a page under `docs/errors/`.
pub const PROBLEM_CODES: [&str; 7] = [
    "device_not_found",
    "method_not_allowed",
    "not_configured",
    "overloaded",
    "request_timeout",
    "route_not_found",
    "users_unavailable",
];

/// One refusal.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    remedy: &'static str,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: &str,
        remedy: &'static str,
    ) -> Self {
        Self { status, code, title, detail: detail.to_owned(), remedy }
    }

    pub(crate) fn route_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "route_not_found",
            "No such route",
            "Nothing is served at this path.",
            "Check the path against the documentation.",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed",
            "This path is served, but not for this method.",
            "Use one of the methods in the Allow header.",
        )
    }

    pub(crate) fn device_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "device_not_found",
            "No such session",
            "You have no session with this handle; it may have ended already.",
            "Read the list of sessions again.",
        )
    }

    pub(crate) fn users_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "users_unavailable",
            "The users' database is unavailable",
            "The users' database did not answer.",
            "Repeat the request after `Retry-After`.",
        )
    }

    pub(crate) fn not_configured(what: &str) -> Self {
        Self {
            detail: what.to_owned(),
            ..Self::new(
                StatusCode::NOT_IMPLEMENTED,
                "not_configured",
                "Not configured",
                "",
                "Set the named variables and start again.",
            )
        }
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Too many requests under way",
            "The server works on as many requests as it may.",
            "Repeat the request after `Retry-After`.",
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "request_timeout",
            "The request took too long",
            "The request was not done in time; whether it changed anything is unknown.",
            "Repeat the request after `Retry-After`; repeating is safe.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("{DOCS}{}.md", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "remedy": self.remedy,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}
