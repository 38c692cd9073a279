//! What the contract says about a device as it stands: who may take it, which step may be taken, what may come over it.
//!
//! Pure, and the same for every engine that can look before it writes. An engine whose statement holds the condition
//! asks here why nothing happened.

use sessile_core::whatsapp::{
    DEVICE_BYTES_MAX, DeviceHead, DeviceState, DeviceStoreError, Epoch, STEP_ROWS_MAX, Step,
};

/// What a step does to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It follows: apply it.
    Apply,
    /// It was applied before.
    Again,
}

/// Whether the keys are here.
pub(crate) fn here(head: &DeviceHead) -> Result<(), DeviceStoreError> {
    match &head.moved_to {
        Some(to) => Err(DeviceStoreError::Moved { to: to.clone() }),
        None => Ok(()),
    }
}

/// Whether `epoch` is the owner's. A device that is not there has no owner.
pub(crate) fn fence(head: Option<&DeviceHead>, epoch: Epoch) -> Result<(), DeviceStoreError> {
    let Some(head) = head else { return Err(DeviceStoreError::Fenced { ours: epoch.0, now: 0 }) };
    here(head)?;
    if head.epoch == epoch {
        return Ok(());
    }
    Err(DeviceStoreError::Fenced { ours: epoch.0, now: head.epoch.0 })
}

/// Whether a step follows.
pub(crate) fn judge(head: Option<&DeviceHead>, step: &Step) -> Result<Verdict, DeviceStoreError> {
    let Some(head) = head else { return Err(DeviceStoreError::Fenced { ours: step.epoch.0, now: 0 }) };
    here(head)?;
    if step.epoch < head.epoch {
        return Err(DeviceStoreError::Fenced { ours: step.epoch.0, now: head.epoch.0 });
    }
    let again = head.version == step.version && head.last_step == Some(step.id);
    if again && step.epoch == head.epoch {
        return Ok(Verdict::Again);
    }
    // A higher epoch than the stored one: the store was put back to an older state.
    if step.epoch > head.epoch || step.version.0 != head.version.0 + 1 {
        return Err(DeviceStoreError::OutOfOrder { stored: head.version.0, step: step.version.0 });
    }
    Ok(Verdict::Apply)
}

/// Whether a step is small enough whatever is stored.
pub(crate) fn fits_a_step(step: &Step) -> Result<(), DeviceStoreError> {
    let rows = step.puts.len() + step.deletes.len();
    if rows > STEP_ROWS_MAX {
        return Err(DeviceStoreError::TooLarge { bytes: rows, limit: STEP_ROWS_MAX });
    }
    let bytes = bytes_of(step).max(step.credentials.as_ref().map_or(0, |sealed| sealed.len()));
    fits(bytes)
}

/// Whether a device may hold that much.
pub(crate) fn fits(bytes: usize) -> Result<(), DeviceStoreError> {
    fits_in(bytes, DEVICE_BYTES_MAX)
}

/// The same with another limit.
pub(crate) fn fits_in(bytes: usize, limit: usize) -> Result<(), DeviceStoreError> {
    if bytes > limit { Err(DeviceStoreError::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// Bytes of the rows that a step puts.
pub(crate) fn bytes_of(step: &Step) -> usize {
    step.puts.iter().map(|row| row.value.len()).sum()
}

/// Bytes of a state's rows.
pub(crate) fn bytes_of_state(state: &DeviceState) -> usize {
    state.rows.iter().map(|row| row.value.len()).sum()
}

/// Whether a whole state may come over a device: where nothing is, over the very same version, or back over a tombstone.
/// An older state never comes back.
pub(crate) fn may_adopt(head: &DeviceHead, state: &DeviceState) -> Result<(), DeviceStoreError> {
    let (stored, comes) = (head.version, state.head.version);
    let fits = match &head.moved_to {
        Some(_) => comes >= stored,
        None if head.has_credentials => comes == stored && state.head.last_step == head.last_step,
        None => true,
    };
    if fits { Ok(()) } else { Err(DeviceStoreError::OutOfOrder { stored: stored.0, step: comes.0 }) }
}
