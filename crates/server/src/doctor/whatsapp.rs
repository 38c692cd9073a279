//! The checks of WhatsApp devices: where they live, what they are sealed under, and whether the place shows them to us.

use super::report::Finding;
use crate::config::{Config, DevicesPlace, Mode, Nodes, SealingSource};
use crate::stores::look_at_devices;
use sessile_core::SystemClock;
use sessile_core::whatsapp::Wanted;
use sessile_store::Choice;
use std::sync::Arc;
use std::time::Duration;

/// How long the place may take.
const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn all(config: &Config) -> Vec<Finding> {
    let place = match &config.whatsapp.place {
        Ok(place) => place,
        Err(missing) => {
            let what =
                format!("not configured; its routes answer 501 until {} are set", missing.join(" and "));
            return vec![Finding::ok("whatsapp", what)];
        }
    };
    let mut findings = vec![
        tokio::time::timeout(TIMEOUT, store(config, place))
            .await
            .unwrap_or_else(|_| Finding::fail("whatsapp", "the store of devices did not answer in time")),
    ];
    if let SealingSource::Kept(path) = &config.whatsapp.sealing {
        findings.push(Finding::ok("sealing", format!("kept in {}, made at the first start", path.display())));
    }
    if config.mode == Mode::Production && config.whatsapp.server.is_some() {
        findings.push(Finding::fail(
            "whatsapp",
            "SESSILE_WHATSAPP_SERVER leads elsewhere than to WhatsApp, which only builds for tests can do; unset it",
        ));
    }
    findings
}

async fn store(config: &Config, place: &DevicesPlace) -> Finding {
    // Tables and folders are made at the first start; a file that is not there yet is no finding.
    if matches!(place, DevicesPlace::Files(folder) if !folder.is_dir())
        || matches!(place, DevicesPlace::Sqlite(path) if !path.is_file())
    {
        return Finding::ok("whatsapp", "devices live on this machine; the place is made at the first start");
    }
    let store = match look_at_devices(config, Arc::new(SystemClock), Choice::No).await {
        Ok(Some(store)) => store,
        Ok(None) => return Finding::ok("whatsapp", "not configured"),
        Err(stop) => return Finding::fail("whatsapp", stop.sentence),
    };
    let info = store.info();
    if let Err(error) = store.ping().await {
        return Finding::fail("whatsapp", format!("{} at {}: {error}", info.engine, info.place));
    }
    match store.list().await {
        Err(error) => Finding::fail("whatsapp", format!("{} at {}: {error}", info.engine, info.place)),
        Ok(heads) => {
            let paired = heads.iter().filter(|head| head.has_credentials && head.moved_to.is_none()).count();
            let stopped = heads.iter().filter(|head| head.wanted == Wanted::Stopped).count();
            let nodes = match config.whatsapp.nodes {
                Nodes::One => "one process",
                Nodes::Many => "any number of processes",
            };
            Finding::ok(
                "whatsapp",
                format!(
                    "{} at {}, for {nodes}; {} devices, {paired} paired, {stopped} stopped on purpose",
                    info.engine,
                    info.place,
                    heads.len()
                ),
            )
        }
    }
}
