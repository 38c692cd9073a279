//! The pages for people, the one style sheet, and the one script.

use super::accept::found;
use super::{me, purchases, visit, wizard};
use crate::app::App;
use crate::{pages, tour};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use sessile::{Error, Lost, Session, SignInSession};

/// Pages with somebody's data are nobody else's to keep.
const PRIVATE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// `GET /`: the way in; the tour, where this machine asks for it.
pub(crate) async fn landing(
    State(app): State<App>,
    parts: Parts,
    SignInSession(session): SignInSession,
) -> Response {
    check(&app, &session, &parts.headers, "/");
    if let Some(tour) = tour::offered(&app, &parts) {
        return tour::page(&app, &tour, &session).await;
    }
    let view = pages::Landing {
        signed_in: session.user().is_some(),
        sign_in: app.sign_in_path(),
        sells: wizard::parts(&app).is_some(),
        videos: app.generation.sells().is_ok(),
        development: app.is_development(),
        stand_ins: &app.stand_ins,
    };
    (PRIVATE, pages::landing(&view)).into_response()
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
        purchases: purchases::of(&app, &id).await,
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
    asset("text/css; charset=utf-8", pages::STYLE)
}

/// `GET /assets/wizard.js`, likewise.
pub(crate) async fn script() -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", pages::SCRIPT)
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")], text)
}
