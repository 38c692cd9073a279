//! What is stored, and removing what nobody uses.

use super::Of;
use super::answer::{Refused, done};
use crate::http::input::Input;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceHead, Wanted};
use std::time::Duration;

/// Days after which an unused session goes, unless somebody says otherwise.
const DAYS_OLD: u64 = 30;
/// The most days that may be named.
const DAYS_OLD_MAX: u64 = 3650;
const DAY: Duration = Duration::from_secs(86_400);

/// `GET /api/whatsapp/sessions`: every device, never its secrets.
pub(super) async fn sessions(of: Of) -> Result<Response, Refused> {
    let now = in_production(&of)?;
    let heads = of.devices.list().await.map_err(|refusal| Refused::device(refusal, now))?;
    let listed: Vec<Value> = heads.iter().map(|head| view(head, now)).collect();
    let data = json!({ "sessions": listed, "count": listed.len(), "timestamp": now.to_iso8601() });
    Ok(done(&data, "Sessions listed"))
}

/// `POST /api/whatsapp/cleanup-sessions`: local files that are old and not in use, or damaged.
pub(super) async fn files(of: Of) -> Result<Response, Refused> {
    let now = of.app.clock.now();
    let cleaned = match &of.app.whatsapp.files {
        None => sessile_store::whatsapp::file::CleanedUp::default(),
        Some(files) => files.clean_up(now).await.map_err(|error| Refused::device(error.into(), now))?,
    };
    count(cleaned.devices + cleaned.corrupted_files);
    let data = json!({
        "deletedSessions": cleaned.devices,
        "deletedCorruptedFiles": cleaned.corrupted_files,
        "deletedCount": cleaned.devices + cleaned.corrupted_files,
        "timestamp": now.to_iso8601(),
    });
    Ok(done(&data, "Session files cleaned up"))
}

/// `POST /api/whatsapp/cleanup-old-sessions {daysOld = 30}`.
pub(super) async fn old(of: Of, Input(body): Input) -> Result<Response, Refused> {
    let now = in_production(&of)?;
    let mut fields =
        body.map_err(|bad| Refused::new(bad.status(), "Invalid request", bad.to_string(), now))?;
    let days = match fields.take("daysOld") {
        Value::Null => DAYS_OLD,
        given => given.as_u64().filter(|days| (1..=DAYS_OLD_MAX).contains(days)).ok_or_else(|| {
            let what = format!("`daysOld` is a whole number from 1 to {DAYS_OLD_MAX}.");
            Refused::new(StatusCode::BAD_REQUEST, "Invalid daysOld", what, now)
        })?,
    };
    let before = now.minus(DAY * u32::try_from(days).unwrap_or(u32::MAX));
    let removed = of.devices.remove_unused(before).await.map_err(|refusal| Refused::device(refusal, now))?;
    count(removed);
    let data = json!({ "deletedCount": removed, "daysOld": days, "timestamp": now.to_iso8601() });
    Ok(done(&data, "Old sessions cleaned up"))
}

fn count(removed: u64) {
    metrics::counter!(crate::telemetry::WHATSAPP_REMOVED).increment(removed);
}

/// In development sessions are files on somebody's own machine.
fn in_production(of: &Of) -> Result<Timestamp, Refused> {
    let now = of.app.clock.now();
    if !of.app.is_development() {
        return Ok(now);
    }
    let what = "Sessions are local files in development; GET /api/whatsapp/session-info shows them.";
    Err(Refused::new(StatusCode::FORBIDDEN, "Not available in development", what, now))
}

fn view(head: &DeviceHead, now: Timestamp) -> Value {
    json!({
        "clientId": head.device.as_str(),
        "isActive": head.has_credentials && head.moved_to.is_none(),
        "wanted": match head.wanted { Wanted::Running => "running", Wanted::Stopped => "stopped" },
        "isHeld": head.held_until.is_some_and(|until| until > now),
        "movedTo": head.moved_to,
        "epoch": head.epoch.0,
        "version": head.version.0,
        "createdAt": head.created_at.to_iso8601(),
        "updatedAt": head.updated_at.to_iso8601(),
    })
}
