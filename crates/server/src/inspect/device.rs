//! A WhatsApp device as `sessile inspect` shows it: where its keys are, who owns it, and what to do. Never a key.

use crate::config::Config;
use crate::exit::{Exit, Stop};
use crate::stores::look_at_devices;
use serde_json::{Value, json};
use sessile_core::whatsapp::{DeviceHead, DeviceId, DeviceStoreError, StoreInfo, Wanted};
use sessile_core::{Clock as _, SystemClock, Timestamp};
use sessile_store::Choice;
use std::sync::Arc;

/// Looks up and prints; `None` when no device has this name.
///
/// # Errors
/// [`Stop`] when the store cannot be read.
pub(super) async fn run(config: &Config, id: &str, json: bool) -> Result<Option<Exit>, Stop> {
    let Some(device) = DeviceId::parse(id) else { return Ok(None) };
    let Some(store) = look_at_devices(config, Arc::new(SystemClock), Choice::No).await? else {
        return Ok(None);
    };
    let info = store.info();
    let head = match store.head(&device).await {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(None),
        Err(error @ (DeviceStoreError::Damaged(_) | DeviceStoreError::Denied(_))) => {
            println!("WhatsApp device {device}, {} at {}\n  {error}", info.engine, info.place);
            return Ok(Some(Exit::Failed));
        }
        Err(error) => return Err(Stop::failed(format!("the store of WhatsApp devices: {error}"))),
    };
    let (what, remedy) = advice(&head, SystemClock.now());
    let facts = facts(&head, &info);
    if json {
        println!("{}", json!({ "kind": "whatsapp", "row": facts, "what": what, "remedy": remedy }));
    } else {
        println!("WhatsApp device");
        if let Some(fields) = facts.as_object() {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                println!("  {name:<16} {value}");
            }
        }
        println!("what\n  {what}\nremedy\n  {remedy}");
    }
    Ok(Some(Exit::Done))
}

fn facts(head: &DeviceHead, info: &StoreInfo) -> Value {
    json!({
        "client_id": head.device.as_str(),
        "store": info.engine,
        "place": info.place,
        "paired": head.has_credentials,
        "wanted": match head.wanted { Wanted::Running => "running", Wanted::Stopped => "stopped" },
        "held_until": head.held_until.map(Timestamp::to_iso8601),
        "moved_to": head.moved_to,
        "epoch": head.epoch.0,
        "version": head.version.0,
        "created_at": head.created_at.to_iso8601(),
        "updated_at": head.updated_at.to_iso8601(),
    })
}

/// What is the case, and what to do.
fn advice(head: &DeviceHead, now: Timestamp) -> (String, String) {
    if let Some(to) = &head.moved_to {
        return (
            format!("its keys moved to {to}; this copy refuses to be used"),
            "start with that store, or move the device back from there".to_owned(),
        );
    }
    if !head.has_credentials {
        return (
            "it is not paired".to_owned(),
            "open /whatsapp and scan the QR code, or POST /api/whatsapp/pair-code".to_owned(),
        );
    }
    if head.wanted == Wanted::Stopped {
        let what = "it is paired, and somebody stopped it on purpose";
        return (what.to_owned(), "POST /api/whatsapp/reconnect starts it".to_owned());
    }
    match head.held_until {
        Some(until) if until > now => (
            format!("a process owns it until {until}, unless it renews"),
            "nothing; GET /api/whatsapp/status at that process says how it is connected".to_owned(),
        ),
        _ => (
            "it is paired and should run, and no process owns it".to_owned(),
            "start `sessile serve` with this store; it logs in by itself, without a QR code".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::whatsapp::{Epoch, Version};

    fn head() -> DeviceHead {
        let at = Timestamp::from_unix_ms(1_900_000_000_000);
        DeviceHead {
            device: DeviceId::default(),
            epoch: Epoch(3),
            version: Version(40),
            last_step: None,
            held_until: None,
            wanted: Wanted::Running,
            wrapped_key: None,
            has_credentials: true,
            moved_to: None,
            created_at: at,
            updated_at: at,
        }
    }

    #[test]
    fn every_state_has_its_advice() {
        let now = Timestamp::from_unix_ms(1_900_000_000_000);
        let says = |head: DeviceHead, word: &str| {
            let (what, remedy) = advice(&head, now);
            assert!(what.contains(word) && !remedy.is_empty(), "{what}: {remedy}");
        };
        says(head(), "no process owns it");
        says(DeviceHead { has_credentials: false, ..head() }, "not paired");
        says(DeviceHead { wanted: Wanted::Stopped, ..head() }, "on purpose");
        says(DeviceHead { moved_to: Some("postgres".to_owned()), ..head() }, "moved to postgres");
        let until = now.plus(std::time::Duration::from_secs(20));
        says(DeviceHead { held_until: Some(until), ..head() }, "owns it");
    }
}
