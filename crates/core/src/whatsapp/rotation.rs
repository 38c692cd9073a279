//! Wrapping a device's key anew, under the newest key of the environment: one small step under the device's own lease, for a
//! device that nobody runs. One that is run rewraps by itself when it is opened ([`super::Vault`]).

use super::id::{DeviceId, OwnerId, StepId};
use super::sealing::DataKey;
use super::store::{Acquired, DeviceStore, DeviceStoreError, LEASE_TTL, Step, Version};
use crate::entropy::Entropy;
use crate::sealing::{SealError, SealingKeys, UnsealError};
use crate::time::Timestamp;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrapped {
    /// It is under the newest key now.
    Anew,
    /// It was already, or has no key.
    NothingToDo,
}

/// Why a device's key was not wrapped anew. It stays what it was.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// The store refused, or did not answer.
    #[error(transparent)]
    Store(#[from] DeviceStoreError),
    /// None of the listed keys opens it.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Takes the device, wraps its key anew and lets go.
///
/// # Errors
/// [`RewrapError`]; a device that a process runs is [`DeviceStoreError::Held`].
pub async fn rewrap(
    store: &dyn DeviceStore,
    device: &DeviceId,
    owner: &OwnerId,
    keys: &SealingKeys,
    entropy: &dyn Entropy,
    at: Timestamp,
) -> Result<Rewrapped, RewrapError> {
    let acquired = store.acquire(device, owner, LEASE_TTL).await?;
    let done = step(store, device, &acquired, keys, entropy, at).await;
    store.release(device, acquired.epoch).await?;
    done
}

async fn step(
    store: &dyn DeviceStore,
    device: &DeviceId,
    acquired: &Acquired,
    keys: &SealingKeys,
    entropy: &dyn Entropy,
    at: Timestamp,
) -> Result<Rewrapped, RewrapError> {
    let Some(wrapped) = acquired.head.wrapped_key.as_ref().filter(|wrapped| !keys.is_newest(wrapped)) else {
        return Ok(Rewrapped::NothingToDo);
    };
    let anew = DataKey::unwrap(keys, device, wrapped)?.wrap(keys, device, entropy)?;
    let step = Step {
        id: StepId::generate(entropy).map_err(SealError::from)?,
        epoch: acquired.epoch,
        version: Version(acquired.head.version.0 + 1),
        wrapped_key: Some(anew),
        credentials: None,
        puts: Vec::new(),
        deletes: Vec::new(),
        at,
    };
    store.commit_step(device, &step).await?;
    Ok(Rewrapped::Anew)
}
