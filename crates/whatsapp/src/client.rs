//! What we ask of a WhatsApp client, whichever it is.
//!
//! [`WhatsApp`] makes a [`DeviceClient`] over a vault; the client connects when told, tells what happens as [`News`],
//! and decides nothing: whether to connect again, who owns the device and what a person is shown is decided above. A
//! client must send nothing once its [`Gate`] is shut, and must not say [`News::Paired`] before the credentials are
//! durable.

use crate::message::{MessageId, PhoneNumber, Reached, Text};
use crate::wire::Gate;
use async_trait::async_trait;
use sessile_core::whatsapp::Vault;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What a client tells on its way, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Show this QR code; it is good for so long.
    Qr {
        /// What it says. It holds a secret: never logged, never stored.
        code: QrCode,
        /// How long.
        valid_for: Duration,
    },
    /// There are no more QR codes on this connection.
    QrUsedUp,
    /// WhatsApp wants a passkey before it links this device; a person has to use another way.
    PasskeyDemanded,
    /// The phone's answer was refused.
    PairingFailed(String),
    /// Paired, and the credentials are durable.
    Paired,
    /// Logged in, and ready to send.
    Ready,
    /// A message has come further.
    Receipt {
        /// Which one.
        message: MessageId,
        /// How far.
        reached: Reached,
    },
    /// The connection is over.
    Ended(Ended),
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// WhatsApp wants a new connection at once, as it does after pairing.
    Restart,
    /// It broke, or was never made.
    Dropped(String),
    /// The login was refused: this device may have been removed.
    Unauthorized,
    /// The same device connected elsewhere.
    Replaced,
    /// WhatsApp refuses this account or this client; trying again does not help.
    Refused(String),
    /// The QR codes were used up.
    QrUsedUp,
}

/// What a QR code says. Whoever reads it can link the device, so `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct QrCode(String);

impl QrCode {
    /// From what WhatsApp wants shown.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text to draw.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for QrCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QrCode")
    }
}

/// A code to type into the phone. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PairCode {
    /// Eight characters.
    pub code: String,
    /// How long it is good for.
    pub valid_for: Duration,
}

impl std::fmt::Debug for PairCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PairCode for {:?}", self.valid_for)
    }
}

/// Why a client did not do what it was asked. One variant per thing a caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no connection.
    #[error("the device is not connected")]
    NotConnected,
    /// WhatsApp refused: the request will not succeed by repeating it as it is.
    #[error("WhatsApp refused: {0}")]
    Refused(String),
    /// WhatsApp wants fewer requests.
    #[error("WhatsApp asks for patience")]
    Throttled {
        /// For how long, when it said so.
        wait: Option<Duration>,
    },
    /// It may have happened, or not.
    #[error("it is not known whether WhatsApp received this: {0}")]
    Unknown(String),
}

/// One device's client. It lives as long as its vault is ours; it may connect many times.
#[async_trait]
pub trait DeviceClient: Send + Sync + 'static {
    /// Begins one connection. Its end is [`News::Ended`], exactly once.
    fn connect(&self);

    /// Asks for a code to link by phone number in place of a QR code.
    async fn pair_code(&self, number: &PhoneNumber) -> Result<PairCode, ClientError>;

    /// Sends a text under a name; a second time under the same name shows it once.
    async fn send_text(&self, to: &PhoneNumber, text: &Text, id: &MessageId) -> Result<(), ClientError>;

    /// Removes this device from the account. The connection stays; the keys are worthless afterwards.
    async fn unlink(&self) -> Result<(), ClientError>;

    /// Settles what is in flight and disconnects for good.
    async fn close(&self);

    /// Whether it has stopped saving its credentials after too many failures. It has to be made anew.
    fn has_stopped_saving(&self) -> bool;
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The stored keys cannot be used.
    #[error("the stored device could not be opened: {0}")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A setting that only tests may use.
    #[error("another WhatsApp server than the real one exists only in builds for tests")]
    StandIn,
}

/// Makes clients.
#[async_trait]
pub trait WhatsApp: Send + Sync + 'static {
    /// A client over `vault`, which sends only through `gate` and tells `news`. It does not connect yet.
    async fn open(
        &self,
        vault: Arc<Vault>,
        gate: Arc<Gate>,
        news: UnboundedSender<News>,
    ) -> Result<Arc<dyn DeviceClient>, OpenError>;
}
