//! Pairing: the QR code in whatever form is wanted, or a code to type.

use super::Of;
use super::answer::{Refused, done};
use super::devices::{reason, said};
use crate::http::input::Input;
use crate::limits::QR_PATIENCE;
use crate::whatsapp::{Drawing, draw};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_core::whatsapp::Wanted;
use sessile_whatsapp::{DeviceError, PhoneNumber, Qr, QrAnswer, Status, qr_of};

/// `GET /api/whatsapp/qr`: JSON, or a picture or text where `?format=png|svg|text` or `Accept` asks for it.
pub(super) async fn show(of: Of, headers: HeaderMap, uri: Uri) -> Result<Response, Refused> {
    let status = brought_up(&of).await.map_err(|refusal| Refused::device(refusal, of.app.clock.now()))?;
    let now = of.app.clock.now();
    let known = json!({ "connectionStatus": status.status, "timestamp": now.to_iso8601() });
    match qr_of(&status) {
        QrAnswer::Show(qr) => match form(&headers, &uri) {
            None => Ok(done(&view(&qr, &status, now)?, said(&status))),
            Some((drawing, content_type)) => {
                let drawn = draw(qr.code.as_str(), drawing).map_err(|error| undrawable(&error, now))?;
                Ok(([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], drawn).into_response())
            }
        },
        QrAnswer::Connected => {
            let data = json!({
                "qrCode": Value::Null,
                "connectionStatus": status.status,
                "timestamp": now.to_iso8601(),
            });
            Ok(done(&data, "WhatsApp is already connected"))
        }
        QrAnswer::UsedUp => {
            Err(Refused::new(StatusCode::GONE, "QR codes used up", said(&status), now).with(known))
        }
        QrAnswer::NotYet { .. } => {
            Err(Refused::new(StatusCode::NOT_FOUND, "QR code not available", reason(&status), now)
                .with(known))
        }
    }
}

/// `POST /api/whatsapp/pair-code {number}`.
pub(super) async fn pair_code(of: Of, Input(body): Input) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let mut fields =
        body.map_err(|bad| Refused::new(bad.status(), "Missing required fields", bad.to_string(), now))?;
    let number = super::send::text_or_digits(fields.take("number")).unwrap_or_default();
    let number = PhoneNumber::parse(&number).map_err(|bad| Refused::message(bad, now))?;
    let asked = async {
        brought_up(&of).await?;
        of.devices.pair_code(&of.device, number).await
    };
    let pairing = asked.await.map_err(|refusal| Refused::device(refusal, now))?;
    let data = json!({
        "code": pairing.code.code,
        "expiresAt": pairing.expires_at.to_iso8601(),
        "timestamp": now.to_iso8601(),
    });
    Ok(done(&data, "Type this code into the phone: Linked devices, Link with phone number instead"))
}

/// A device that is asked for its code is one that should run, unless somebody stopped it. Waits a moment for the code.
pub(super) async fn brought_up(of: &Of) -> Result<Status, DeviceError> {
    let status = of.devices.status(&of.device);
    if status.status != "disconnected" || status.wanted == Wanted::Stopped {
        return Ok(status);
    }
    // This process may not have looked at the device yet.
    let stored = of.devices.list().await?.into_iter().find(|head| head.device == of.device);
    if stored.is_some_and(|head| head.wanted == Wanted::Stopped || head.moved_to.is_some()) {
        return Ok(status);
    }
    of.devices.start(&of.device).await?;
    let settled = of.devices.qr_events(&of.device).filter(|status| {
        let is_settled = !matches!(status.status, "disconnected" | "loading");
        std::future::ready(is_settled)
    });
    let mut settled = std::pin::pin!(settled);
    let first = tokio::time::timeout(QR_PATIENCE, settled.next()).await;
    Ok(first.ok().flatten().unwrap_or_else(|| of.devices.status(&of.device)))
}

/// A code as JSON.
pub(super) fn view(qr: &Qr, status: &Status, now: Timestamp) -> Result<Value, Refused> {
    let drawn = draw(qr.code.as_str(), Drawing::DataUrl).map_err(|error| undrawable(&error, now))?;
    Ok(json!({
        "qrCode": String::from_utf8_lossy(&drawn),
        "connectionStatus": status.status,
        "timestamp": now.to_iso8601(),
        "seq": qr.seq,
        "expiresAt": qr.expires_at.to_iso8601(),
    }))
}

fn undrawable(error: &crate::whatsapp::Undrawable, now: Timestamp) -> Refused {
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error", error.to_string(), now)
}

/// The form that was asked for; `None` for JSON.
fn form(headers: &HeaderMap, uri: &Uri) -> Option<(Drawing, &'static str)> {
    const PNG: (Drawing, &str) = (Drawing::Png, "image/png");
    const SVG: (Drawing, &str) = (Drawing::Svg, "image/svg+xml");
    const TEXT: (Drawing, &str) = (Drawing::Terminal, "text/plain; charset=utf-8");
    let query = uri.query().unwrap_or_default();
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "format");
    match asked.as_ref().map(|(_, form)| &**form) {
        Some("png") => return Some(PNG),
        Some("svg") => return Some(SVG),
        Some("text") => return Some(TEXT),
        Some(_) => return None,
        None => {}
    }
    let accept = headers.get(ACCEPT)?.to_str().ok()?.trim();
    match accept.split([',', ';']).next()?.trim() {
        "image/png" => Some(PNG),
        "image/svg+xml" => Some(SVG),
        "text/plain" => Some(TEXT),
        _ => None,
    }
}
