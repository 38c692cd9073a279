//! Sending, once for each idempotency key.
//!
//! A caller's key is stored with the name of its message before the message leaves, in the device's own vault. Asked
//! again after the message left, nothing is sent; asked again when that is not known, the message is sent once more under
//! the same name, and WhatsApp shows a name once. So a crash at any moment neither loses nor doubles a message.

use super::error::DeviceError;
use super::status::SentMessage;
use crate::backend::layout::{self, SIDE, Unreadable, sorted};
use crate::client::DeviceClient;
use crate::message::{MessageId, PhoneNumber, Text};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sessile_core::whatsapp::{Changes, KeyKind, Vault, View};
use sessile_core::{Clock, Entropy, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

const KIND: KeyKind = KeyKind::SentMessage;
/// The longest key.
const KEY_BYTES_MAX: usize = 255;
/// How long a key is remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Keys that are forgotten in one step.
const FORGOTTEN_AT_ONCE: usize = 1024;

/// A caller's name for a request, so that it can be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SendKey(String);

impl SendKey {
    /// Reads a key: 1 to 255 visible ASCII characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_key = (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned()))
    }
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    id: MessageId,
    /// Of the number and the text, to recognise another message under the same key.
    digest: [u8; 32],
    at: Timestamp,
    /// Whether it is known to have left.
    has_left: bool,
}

/// What a key led to.
enum Found {
    /// Send under this name.
    Send(Remembered),
    /// It was sent.
    Sent(Remembered),
    /// The key belongs to something else.
    Other,
}

/// What sends for one device, for as long as its vault is ours.
pub(super) struct Sender {
    pub(super) client: Arc<dyn DeviceClient>,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    in_flight: Mutex<HashSet<SendKey>>,
}

/// Takes a key out of the ones in flight, whatever happens to the send.
struct InFlight<'a>(&'a Sender, &'a SendKey);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.lock().remove(self.1);
    }
}

impl Sender {
    pub(super) fn new(
        client: Arc<dyn DeviceClient>,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { client, vault, clock, entropy, in_flight: Mutex::default() }
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) async fn send(
        &self,
        to: &PhoneNumber,
        text: &Text,
        key: Option<&SendKey>,
    ) -> Result<SentMessage, DeviceError> {
        let Some(key) = key else {
            let sending = self.begin(to, text)?;
            self.client.send_text(to, text, &sending.id).await?;
            return Ok(sending.answer(false));
        };
        if !self.in_flight.lock().insert(key.clone()) {
            return Err(DeviceError::InFlight);
        }
        let _in_flight = InFlight(self, key);
        match self.find(to, text, key).await? {
            Found::Other => Err(DeviceError::KeyReused),
            Found::Sent(remembered) => Ok(remembered.answer(true)),
            Found::Send(remembered) => {
                self.client.send_text(to, text, &remembered.id).await?;
                let sent = Remembered { has_left: true, ..remembered };
                // Unheard, the next request with this key sends it again under the same name.
                if let Err(error) = self.vault.commit(sent.as_changes(key)?).await {
                    tracing::warn!(%error, "a sent message could not be marked as sent");
                }
                Ok(sent.answer(false))
            }
        }
    }

    fn begin(&self, to: &PhoneNumber, text: &Text) -> Result<Remembered, DeviceError> {
        let id =
            MessageId::generate(&*self.entropy).map_err(|error| DeviceError::Unusable(error.to_string()))?;
        Ok(Remembered { id, digest: digest(to, text), at: self.clock.now(), has_left: false })
    }

    /// Looks a key up, or stores it, as one.
    async fn find(&self, to: &PhoneNumber, text: &Text, key: &SendKey) -> Result<Found, DeviceError> {
        let fresh = self.begin(to, text)?;
        let mut found = Ok(Found::Other);
        let outcome = self.vault.update(|view| {
            let decided = look_up(view, key, &fresh).and_then(|(decision, is_new)| {
                let changes = if is_new { fresh.as_changes(key)? } else { Changes::default() };
                Ok((decision, changes))
            });
            match decided {
                Ok((decision, changes)) => {
                    found = Ok(decision);
                    changes
                }
                Err(error) => {
                    found = Err(error);
                    Changes::default()
                }
            }
        });
        outcome.await?;
        Ok(found?)
    }

    /// Forgets keys that are older than a day.
    pub(super) async fn forget_old_keys(&self) -> Result<(), DeviceError> {
        let before = self.clock.now().minus(REMEMBERED_FOR);
        loop {
            let mut deletes = Vec::new();
            let outcome = self.vault.update(|view| {
                for (key, value) in view.scan(KIND, &[SIDE]) {
                    let is_old = read(&value).is_ok_and(|remembered| remembered.at < before);
                    if is_old && deletes.len() < FORGOTTEN_AT_ONCE {
                        deletes.push((KIND, key.to_vec()));
                    }
                }
                Changes { deletes: deletes.clone(), ..Changes::default() }
            });
            outcome.await?;
            if deletes.len() < FORGOTTEN_AT_ONCE {
                return Ok(());
            }
        }
    }
}

impl Remembered {
    fn answer(self, was_sent_before: bool) -> SentMessage {
        SentMessage { id: self.id, at: self.at, was_sent_before }
    }

    fn as_changes(&self, key: &SendKey) -> Result<Changes, Unreadable> {
        let row = (KIND, sorted(SIDE, key.0.as_bytes()), layout::wrap_json(KIND, self)?);
        Ok(Changes { puts: vec![row], ..Changes::default() })
    }
}

impl From<Unreadable> for DeviceError {
    fn from(error: Unreadable) -> Self {
        Self::Unusable(error.to_string())
    }
}

fn read(value: &[u8]) -> Result<Remembered, Unreadable> {
    layout::unwrap_json(KIND, value)
}

/// What the key leads to, and whether it is new.
fn look_up(view: &View<'_>, key: &SendKey, fresh: &Remembered) -> Result<(Found, bool), Unreadable> {
    let Some(value) = view.get(KIND, &sorted(SIDE, key.0.as_bytes())) else {
        return Ok((Found::Send(fresh.clone()), true));
    };
    let known = read(&value)?;
    Ok(match known {
        known if known.digest != fresh.digest => (Found::Other, false),
        known if known.has_left => (Found::Sent(known), false),
        known => (Found::Send(known), false),
    })
}

fn digest(to: &PhoneNumber, text: &Text) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(to.as_str());
    hash.update([0]);
    hash.update(text.as_str());
    hash.finalize().into()
}
