//! The routes, and the layers around them: intake (limits, request id, log, metrics), same-origin, session.

pub(crate) mod accept;
mod callback;
mod debug;
mod devices;
pub(crate) mod headers;
mod health;
mod intake;
mod logout;
mod me;
mod missing;
mod pages;
mod problem;
mod sign_in;
mod visit;

pub use problem::PROBLEM_CODES;

use crate::app::App;
use crate::limits::BODY_BYTES_MAX;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};

/// The whole application.
pub fn router(app: App) -> Router {
    let mut visitors = Router::new()
        .route("/", get(pages::landing))
        .route("/dashboard", get(pages::dashboard))
        .route("/auth/whop", get(sign_in::whop))
        .route("/auth/whop/callback", get(callback::whop))
        .route("/api/whop/callback", get(callback::whop))
        .route("/auth/oidc", get(sign_in::oidc))
        .route("/auth/oidc/callback", get(callback::oidc))
        .route("/logout", get(logout::from_a_page).post(logout::post))
        .route("/api/me", get(me::me))
        .route("/api/sessions", get(devices::list))
        .route("/api/sessions/{handle}", delete(devices::revoke))
        .route("/api/sessions/{handle}/revoke", post(devices::revoke))
        .route("/api/sessions/revoke-others", post(devices::revoke_others));
    if app.is_development() {
        visitors = visitors
            .route("/auth/dev", get(sign_in::development))
            .route("/debug/session", get(debug::session));
    }
    let visitors =
        visitors.layer(from_fn(visit::note)).layer(app.sessions.clone()).layer(app.same_origin.clone());
    Router::new()
        .route("/api/health", get(health::alive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/assets/sessile.css", get(pages::style))
        .merge(visitors)
        .fallback(missing::route)
        .method_not_allowed_fallback(missing::method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), intake::intake))
        .with_state(app)
}
