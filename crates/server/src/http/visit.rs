//! Why a visitor has no session: counted on every request, and told in full on our pages, because "it logged me out"
//! is what people report and this line is what answers it.

use crate::telemetry;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use sessile::{Session, cookie_values};

pub(crate) async fn note(request: Request, next: Next) -> Response {
    if let Some(why) = request.extensions().get::<Session>().and_then(Session::why_lost) {
        metrics::counter!(telemetry::LOST, "why" => why.name()).increment(1);
    }
    next.run(request).await
}

/// The session check of a page, as one log line.
pub(crate) fn checked(session: &Session, headers: &HeaderMap, cookie_name: &str, path: &'static str) {
    let why = session.why_lost();
    tracing::info!(
        path,
        user_id = session.user().as_ref().map(|user| user.as_str().to_owned()),
        session = session.fingerprint().map(|fingerprint| fingerprint.to_string()),
        had_cookie = cookie_values(headers, cookie_name).next().is_some(),
        had_session = why.is_none(),
        why_not = why.as_ref().map(sessile::Lost::name),
        "session check"
    );
}
