//! What is answered where nothing is: a page for people, a problem for programs.

use super::accept::wants_page;
use super::problem::Problem;
use crate::pages;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};

pub(crate) async fn route(headers: HeaderMap) -> Response {
    if wants_page(&headers) {
        return (StatusCode::NOT_FOUND, pages::not_found()).into_response();
    }
    Problem::route_not_found().into_response()
}

pub(crate) async fn method() -> Problem {
    Problem::method_not_allowed()
}
