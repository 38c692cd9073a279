//! What goes wrong on one connection, and what the operator of the stand-in is told.

use whatsapp_rust::wacore::libsignal::protocol::{CurveError, SignalProtocolError};

/// Why one connection ended. Logged where it ends; the client notices by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the WebSocket broke")]
    Socket(#[from] tokio_websockets::Error),
    #[error("the client hung up")]
    HungUp,
    #[error("the handshake was not understood: {0}")]
    Handshake(String),
    #[error("a frame was not understood: {0}")]
    Frame(String),
    #[error("a key or a signature could not be made or used")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the server closed the connection: {0}")]
    Closed(&'static str),
}

/// Why the stand-in could not start.
#[derive(Debug, thiserror::Error)]
pub enum FakeError {
    /// No address to listen on.
    #[error("the stand-in for WhatsApp could not listen on loopback; choose a free port")]
    Listen(#[source] std::io::Error),
    /// No keys for the server.
    #[error("the stand-in for WhatsApp could not make its keys")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a phone or a peer could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The text is not what a client shows as a QR code.
    #[error("this is no WhatsApp QR code: {0}")]
    NotAQrCode(String),
    /// Nobody waits behind this code any more.
    #[error("this code is unknown, used or expired; scan the one that is shown now")]
    UnknownCode,
    /// The client that showed the code is gone.
    #[error("the client that showed this code hung up")]
    ClientGone,
    /// The client was asked for a passkey first; linking goes on when it answers.
    #[error("the account demands a passkey: linking goes on when the client has answered with one")]
    PasskeyDemanded,
    /// The client did not accept what the phone signed, or signed something wrong.
    #[error("the client refused the phone's signature or answered with a wrong one: {0}")]
    Refused(String),
    /// The client said nothing for too long.
    #[error("the client did not answer within {0} seconds")]
    Silent(u64),
    /// There is no such device.
    #[error("no device of that number is linked")]
    NotLinked,
    /// A session could not be built, or a message not be encrypted.
    #[error("the Signal session failed")]
    Signal(#[from] SignalProtocolError),
    /// A key was not usable.
    #[error("a key could not be used: {0}")]
    Key(String),
}

impl From<SignalProtocolError> for Broken {
    fn from(error: SignalProtocolError) -> Self {
        Self::Keys(Box::new(error))
    }
}

impl From<CurveError> for Broken {
    fn from(error: CurveError) -> Self {
        Self::Keys(Box::new(error))
    }
}

impl From<PhoneError> for Broken {
    fn from(error: PhoneError) -> Self {
        Self::Keys(Box::new(error))
    }
}
