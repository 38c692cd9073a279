//! The page where a person pairs a device, sees how it is and sends a message. It holds nothing: its script asks the
//! routes, with a key that the person types where one is needed.

use crate::app::App;
use crate::http::headers::scripted;
use crate::pages;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// `GET /whatsapp`.
pub(crate) async fn page(State(app): State<App>) -> Response {
    if let Err(missing) = &app.whatsapp.devices {
        let page = pages::not_configured("WhatsApp", missing, false);
        return (StatusCode::NOT_IMPLEMENTED, page).into_response();
    }
    scripted(pages::whatsapp(&app.whatsapp.device))
}

/// `GET /assets/whatsapp.js`; its address changes with its content.
pub(crate) async fn script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, pages::WHATSAPP_SCRIPT)
}
