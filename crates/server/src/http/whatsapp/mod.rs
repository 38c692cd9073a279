//! The drop-in routes of WhatsApp devices. Whoever may call them may read everybody's chats, so all of them need a
//! trusted backend's key or the operator's token; on a developer's own machine nothing.
//!
//! The bodies are what existing programs read: `{success, data, message}`, or `{success, error, message, timestamp}`.

mod answer;
mod devices;
mod page;
mod qr;
mod send;
mod stream;
mod tidy;

pub(crate) use devices::said;
pub(crate) use page::{page, script};

use super::caller::by_token;
use crate::app::App;
use answer::Refused;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::{get, post};
use http::header::HOST;
use http::request::Parts;
use sessile_core::whatsapp::DeviceId;
use sessile_whatsapp::Devices;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a proxy or a tunnel adds.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-host"];

/// The page where a person pairs a device.
pub(crate) const PAGE_PATH: &str = "/whatsapp";

/// What backends, operators and our page call.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/whatsapp/status", get(devices::status))
        .route("/api/whatsapp/health", get(devices::health))
        .route("/api/whatsapp/session-info", get(devices::info))
        .route("/api/whatsapp/reconnect", post(devices::reconnect))
        .route("/api/whatsapp/disconnect", post(devices::disconnect))
        .route("/api/whatsapp/logout", post(devices::logout))
        .route("/api/whatsapp/qr", get(qr::show))
        .route("/api/whatsapp/qr/events", get(stream::events))
        .route("/api/whatsapp/pair-code", post(qr::pair_code))
        .route("/api/whatsapp/send", post(send::send))
        .route("/api/whatsapp/sessions", get(tidy::sessions))
        .route("/api/whatsapp/cleanup-sessions", post(tidy::files))
        .route("/api/whatsapp/cleanup-old-sessions", post(tidy::old))
        .route(PAGE_PATH, get(page))
}

/// A caller who may use devices, the devices, and the one that is meant.
pub(super) struct Of {
    app: App,
    devices: Arc<Devices>,
    device: DeviceId,
}

impl FromRequestParts<App> for Of {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let now = app.clock.now();
        match by_token(&parts.headers, app) {
            Ok(Some(caller)) if !matches!(caller, sessile_core::checkout::Caller::Browser(_)) => {}
            Ok(None) if app.is_development() && is_from_here(parts) => {}
            _ => return Err(Refused::unauthorized(now)),
        }
        let needs =
            |names: Vec<&str>| Refused::Missing(format!("WhatsApp devices need {}.", names.join(" and ")));
        let devices = app.whatsapp.devices.clone().map_err(needs)?;
        let device = named(parts, app).ok_or_else(|| Refused::bad_client_id(now))?;
        Ok(Self { app: app.clone(), devices, device })
    }
}

/// Whether the other end is this machine, and asked for it by that name: neither a tunnel that forwards strangers, nor a
/// page of another site behind a name that leads here. One that is not known is not.
pub(crate) fn is_from_here(parts: &Parts) -> bool {
    let is_forwarded = FORWARDED.iter().any(|name| parts.headers.contains_key(*name));
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let named = host.and_then(|host| url::Url::parse(&format!("http://{host}")).ok());
    let is_ours = named.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    });
    let is_near = parts.extensions.get::<SocketAddr>().is_some_and(|peer| peer.ip().is_loopback());
    is_near && is_ours && !is_forwarded
}

/// The device of `?clientId=`, or the usual one; `None` for what cannot be a name.
fn named(parts: &Parts, app: &App) -> Option<DeviceId> {
    let query = parts.uri.query().unwrap_or_default();
    let given = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "clientId");
    match given {
        None => Some(app.whatsapp.device.clone()),
        Some((_, name)) if name.is_empty() => Some(app.whatsapp.device.clone()),
        Some((_, name)) => DeviceId::parse(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn from(peer: &str, headers: &[(&str, &str)]) -> bool {
        let request = Request::get("/api/whatsapp/status").extension(peer.parse::<SocketAddr>().unwrap());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        is_from_here(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_this_machine_by_its_own_name_needs_no_key() {
        for host in ["127.0.0.1:3000", "localhost:3000", "[::1]:3000"] {
            assert!(from("127.0.0.1:4000", &[("host", host)]), "{host}");
        }
        assert!(!from("192.0.2.1:4000", &[("host", "127.0.0.1:3000")]), "another machine");
        assert!(!from("127.0.0.1:4000", &[("host", "some.tunnel.example")]), "a tunnel's name");
        assert!(
            !from("127.0.0.1:4000", &[("host", "localhost"), ("x-forwarded-for", "192.0.2.1")]),
            "a proxy"
        );
        assert!(!from("127.0.0.1:4000", &[]), "no name");
    }
}
