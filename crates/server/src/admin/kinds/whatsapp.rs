//! WhatsApp devices. A device is named by whoever runs it, so its name is no secret; nothing here shows a key, a QR code or a
//! pairing code. How it is connected is this process's view; that it exists, and who owns it, is the store's.

use super::{Absent, Deed, Fact, Form, Kind, Listed, Row, Sheet, Wanted};
use crate::admin::counts::{self, Count};
use crate::admin::remarks;
use crate::admin::series::{Mark, Subject};
use crate::app::App;
use crate::http::{Problem, whatsapp};
use crate::limits::LIST_ROWS;
use async_trait::async_trait;
use sessile::Timestamp;
use sessile_core::whatsapp::{self as device, DeviceHead, DeviceId};
use sessile_whatsapp::{Devices, Info, Status};
use std::sync::Arc;

/// WhatsApp devices.
pub(super) struct WhatsApp;

const TIMELINE_NOTE: &str =
    "What operators did. What the device itself did is counted in the metrics and told in the log.";

fn devices(app: &App) -> Result<&Arc<Devices>, Absent> {
    let needs = |names: &Vec<&str>| Absent::Off(format!("WhatsApp devices need {}.", names.join(" and ")));
    app.whatsapp.devices.as_ref().map_err(needs)
}

/// One word for how a device is: what is stored says whether it should be connected, this process whether it is.
fn state_of(head: &DeviceHead, status: &Status, now: Timestamp) -> &'static str {
    let elsewhere = status.elsewhere_until.is_some_and(|until| until > now);
    match head {
        DeviceHead { moved_to: Some(_), .. } => "moved",
        DeviceHead { has_credentials: false, .. } => "unpaired",
        DeviceHead { wanted: device::Wanted::Stopped, .. } => "stopped",
        _ if status.is_ready => "ready",
        _ if elsewhere => "elsewhere",
        _ => "away",
    }
}

fn row_of(head: &DeviceHead, status: &Status, now: Timestamp) -> Row {
    Row {
        id: head.device.as_str().to_owned(),
        name: head.device.as_str().to_owned(),
        state: state_of(head, status, now).to_owned(),
        user: None,
        what: format!("step {}", head.version.0),
        created_at: Some(head.created_at),
        updated_at: head.updated_at,
    }
}

/// Every device with its row.
async fn rows(app: &App) -> Result<Vec<Row>, Absent> {
    let (devices, now) = (devices(app)?, app.clock.now());
    let heads = counts::devices(app).await?;
    Ok(heads.iter().map(|head| row_of(head, &devices.status(&head.device), now)).collect())
}

#[async_trait]
impl Kind for WhatsApp {
    fn subject(&self) -> Subject {
        Subject::WhatsApp
    }

    fn title(&self) -> &'static str {
        "WhatsApp"
    }

    fn states(&self) -> &'static [&'static str] {
        &["ready", "away", "elsewhere", "stopped", "unpaired"]
    }

    fn busy_state(&self) -> &'static str {
        "ready"
    }

    fn marks(&self) -> &'static [(Mark, &'static str)] {
        &[
            (Mark::Created, "paired"),
            (Mark::Recovered, "connected"),
            (Mark::Failed, "broken off"),
            (Mark::Completed, "messages sent"),
        ]
    }

    async fn count(&self, app: &App) -> Result<Count, Absent> {
        let states = rows(app).await?.into_iter().map(|row| (row.state, 1));
        Ok(Count { states: states.collect(), more: false })
    }

    async fn list(&self, app: &App, wanted: &Wanted) -> Result<Listed, Absent> {
        let mut rows = rows(app).await?;
        rows.retain(|row| wanted.status.as_ref().is_none_or(|status| *status == row.state));
        rows.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
        rows.truncate(LIST_ROWS);
        Ok(Listed { rows, next: None, note: None })
    }

    async fn search(&self, app: &App, needle: &str) -> Result<Vec<Row>, Absent> {
        let mut rows = rows(app).await?;
        rows.retain(|row| row.id == needle);
        Ok(rows)
    }

    async fn sheet(&self, app: &App, id: &str) -> Result<Option<Sheet>, Absent> {
        let Some(device) = DeviceId::parse(id) else { return Ok(None) };
        let (devices, now) = (devices(app)?, app.clock.now());
        let heads = counts::devices(app).await?;
        let Some(head) = heads.iter().find(|head| head.device == device) else { return Ok(None) };
        let info = devices.info(&device);
        let state = state_of(head, &info.status, now);
        Ok(Some(Sheet {
            name: format!("Device {device}"),
            state: state.to_owned(),
            says: Some(format!("{}.", whatsapp::said(&info.status))),
            facts: facts(head, &info, now),
            tables: Vec::new(),
            timeline: remarks::about(app, id).await,
            timeline_note: Some(TIMELINE_NOTE),
            deeds: deeds(state),
        }))
    }

    async fn act(&self, app: &App, id: &str, deed: &str, _form: &Form) -> Result<Option<String>, Problem> {
        let device = DeviceId::parse(id).ok_or_else(Problem::device_not_found)?;
        let devices =
            app.whatsapp.devices.as_ref().map_err(|names| Problem::not_configured(&names.join(", ")))?;
        let done = if deed == "stop" {
            remarks::record(app, "whatsapp.stop_ordered", id).await?;
            devices.stop(&device).await
        } else {
            remarks::record(app, "whatsapp.reconnect_ordered", id).await?;
            match devices.start(&device).await {
                Ok(()) => devices.reconnect(&device).await,
                refused => refused,
            }
        };
        app.counts.forget_devices().await;
        done.map(|()| None).map_err(|error| {
            tracing::error!(%error, device = id, "a WhatsApp device did not do what an operator ordered");
            Problem::device_unavailable(&error)
        })
    }
}

fn facts(head: &DeviceHead, info: &Info, now: Timestamp) -> Vec<(&'static str, Fact)> {
    let Status { status, since, attempts, elsewhere_until, last_error, .. } = &info.status;
    let wanted = match head.wanted {
        device::Wanted::Running => "to be connected",
        device::Wanted::Stopped => "to be stopped",
    };
    let owner = match (info.epoch, elsewhere_until.or(head.held_until).filter(|until| *until > now)) {
        (Some(_), _) => "this process".to_owned(),
        (None, Some(until)) => format!("another process, until {}", until.to_iso8601()),
        (None, None) => "nobody".to_owned(),
    };
    let mut facts = vec![
        ("Connection", Fact::text(*status)),
        ("Since", Fact::At(*since)),
        ("Wanted", Fact::text(wanted)),
        ("Owner", Fact::text(owner)),
    ];
    facts.extend(head.moved_to.as_ref().map(|to| ("Keys moved to", Fact::code(to))));
    if *attempts > 0 {
        facts.push(("Reconnects", Fact::text(format!("{attempts} of {}", info.attempts_max))));
    }
    facts.extend(last_error.as_ref().map(|why| ("Last error", Fact::text(why))));
    facts.push(("Keys", Fact::text(format!("{} at {}", info.store.engine, info.store.place))));
    facts.push(("Step", Fact::text(head.version.0.to_string())));
    facts.push(("Epoch", Fact::text(head.epoch.0.to_string())));
    facts.push(("Created", Fact::At(head.created_at)));
    facts.push(("Last step", Fact::At(head.updated_at)));
    facts
}

/// What the device's machine takes in this state; it decides again when it is done.
fn deeds(state: &str) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if matches!(state, "ready" | "away" | "stopped" | "unpaired") {
        let consequence = if state == "unpaired" {
            "New QR codes are asked for; somebody scans one at /whatsapp."
        } else {
            "The connection is made anew, and earlier failures are forgotten. The pairing stays; messages that arrive meanwhile \
             wait at WhatsApp."
        };
        deeds.push(Deed {
            name: "reconnect".to_owned(),
            label: "Reconnect this device",
            consequence: consequence.to_owned(),
            note: None,
        });
    }
    if matches!(state, "ready" | "away") {
        deeds.push(Deed {
            name: "stop".to_owned(),
            label: "Stop this device",
            consequence: "It disconnects and stays so, after a restart too, until somebody reconnects it. The pairing stays."
                .to_owned(),
            note: None,
        });
    }
    deeds
}
