//! What all devices of a process have in common.

use super::status::DeviceEvent;
use crate::client::WhatsApp;
use crate::observer::Observer;
use crate::pace::RuntimePace;
use sessile_core::whatsapp::{DeviceId, DeviceStore, OwnerId, Pace};
use sessile_core::{Clock, Entropy, SealingKeys};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events that a slow listener may fall behind by before it misses some.
const EVENTS_KEPT: usize = 1024;

/// What devices are run with.
pub struct Setup {
    /// The device that is meant when nobody names one: its keys are looked at from the start.
    pub usual: DeviceId,
    /// Where their keys live.
    pub store: Arc<dyn DeviceStore>,
    /// What the keys are sealed under.
    pub keys: SealingKeys,
    /// This process, anew at each start.
    pub owner: OwnerId,
    /// What makes clients.
    pub whatsapp: Arc<dyn WhatsApp>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
}

/// The same, as the keepers hold it.
pub(super) struct Shared {
    pub(super) usual: DeviceId,
    pub(super) store: Arc<dyn DeviceStore>,
    pub(super) keys: SealingKeys,
    pub(super) owner: OwnerId,
    pub(super) whatsapp: Arc<dyn WhatsApp>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pace: Arc<dyn Pace>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) events: broadcast::Sender<DeviceEvent>,
}

impl Shared {
    pub(super) fn new(setup: Setup) -> Arc<Self> {
        let Setup { usual, store, keys, owner, whatsapp, clock, entropy, observer } = setup;
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let pace = Arc::new(RuntimePace::start());
        Arc::new(Self { usual, store, keys, owner, whatsapp, clock, pace, entropy, observer, events })
    }

    /// Tells whoever listens.
    pub(super) fn tell(&self, event: DeviceEvent) {
        // Nobody needs to listen.
        let _ = self.events.send(event);
    }
}
