//! The pages for people, and the one style sheet.

use super::accept::found;
use super::{me, visit};
use crate::app::App;
use crate::pages::{self, Style};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use sessile::{Error, Lost, Session, SignInSession};

/// Pages with somebody's data are nobody else's to keep.
const PRIVATE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// `GET /`.
pub(crate) async fn landing(
    State(app): State<App>,
    headers: HeaderMap,
    SignInSession(session): SignInSession,
) -> Response {
    check(&app, &session, &headers, "/");
    let page = pages::landing(session.user().is_some(), app.sign_in_path(), app.is_development());
    (PRIVATE, page).into_response()
}

/// `GET /dashboard`. While the store is away this says so, rather than that nobody is signed in.
pub(crate) async fn dashboard(
    State(app): State<App>,
    headers: HeaderMap,
    SignInSession(session): SignInSession,
) -> Result<Response, Error> {
    check(&app, &session, &headers, "/dashboard");
    if session.why_lost() == Some(Lost::StoreDown) {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, PRIVATE, pages::away()).into_response());
    }
    let Some(id) = session.user() else { return Ok(found(app.sign_in_path())) };
    let Ok(user) = me::find(&app, &id).await else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, PRIVATE, pages::away()).into_response());
    };
    let degraded = app.sessions.logins().store().info().degraded.is_some();
    // A list needs the primary store; the page does without while that is away.
    let devices = match session.devices().await {
        Ok(devices) => Some(devices),
        Err(_) if degraded => None,
        Err(error) => return Err(error),
    };
    let view = pages::Dashboard {
        user: user.as_ref(),
        id: id.as_str(),
        whop_user_id: session.get("whopUserId")?,
        devices,
        degraded,
        now: app.clock.now(),
    };
    Ok((PRIVATE, pages::dashboard(&view)).into_response())
}

fn check(app: &App, session: &Session, headers: &HeaderMap, path: &'static str) {
    visit::checked(session, headers, &app.sessions.logins().policy().cookie.name, path);
}

/// `GET /assets/sessile.css`; its address changes with its content.
pub(crate) async fn style() -> impl IntoResponse {
    let headers =
        [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, Style::TEXT)
}
