//! WhatsApp devices as the program runs them: their supervisor, what counts them, and how a QR code is drawn.
//!
//! Made once at the start. Everything that a device does is decided in `sessile-whatsapp` and the core; here it is only
//! put together, and let go of before the stores close.

mod observer;
mod picture;

pub(crate) use observer::Metrics;
pub(crate) use picture::{Drawing, Undrawable, draw};

use crate::admin::{MeasuredDevices, Watch};
use crate::config::{Config, WhatsAppConfig};
use crate::exit::Stop;
use crate::generation::Streams;
use crate::limits::READY_TIMEOUT;
use crate::stores::DeviceStores;
use sessile_core::whatsapp::{DeviceId, DeviceStore};
use sessile_core::{Clock, Entropy};
use sessile_store::whatsapp::{FileDevices, SpooledDevices};
use sessile_whatsapp::{Devices, RealWhatsApp, Setup};
use std::sync::Arc;

/// The release of WhatsApp's web client that a stand-in is told.
const STAND_IN_VERSION: (u32, u32, u32) = (2, 3000, 1_000_000_000);

/// Everything about devices that requests share. An `Err` names the settings that are missing.
pub(crate) struct WhatsAppParts {
    pub(crate) devices: Result<Arc<Devices>, Vec<&'static str>>,
    /// The device that is meant when nobody names one.
    pub(crate) device: DeviceId,
    /// Where their keys live.
    pub(crate) store: Option<Arc<dyn DeviceStore>>,
    /// The files that keys live in, where they do.
    pub(crate) files: Option<Arc<FileDevices>>,
    /// The journal in front of a database, where there is one.
    pub(crate) spool: Option<Arc<SpooledDevices>>,
    /// Room for pages that watch a device.
    pub(crate) streams: Streams,
}

impl WhatsAppParts {
    /// # Errors
    /// [`Stop`] when the sealing key of development cannot be kept.
    pub(crate) fn new(
        config: &Config,
        stores: Option<&DeviceStores>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        watch: &Arc<Watch>,
    ) -> Result<Self, Stop> {
        let WhatsAppConfig { device, place, sealing, server, .. } = &config.whatsapp;
        let devices = match (stores, place) {
            (_, Err(missing)) => Err(missing.clone()),
            (None, Ok(_)) => Err(Vec::new()),
            (Some(stores), Ok(_)) => match sealing.keys(&**entropy)? {
                None => Err(vec!["SESSILE_SEALING_KEY"]),
                Some(keys) => {
                    let owner = stores.owner.clone();
                    // Who talks to a stand-in has nobody to ask which release is current.
                    let version = server.as_ref().map(|_| STAND_IN_VERSION);
                    let whatsapp = Arc::new(RealWhatsApp { server: server.clone(), version });
                    let (clock, entropy) = (clock.clone(), entropy.clone());
                    let observer = Arc::new(Metrics(watch.clone()));
                    let store = Arc::new(MeasuredDevices::new(stores.store.clone(), watch.clone()));
                    let usual = device.clone();
                    Ok(Devices::new(Setup { usual, store, keys, owner, whatsapp, clock, entropy, observer }))
                }
            },
        };
        let store = stores.map(|stores| stores.store.clone());
        let files = stores.and_then(|stores| stores.files.clone());
        let spool = stores.and_then(|stores| stores.spool.clone());
        Ok(Self { devices, device: device.clone(), store, files, spool, streams: Streams::new() })
    }

    /// Why the keys are not where they should be; `None` while they are. For whoever asks whether this process can serve.
    pub(crate) async fn trouble(&self) -> Option<String> {
        let store = self.store.as_ref()?;
        match tokio::time::timeout(READY_TIMEOUT, store.ping()).await {
            Ok(Ok(())) => self.spool.as_ref()?.trouble(),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the store of WhatsApp devices did not answer in time".to_owned()),
        }
    }

    /// Connects what is paired and should run, from now on.
    pub(crate) fn run(&self) {
        if let Ok(devices) = &self.devices {
            devices.run();
        }
    }

    /// Disconnects and lets go of every device, so that another process need not wait.
    pub(crate) async fn stop(&self) {
        if let Ok(devices) = &self.devices {
            devices.shutdown().await;
        }
    }
}
