//! Who is asking: somebody at a browser, who gets pages and redirects, or a program, which gets JSON.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Whether the answer is going to be looked at. Programs either ask for JSON or for anything.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// 302 to a place of ours, or to a provider's URL.
pub(crate) fn found(location: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(location) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}
