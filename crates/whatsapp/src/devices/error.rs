//! Why a device did not do what a caller asked. One variant per thing a caller can do.

use crate::client::ClientError;
use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceStoreError, VaultError};
use std::time::Duration;

/// Why a device did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeviceError {
    /// Look at the status; connect or pair it first.
    #[error("the device is {status}, not ready")]
    NotReady {
        /// `connectionStatus`.
        status: &'static str,
    },
    /// Ask the process that owns it, or wait.
    #[error("another process owns this device until {until}")]
    Elsewhere {
        /// Until when, unless it renews.
        until: Timestamp,
    },
    /// Log out first.
    #[error("the device is paired already")]
    AlreadyPaired,
    /// The same idempotency key came with another message. Use a new key.
    #[error("this idempotency key belongs to another message")]
    KeyReused,
    /// The same idempotency key is being worked on. Repeat in a moment.
    #[error("a message with this idempotency key is being sent")]
    InFlight,
    /// WhatsApp refused; repeating it as it is does not help.
    #[error("WhatsApp refused: {0}")]
    Refused(String),
    /// WhatsApp wants fewer requests.
    #[error("WhatsApp asks for patience")]
    Throttled {
        /// For how long, when it said so.
        wait: Option<Duration>,
    },
    /// It is not known whether the message left. Repeat it with the same idempotency key: it is shown once.
    #[error("it is not known whether WhatsApp received this: {0}")]
    Unknown(String),
    /// The store of the keys does not answer. Repeat later.
    #[error("the store of the device's keys does not answer: {0}")]
    StorageAway(String),
    /// What is stored cannot be used; an operator has to look.
    #[error("the stored device cannot be used: {0}")]
    Unusable(String),
    /// This process is ending.
    #[error("this process is shutting down")]
    ShuttingDown,
}

impl From<VaultError> for DeviceError {
    fn from(error: VaultError) -> Self {
        use VaultError as E;
        match error {
            E::Held { until } => Self::Elsewhere { until },
            E::Unavailable(cause) => Self::StorageAway(cause.to_string()),
            E::Fenced { .. } | E::OutOfOrder { .. } | E::Closed => Self::NotReady { status: "disconnected" },
            E::Moved { .. }
            | E::Denied(_)
            | E::Damaged(_)
            | E::MissingKey
            | E::TooLarge { .. }
            | E::TooManyRows { .. }
            | E::Seal(_) => Self::Unusable(error.to_string()),
        }
    }
}

impl From<DeviceStoreError> for DeviceError {
    fn from(error: DeviceStoreError) -> Self {
        VaultError::from(error).into()
    }
}

impl From<ClientError> for DeviceError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotConnected => Self::NotReady { status: "disconnected" },
            ClientError::Refused(why) => Self::Refused(why),
            ClientError::Throttled { wait } => Self::Throttled { wait },
            ClientError::Unknown(why) => Self::Unknown(why),
        }
    }
}
