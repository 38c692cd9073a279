//! What the tests of devices have in common: a store in memory whose clock is the runtime's, and a WhatsApp that does
//! what a test says.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod script;
pub(crate) mod store;

use sessile_core::whatsapp::{DeviceId, DeviceStore, OwnerId};
use sessile_core::{Clock, OsEntropy, SealingKeys, Timestamp};
use sessile_whatsapp::{Devices, Observer, Setup, Status, Unobserved, WhatsApp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time of day, moved by the runtime's clock.
pub(crate) struct RuntimeClock(Instant);

impl RuntimeClock {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_800_000_000_000).plus(self.0.elapsed())
    }
}

pub(crate) fn keys() -> SealingKeys {
    SealingKeys::parse(&"5e".repeat(32)).unwrap()
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

/// A process with its devices.
pub(crate) fn process(store: Arc<dyn DeviceStore>, whatsapp: Arc<dyn WhatsApp>) -> Arc<Devices> {
    observed(store, whatsapp, Arc::new(Unobserved))
}

pub(crate) fn observed(
    store: Arc<dyn DeviceStore>,
    whatsapp: Arc<dyn WhatsApp>,
    observer: Arc<dyn Observer>,
) -> Arc<Devices> {
    let entropy = Arc::new(OsEntropy);
    let owner = OwnerId::generate(&*entropy).unwrap();
    Devices::new(Setup {
        usual: device("shop"),
        store,
        keys: keys(),
        owner,
        whatsapp,
        clock: RuntimeClock::start(),
        entropy,
        observer,
    })
}

/// Waits until the device is as described; the runtime's clock moves by itself where it is paused.
pub(crate) async fn until(
    devices: &Devices,
    device: &DeviceId,
    what: &str,
    is_so: impl Fn(&Status) -> bool,
) -> Status {
    let waiting = async {
        loop {
            let status = devices.status(device);
            if is_so(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(90), waiting).await;
    waited
        .unwrap_or_else(|_| panic!("the device never came to be {what}; it is {:?}", devices.status(device)))
}

/// Waits for a `connectionStatus`.
pub(crate) async fn until_status(devices: &Devices, device: &DeviceId, status: &str) -> Status {
    until(devices, device, status, |seen| seen.status == status).await
}
