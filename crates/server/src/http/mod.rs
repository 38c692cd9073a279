//! The routes, and the layers around them: intake (limits, request id, log, metrics), same-origin, session.

pub(crate) mod accept;
mod adoption;
mod callback;
mod caller;
mod checkout;
mod click;
mod coupons;
mod debug;
mod devices;
mod generation;
pub(crate) mod headers;
mod health;
mod idempotency;
mod input;
mod intake;
mod logout;
mod me;
pub(crate) mod missing;
mod openapi;
mod pages;
mod payment;
mod problem;
mod purchases;
mod return_to;
mod sign_in;
mod som;
mod stripe;
mod throttle;
pub(crate) mod v1;
mod visit;
mod waiting;
pub(crate) mod whatsapp;
pub(crate) mod wizard;

pub(crate) use accept::wants_page;
pub(crate) use generation::PROMPT_PATH;
pub(crate) use logout::REFRESH_TOKEN_KEY;
pub use problem::PROBLEM_CODES;
pub(crate) use problem::Problem;
pub(crate) use throttle::{COUPON_TRIES, OPERATOR_TRIES, Origin, Throttle};
pub(crate) use waiting::Waiting;
pub(crate) use whatsapp::is_from_here;

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
        .route("/api/sessions/revoke-others", post(devices::revoke_others))
        .merge(shop())
        .merge(generation::routes(&app))
        .merge(whatsapp::routes())
        .merge(v1::shared())
        .merge(v1::generations::routes());
    if app.is_development() {
        visitors = visitors
            .route("/auth/dev", get(sign_in::development))
            .route("/debug/session", get(debug::session))
            .merge(crate::tour::routes(&app));
    }
    visitors = visitors.merge(wizard::routes(&app));
    let visitors = visitors
        .layer(from_fn_with_state(app.clone(), adoption::adopt))
        .layer(from_fn(visit::note))
        .layer(app.sessions.clone())
        .layer(app.same_origin.clone());
    Router::new()
        .route("/api/health", get(health::alive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/assets/sessile.css", get(pages::style))
        .route("/assets/wizard.js", get(pages::script))
        .route("/assets/generation.js", get(generation::script))
        .route("/assets/whatsapp.js", get(whatsapp::script))
        .route("/api/webhooks/stripe", post(stripe::webhook))
        .route("/api/click/prepare", post(click::prepare))
        .route("/api/click/complete", post(click::complete))
        .route("/api/click/pay", post(click::pay))
        .route(payment::RETURN_PATH, get(payment::back))
        .merge(v1::admin(&app))
        .merge(crate::admin::routes(&app))
        .merge(crate::tour::assets(&app))
        .merge(generation::open_routes())
        .merge(openapi::routes())
        .merge(visitors)
        .fallback(missing::route)
        .method_not_allowed_fallback(missing::method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), intake::intake))
        .with_state(app)
}

/// The drop-in routes of checkouts and payments that buyers and backends call.
fn shop() -> Router<App> {
    let refused = checkout::not_allowed;
    Router::new()
        .route("/api/create-checkout-session", post(checkout::create).fallback(refused))
        .route("/api/validate-checkout-session", post(checkout::validate).fallback(refused))
        .route("/api/complete-checkout-session", post(checkout::complete).fallback(refused))
        .route("/api/recover-checkout-session", post(checkout::recover).fallback(refused))
        .route("/api/cleanup-expired-sessions", post(checkout::cleanup).fallback(refused))
        .route("/api/click/create-transaction", post(payment::create))
        .route("/api/click/status/{order}", get(payment::status))
        .route("/api/click/wait-payment/{order}", get(waiting::wait))
        .route("/api/coupons/validate", post(coupons::validate))
}
