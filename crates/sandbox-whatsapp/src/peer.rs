//! Somebody whom devices write to and who writes to them.

use std::sync::Arc;
use whatsapp_rust::waproto::whatsapp::Message;

use crate::address::Device;
use crate::error::PhoneError;
use crate::phone::LinkedDevice;
use crate::record::MessageRecord;
use crate::server::delivery;
use crate::server::world::World;

/// A peer with a number. Every number has one, as soon as it is spoken of.
#[derive(Clone)]
pub struct Peer {
    world: Arc<World>,
    number: String,
}

impl Peer {
    pub(crate) fn new(world: Arc<World>, number: impl Into<String>) -> Self {
        Self { world, number: number.into() }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// What it was sent, read or not readable, in the order it came.
    #[must_use]
    pub fn messages(&self) -> Vec<MessageRecord> {
        self.world.read(|state| {
            state.messages.iter().filter(|message| message.to == self.number).cloned().collect()
        })
    }

    /// Writes to a linked device; one that is away gets it later. Comes back with the message's id.
    ///
    /// # Errors
    /// [`PhoneError`] when there is no such device or it cannot be written to.
    pub async fn send(&self, to: &LinkedDevice, text: &str) -> Result<String, PhoneError> {
        let party = self.world.update(|state| state.party(&self.number))?;
        let message = Message { conversation: Some(text.to_owned()), ..Message::default() };
        let to = Device::new(&to.number, to.device);
        delivery::to_device(&self.world, &party, &to, &message, None).await
    }
}
