//! WhatsApp device sessions: credentials and ratchets that survive redeploys, outages and two servers wanting them.
//!
//! An engine keeps sealed bytes behind [`DeviceStore`] and decides nothing but who owns a device and which step comes
//! next. What the bytes mean is known above: the vault seals and mirrors them, the client crate reads them.

mod id;
mod store;

pub use id::{DeviceId, OwnerId, StepId};
pub use store::{
    Acquired, Committed, DEVICE_BYTES_MAX, DeviceHead, DeviceRow, DeviceState, DeviceStore, DeviceStoreError,
    Epoch, KeyHash, KeyKind, LEASE_TTL, RowKey, STEP_ROWS_MAX, Step, StoreInfo, Version, Wanted,
};
