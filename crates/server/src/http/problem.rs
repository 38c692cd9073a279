//! The program's own refusals as problem+json (RFC 9457), beside those of the session layer.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use sessile_whatsapp::DeviceError;

const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors/");
const RETRY_AFTER_SECONDS: u16 = 1;

/// Every code that a problem of the program can have; each has a page under `docs/errors/`.
pub const PROBLEM_CODES: &[&str] = &[
    "body_too_large",
    "checkout_not_active",
    "checkout_not_found",
    "coupon_code_taken",
    "coupon_not_found",
    "device_not_found",
    "device_unavailable",
    "effect_not_found",
    "generation_not_found",
    "generation_not_retryable",
    "generation_unreadable",
    "generations_unavailable",
    "idempotency_key_invalid",
    "idempotency_key_missing",
    "idempotency_key_reused",
    "internal_error",
    "invalid_body",
    "invalid_parameter",
    "ledger_unavailable",
    "method_not_allowed",
    "not_configured",
    "not_the_operator",
    "nothing_to_refund",
    "overloaded",
    "payment_in_progress",
    "payment_not_cancellable",
    "payment_not_found",
    "refund_not_found",
    "refund_not_manual",
    "request_timeout",
    "route_not_found",
    "token_required",
    "unknown_token",
    "unsupported_media_type",
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
    pub(super) fn new(
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

    /// A WhatsApp device did not do what an operator ordered.
    pub(crate) fn device_unavailable(why: &DeviceError) -> Self {
        let detail = format!("The device did not do it: {why}.");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "device_unavailable",
            "The WhatsApp device is unavailable",
            &detail,
            "Look at the device's page, and try again; repeating is safe.",
        )
    }

    /// The store of login sessions did not answer an operator.
    pub(crate) fn logins_unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_unavailable",
            "Session storage is unavailable",
            "The store of login sessions did not answer, so it is not known whether the change is stored.",
            "Try again; repeating is safe.",
        )
    }

    /// For pages: status, title, what happened, what to do.
    pub(crate) fn told(&self) -> (StatusCode, &'static str, &str, &'static str) {
        (self.status, self.title, &self.detail, self.remedy)
    }

    pub(crate) fn unknown_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            "Unknown token",
            "The Authorization header holds no bearer token that is known here.",
            "Send `Authorization: Bearer` with a key of SESSILE_API_KEYS, or no such header.",
        )
    }

    pub(crate) fn not_the_operator() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not_the_operator",
            "Operators only",
            "This route is the operator's.",
            "Send `Authorization: Bearer` with the token of SESSILE_ADMIN_TOKEN.",
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
