//! The device list: where a user is signed in, and ending that. For programs as JSON, for our page's forms as
//! redirects.

use super::accept::{found, wants_page};
use super::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use sessile::{DeviceHandle, Error, Revoked, Session};

/// `GET /api/sessions`.
pub(crate) async fn list(session: Session) -> Result<Response, Error> {
    let devices = session.devices().await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(json!({ "sessions": devices }))).into_response())
}

/// `DELETE /api/sessions/{handle}`, and `POST …/revoke` for forms. Somebody else's is as unknown as none at all.
pub(crate) async fn revoke(
    headers: HeaderMap,
    session: Session,
    Path(handle): Path<String>,
) -> Result<Response, Error> {
    if session.user().is_none() {
        return nobody(&headers);
    }
    let revoked = match DeviceHandle::parse(&handle) {
        Some(handle) => session.revoke(&handle).await?,
        None => Revoked::NoSuchSession,
    };
    Ok(match (revoked, wants_page(&headers)) {
        // Gone is what was wanted; the page shows what is left, or the landing page when it was this one.
        (_, true) => found("/dashboard"),
        (Revoked::Yes, false) => StatusCode::NO_CONTENT.into_response(),
        (Revoked::NoSuchSession, false) => Problem::device_not_found().into_response(),
    })
}

/// `POST /api/sessions/revoke-others`.
pub(crate) async fn revoke_others(headers: HeaderMap, session: Session) -> Result<Response, Error> {
    if session.user().is_none() {
        return nobody(&headers);
    }
    let revoked = session.revoke_others().await?;
    tracing::info!(revoked, session = session.fingerprint().map(|f| f.to_string()), "other sessions revoked");
    if wants_page(&headers) {
        return Ok(found("/dashboard"));
    }
    Ok(Json(json!({ "revoked": revoked })).into_response())
}

/// Who pressed a button on a page that is out of date gets the landing page. Not the provider's: a form may not lead
/// to another site, not by a redirect either (`form-action`).
fn nobody(headers: &HeaderMap) -> Result<Response, Error> {
    if wants_page(headers) { Ok(found("/")) } else { Err(Error::NotSignedIn) }
}
