//! A guest signs in: what the anonymous cookie owned becomes the user's, and the cookie goes.
//!
//! Runs around every visitor's request and costs one look at the cookie header where there is no guest. It runs
//! before the handler, for somebody who was signed in elsewhere, and after it, for the callback that signs in.

use super::caller::{guest_of, guest_without_cookie};
use crate::app::App;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::SET_COOKIE;
use sessile::Session;
use sessile_core::checkout::GuestHash;

pub(crate) async fn adopt(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(guest) = guest_of(request.headers()) else { return next.run(request).await };
    let session = request.extensions().get::<Session>().cloned();
    let mut adopted = bind(&app, &guest, session.as_ref()).await;
    let mut response = next.run(request).await;
    if !adopted {
        adopted = bind(&app, &guest, session.as_ref()).await;
    }
    if adopted && let Some(cookie) = guest_without_cookie(&app) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Whether the guest is a user now. What could not be bound yet stays reachable by the cookie, which then stays too.
async fn bind(app: &App, guest: &GuestHash, session: Option<&Session>) -> bool {
    let Some(user) = session.and_then(Session::user) else { return false };
    let checkouts = async {
        match &app.money.kinds {
            Ok(money) => money.checkouts.adopt(guest, &user).await.map(Some),
            Err(_) => Ok(None),
        }
    };
    let jobs = async {
        match &app.generation.jobs {
            Ok(jobs) => jobs.adopt(guest, &user).await.map(|_| Some(())),
            Err(_) => Ok(None),
        }
    };
    match tokio::join!(checkouts, jobs) {
        (Ok(None), Ok(None)) => false,
        (Ok(_), Ok(_)) => {
            tracing::info!(guest = guest.fingerprint(), user_id = user.as_str(), "a guest signed in");
            true
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(
                error = crate::stores::reason_of(&error),
                "what a guest owns could not be bound to the user yet"
            );
            false
        }
    }
}
