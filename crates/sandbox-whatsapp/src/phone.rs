//! The phone of an account: links devices and takes them off its list again.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use whatsapp_rust::wacore::messages::wrap_device_sent;
use whatsapp_rust::waproto::whatsapp::Message;

use crate::address::Device;
use crate::error::PhoneError;
use crate::linking::{code, passkey, qr, signing};
use crate::misbehaviour::{Misbehaviour, removed};
use crate::protocol::noise::KeyBytes;
use crate::server::delivery;
use crate::server::world::World;

/// A device that a phone has linked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct LinkedDevice {
    /// The account's number.
    pub number: String,
    /// Its number among the account's devices; the phone is 0.
    pub device: u16,
}

impl fmt::Display for LinkedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.device)
    }
}

/// A phone with a number.
#[derive(Clone)]
pub struct Phone {
    world: Arc<World>,
    number: String,
}

impl Phone {
    pub(crate) fn new(world: Arc<World>, number: impl Into<String>) -> Self {
        Self { world, number: number.into() }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Scans a QR code, given as its text. Comes back when the client has signed and was told to connect again.
    ///
    /// # Errors
    /// [`PhoneError`] when the code is not one, nobody waits behind it, or the client does not play its part.
    pub async fn scan(&self, qr: &str) -> Result<LinkedDevice, PhoneError> {
        let scanned = qr::scan(&self.world, qr)?;
        self.link(scanned.connection, &scanned.secret).await
    }

    /// Types a code that a client shows for the phone of `number`.
    ///
    /// # Errors
    /// [`PhoneError`] when no client shows one, the code is wrong, or the client does not play its part.
    pub async fn enter_code(&self, code: &str, number: &str) -> Result<LinkedDevice, PhoneError> {
        let phone = Self::new(Arc::clone(&self.world), number);
        let shown = self.world.update(|state| state.codes_shown.remove(number));
        let shown = shown.ok_or(PhoneError::UnknownCode)?;
        let party = self.world.update(|state| state.party(number))?;
        let code = code.replace('-', "").to_uppercase();
        let secret = code::exchange(&self.world, &shown, code, &party.identity).await?;
        phone.link(shown.connection, &secret).await
    }

    /// Signs, unless the account demands a passkey first: then linking goes on by itself once the client has one.
    async fn link(&self, connection: u64, secret: &KeyBytes) -> Result<LinkedDevice, PhoneError> {
        let phone = Device::phone(&self.number);
        let demanded = self.world.update(|state| state.switches.take(Misbehaviour::Passkey, Some(&phone)));
        if demanded.is_none() {
            return signing::link(&self.world, connection, &self.number, secret).await;
        }
        let phone = self.clone();
        tokio::spawn(async move {
            let linked = match passkey::exchange(&phone.world, connection).await {
                Ok(secret) => signing::link(&phone.world, connection, &phone.number, &secret).await,
                Err(error) => Err(error),
            };
            if let Err(error) = linked {
                tracing::debug!(error = &error as &dyn std::error::Error, "linking with a passkey failed");
            }
        });
        Err(PhoneError::PasskeyDemanded)
    }

    /// The devices it has linked.
    #[must_use]
    pub fn devices(&self) -> Vec<LinkedDevice> {
        self.world.read(|state| {
            let account = state.accounts.get(&self.number);
            let devices = account.into_iter().flat_map(|account| account.companions.values());
            devices.map(|companion| linked(&companion.device)).collect()
        })
    }

    /// Takes a device off the list. One that is connected is told so; another one at its next login.
    ///
    /// # Errors
    /// [`PhoneError::NotLinked`] when there is no such device.
    pub fn unlink(&self, device: u16) -> Result<(), PhoneError> {
        let device = Device::new(&self.number, device);
        self.world.update(|state| {
            if let Some(connection) = state.connection_of(&device) {
                connection.send_last(removed());
            }
            state.unlink(&device).map(|_| ()).ok_or(PhoneError::NotLinked)
        })
    }

    /// The owner writes to somebody on the phone itself; a linked device gets a copy. Comes back with the message's id.
    ///
    /// # Errors
    /// [`PhoneError`] when there is no such device or it cannot be written to.
    pub async fn send_copy(&self, device: u16, to: &str, text: &str) -> Result<String, PhoneError> {
        let device = Device::new(&self.number, device);
        let party = self.world.update(|state| state.party(&self.number))?;
        let message = Message { conversation: Some(text.to_owned()), ..Message::default() };
        let to = Device::phone(to).jid();
        let message = wrap_device_sent(message, to.to_string());
        let mark = Some(("recipient", to.into()));
        delivery::to_device(&self.world, &party, &device, &message, mark).await
    }
}

pub(crate) fn linked(device: &Device) -> LinkedDevice {
    LinkedDevice { number: device.number.clone(), device: device.id }
}
