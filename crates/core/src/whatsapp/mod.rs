//! WhatsApp device sessions: credentials and ratchets that survive redeploys, outages and two servers wanting them.
//!
//! An engine keeps sealed bytes behind [`DeviceStore`] and decides nothing but who owns a device and which step comes
//! next. What the bytes mean is known above: the [`Vault`] seals and mirrors them, the client crate reads them.

pub mod connection;
mod id;
pub mod journal;
mod lease;
mod line;
mod mirror;
mod pace;
mod rotation;
mod sealing;
mod store;
mod vault;
mod vault_error;

pub use id::{DeviceId, OwnerId, StepId};
pub use lease::{LEASE_MARGIN, LEASE_RENEWAL, Lease, LeaseStanding};
pub use mirror::{Changes, OpenRow, View};
pub use pace::Pace;
pub use rotation::{RewrapError, Rewrapped, rewrap};
pub use store::{
    Acquired, Committed, DEVICE_BYTES_MAX, DeviceHead, DeviceRow, DeviceState, DeviceStore, DeviceStoreError,
    Epoch, KeyHash, KeyKind, LEASE_TTL, RowKey, STEP_ROWS_MAX, Step, StoreInfo, StoreMode, Version, Wanted,
};
pub use vault::{Opening, STEP_PATIENCE, Vault};
pub use vault_error::VaultError;
