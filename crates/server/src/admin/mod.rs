//! The operator's dashboard: what there is, what is wrong, and what an operator may do about it.
//!
//! Rendered here, live by a small script that fetches the page it is on, complete without it. It decides nothing: it
//! reads what the stores hold, and acts through the services behind `/v1`. Whoever is not signed in finds nothing here
//! but the form that asks for the token.

mod attention;
mod audit;
mod counts;
mod coupons;
mod gate;
mod kinds;
mod outbox;
mod overview;
mod pages;
mod remarks;
mod search;
mod series;
mod sheet;
mod stored;

pub(crate) use counts::Counts;
pub(crate) use series::{
    Mark, MeasuredDevices, MeasuredGenerations, MeasuredLedger, MeasuredLogins, Subject, SweepRun, Watch,
};
pub(crate) use stored::{StoredRow, stored};

use crate::app::App;
use crate::http::headers::operated;
use crate::http::missing;
use crate::limits::OPERATOR_FORM_BYTES_MAX;
use axum::Router;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use sessile::SameOriginLayer;

/// Everything under `/admin`.
pub(crate) fn routes(app: &App) -> Router<App> {
    let inside = Router::new()
        .route("/admin/sign-out", post(gate::sign_out))
        .route("/admin/search", get(search::show))
        .route("/admin/attention", get(attention::show))
        .route("/admin/outbox", get(outbox::show))
        .route("/admin/outbox/{id}/requeue", get(outbox::ask).post(outbox::requeue))
        .route("/admin/inbox/{id}/apply", get(outbox::ask_to_apply).post(outbox::apply))
        .route("/admin/coupons", get(coupons::show).post(coupons::create))
        .route("/admin/coupons/{id}/{switch}", get(coupons::ask).post(coupons::switch))
        .route("/admin/audit", get(audit::show))
        .route("/admin/{kind}", get(sheet::list))
        .route("/admin/{kind}/{id}", get(sheet::show))
        .route("/admin/{kind}/{id}/{deed}", get(sheet::ask).post(sheet::act))
        .layer(same_origin(app))
        .route_layer(from_fn_with_state(app.clone(), gate::operators_only));
    let door = Router::new().route("/admin", get(home).post(gate::sign_in)).layer(same_origin(app));
    Router::new()
        .merge(inside)
        .merge(door)
        .layer(DefaultBodyLimit::max(OPERATOR_FORM_BYTES_MAX))
        .route("/assets/admin.css", get(style))
        .route("/assets/admin.js", get(script))
}

/// Only the dashboard's own pages may send its forms: an origin that may use the application is no operator.
fn same_origin(app: &App) -> SameOriginLayer {
    let layer = SameOriginLayer::new(gate::COOKIE);
    let own = app.app_url.as_ref().map(|url| url.origin().ascii_serialization());
    match own.map(|origin| layer.clone().allow_origin(&origin)) {
        Some(Ok(layer)) => layer,
        Some(Err(_)) | None => layer,
    }
}

/// `GET /admin`: the overview, or the form that asks for the token.
async fn home(State(app): State<App>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    if app.admin_token.is_none() {
        return missing::route(headers).await;
    }
    if gate::is_operator(&app, &headers) {
        gate::kept_in(&app, &headers, overview::show(&app, query.as_deref()).await)
    } else {
        operated(pages::sign_in(None))
    }
}

/// `GET /assets/admin.css`; its address changes with its content.
async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", pages::STYLE)
}

/// `GET /assets/admin.js`, likewise.
async fn script() -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", pages::SCRIPT)
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")], text)
}
