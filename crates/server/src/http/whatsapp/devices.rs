//! How a device is, and the few things that are done to it as a whole.

use super::Of;
use super::answer::{Refused, done};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_whatsapp::{Info, Status, Unlinked};
use std::borrow::Cow;

/// `GET /api/whatsapp/status`.
pub(super) async fn status(of: Of) -> Response {
    let now = of.app.clock.now();
    let status = of.devices.status(&of.device);
    done(&view(&status, now), &reason(&status))
}

/// `GET /api/whatsapp/health`: 503 when the device cannot send.
pub(super) async fn health(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let info = of.devices.info(&of.device);
    let ready = info.status.is_ready;
    let data = json!({
        "service": "whatsapp",
        "status": if ready { "healthy" } else { "unhealthy" },
        "connectionStatus": info.status.status,
        "isReady": ready,
        "timestamp": now.to_iso8601(),
        "uptime": info.uptime_seconds,
    });
    if ready {
        return Ok(done(&data, said(&info.status)));
    }
    let refusal =
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "WhatsApp is not ready", reason(&info.status), now);
    Err(refusal.with(data))
}

/// `GET /api/whatsapp/session-info`, with the files where the keys are files.
pub(super) async fn info(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let info = of.devices.info(&of.device);
    let files = of.app.whatsapp.files.clone();
    let listed = match &files {
        None => Vec::new(),
        Some(files) => {
            let files = files.clone();
            let listed = tokio::task::spawn_blocking(move || files.session_files(now)).await;
            listed.unwrap_or_else(|_| Ok(Vec::new())).map_err(|error| Refused::device(error.into(), now))?
        }
    };
    let listed: Vec<Value> = listed
        .into_iter()
        .map(|file| {
            json!({
                "name": file.name,
                "size": file.size,
                "modified": file.modified.to_iso8601(),
                "age": file.age.as_secs(),
            })
        })
        .collect();
    let folder = files.as_ref().map(|files| files.folder().to_owned());
    let writable = folder.as_deref().is_some_and(crate::config::is_writable);
    let path = folder.as_ref().map(|folder| folder.display().to_string());
    let mut data = view(&info.status, now);
    data["sessionInfo"] = json!({
        "reconnectAttempts": info.status.attempts,
        "maxReconnectAttempts": info.attempts_max,
        "sessionPath": path,
        "healthChecksActive": info.epoch.is_some(),
    });
    data["sessionFiles"] = json!(listed);
    data["sessionDirectory"] = json!(path);
    data["sessionDirectoryExists"] = json!(folder.as_deref().is_some_and(std::path::Path::is_dir));
    data["sessionDirectoryWritable"] = json!(writable);
    data["storage"] = storage(&of, &info);
    Ok(done(&data, &reason(&info.status)))
}

/// Where the keys are and how that is. Behind a journal the database may be away while the device goes on.
fn storage(of: &Of, info: &Info) -> Value {
    let standing = of.app.whatsapp.spool.as_ref().and_then(|spool| spool.standing(&of.device));
    let behind = standing.as_ref().and_then(|standing| standing.degraded.as_ref()).map(|(_, why)| why);
    json!({
        "engine": info.store.engine,
        "mode": info.store.mode.as_str(),
        "place": info.store.place,
        "degraded": info.status.status == "degraded_storage" || behind.is_some(),
        "lastError": info.status.last_error.as_ref().or(behind),
        "waitingSteps": standing.as_ref().map_or(0, |standing| standing.unsettled),
        "epoch": info.epoch.map(|epoch| epoch.0),
        "version": info.version.map(|version| version.0),
    })
}

/// `POST /api/whatsapp/reconnect`: connects anew; also starts a device that was stopped, and brings new QR codes.
pub(super) async fn reconnect(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let asked = async {
        of.devices.start(&of.device).await?;
        of.devices.reconnect(&of.device).await
    };
    asked.await.map_err(|refusal| Refused::device(refusal, now))?;
    let data = json!({ "message": "Reconnection initiated", "timestamp": now.to_iso8601() });
    Ok(done(&data, "Reconnection initiated"))
}

/// `POST /api/whatsapp/disconnect`: stops the device, after a restart too; its pairing stays.
pub(super) async fn disconnect(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    of.devices.stop(&of.device).await.map_err(|refusal| Refused::device(refusal, now))?;
    let data = json!({ "message": "Disconnected", "timestamp": now.to_iso8601() });
    Ok(done(&data, "Disconnected; the device stays paired"))
}

/// `POST /api/whatsapp/logout`: unlinks the device, then destroys its keys.
pub(super) async fn logout(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let unlinked = of.devices.logout(&of.device).await.map_err(|refusal| Refused::device(refusal, now))?;
    let (unlinked, message) = match unlinked {
        Unlinked::AtWhatsApp => {
            (true, "Logged out: the phone no longer lists the device, and its keys are gone")
        }
        Unlinked::HereOnly => {
            (false, "The keys are gone, but WhatsApp could not be told: remove the device on the phone too")
        }
    };
    Ok(done(&json!({ "unlinked": unlinked, "timestamp": now.to_iso8601() }), message))
}

/// What every answer about a device says.
pub(super) fn view(status: &Status, now: Timestamp) -> Value {
    json!({
        "isReady": status.is_ready,
        "connectionStatus": status.status,
        "timestamp": now.to_iso8601(),
        "clientId": status.device.as_str(),
    })
}

/// The same for a person.
pub(crate) fn said(status: &Status) -> &'static str {
    match status.status {
        "ready" => "WhatsApp is connected and ready",
        "authenticated" => "Paired; WhatsApp is being connected",
        "qr_ready" => "Scan the QR code with the phone: Settings, Linked devices, Link a device",
        "qr_error" => "The QR codes were used up; reconnect to get new ones",
        "loading" => "WhatsApp is being connected; ask again in a moment",
        "reconnecting" => "The connection broke and is being made anew",
        "auth_failure" => "WhatsApp refused the pairing; reconnect to try again",
        "max_reconnect_exceeded" => {
            "Reconnecting failed too often; reconnect by hand when the cause is mended"
        }
        "passkey_required" => {
            "WhatsApp wants a passkey to link this device; link it with the phone's own camera"
        }
        "replaced" => "The same device connected elsewhere; reconnect to take it back",
        "logged_out" => "The device was logged out; pair it again",
        "degraded_storage" => "The store of the keys is away; WhatsApp keeps the messages meanwhile",
        "error" => "This device cannot be used as it is",
        _ => "WhatsApp is not connected",
    }
}

/// The same, with the reason where there is something to be mended.
pub(super) fn reason(status: &Status) -> Cow<'static, str> {
    match &status.last_error {
        Some(why) if matches!(status.status, "error" | "degraded_storage") => {
            format!("{}: {why}", said(status)).into()
        }
        _ => said(status).into(),
    }
}
