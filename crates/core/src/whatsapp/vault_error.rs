//! Why a vault did not do what it was asked.

use super::store::{DeviceStoreError, STEP_ROWS_MAX};
use crate::sealing::{SealError, UnsealError};
use crate::time::Timestamp;
use std::error::Error;
use std::sync::Arc;

/// Why keys could not be read or written. One variant per thing a caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// Another process owns the device. Wait until then, or for it to let go.
    #[error("another process owns this device until {until}")]
    Held {
        /// Until when, unless it renews.
        until: Timestamp,
    },
    /// Another process has taken the device over. Stop, and send nothing more.
    #[error("another process has taken this device over (epoch {now}, ours was {ours})")]
    Fenced {
        /// Ours.
        ours: u64,
        /// The newer one.
        now: u64,
    },
    /// What this process holds is not what the store holds. Stop, and open the device anew.
    #[error("the stored keys are at step {stored}, this process wanted to write step {step}")]
    OutOfOrder {
        /// What is stored.
        stored: u64,
        /// What was to be applied.
        step: u64,
    },
    /// The keys live elsewhere since a migration.
    #[error("the keys of this device moved to {to}; start with that store, or migrate back")]
    Moved {
        /// Where they are.
        to: String,
    },
    /// The store does not let us see our rows.
    #[error("the store does not let us see the devices: {0}")]
    Denied(String),
    /// What is stored cannot be read. It is kept as it is, and is not "no session".
    #[error("stored keys cannot be read: {0}")]
    Damaged(String),
    /// The environment lacks the key that this device was sealed under. Nothing is ever stored without one.
    #[error(
        "the key that this device's credentials were sealed under is not listed in SESSILE_SEALING_KEY; list it again, \
         after the newer ones"
    )]
    MissingKey,
    /// More than a device may hold. Nothing changed.
    #[error("the device would hold {bytes} bytes or more; {limit} is the limit")]
    TooLarge {
        /// What it would hold.
        bytes: usize,
        /// What it may hold.
        limit: usize,
    },
    /// More rows than one step may change. Nothing changed.
    #[error("{rows} rows in one step; {STEP_ROWS_MAX} is the limit")]
    TooManyRows {
        /// How many there were.
        rows: usize,
    },
    /// Nothing could be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store did not answer for a while. The change may be durable, or become so: it is repeated before any other.
    #[error("the device store did not answer")]
    Unavailable(#[source] Arc<dyn Error + Send + Sync>),
    /// The device was let go of, or its keys were removed.
    #[error("this device was closed")]
    Closed,
}

impl VaultError {
    /// Whether every later call answers the same.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::OutOfOrder { .. } | Self::Moved { .. } | Self::Closed)
    }
}

impl From<DeviceStoreError> for VaultError {
    fn from(error: DeviceStoreError) -> Self {
        use DeviceStoreError as E;
        match error {
            E::Held { until } => Self::Held { until },
            E::Fenced { ours, now } => Self::Fenced { ours, now },
            E::OutOfOrder { stored, step } => Self::OutOfOrder { stored, step },
            E::Moved { to } => Self::Moved { to },
            E::Denied(why) => Self::Denied(why),
            E::Damaged(why) => Self::Damaged(why),
            E::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            E::Unavailable(cause) => Self::Unavailable(Arc::from(cause)),
        }
    }
}

impl From<UnsealError> for VaultError {
    fn from(error: UnsealError) -> Self {
        match error {
            UnsealError::UnknownKey => Self::MissingKey,
            other => Self::Damaged(other.to_string()),
        }
    }
}
