//! `GET /debug/session`, in development only: what the session holds, by name; never its id, never a value.

use axum::Json;
use http::header::CACHE_CONTROL;
use serde_json::json;
use sessile::{Error, Session};

pub(crate) async fn session(
    session: Session,
) -> Result<([(http::HeaderName, &'static str); 1], Json<serde_json::Value>), Error> {
    let body = json!({
        "sessionId": session.fingerprint().map(|fingerprint| fingerprint.to_string()),
        "keys": session.keys(),
        "userId": session.user().as_ref().map(|user| user.as_str().to_owned()),
        "whopUserId": session.get::<String>("whopUserId")?,
        "hasSession": session.why_lost().is_none(),
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(body)))
}
