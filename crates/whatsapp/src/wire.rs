//! The last door before the wire: nothing leaves once the device may belong to somebody else.
//!
//! A process can be stopped at any instruction and wake up after its lease. So the lease is asked for each frame, by
//! the monotonic clock, right before the frame is written; and a frame that pairs the device waits for its credentials
//! to be durable, because the phone counts the device as linked from then on.

use sessile_core::whatsapp::{LeaseStanding, Vault};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Decides whether a frame may leave. Once shut it stays shut.
pub struct Gate {
    vault: Arc<Vault>,
    is_shut: AtomicBool,
}

/// Why a frame did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not own the device any more: nothing is sent")]
pub struct Shut;

impl Gate {
    /// Open for as long as `vault` is ours.
    #[must_use]
    pub fn new(vault: Arc<Vault>) -> Arc<Self> {
        Arc::new(Self { vault, is_shut: AtomicBool::new(false) })
    }

    /// Lets nothing through from now on.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::SeqCst);
    }

    /// Whether a frame may leave at this moment.
    ///
    /// # Errors
    /// [`Shut`], for good.
    pub fn pass(&self) -> Result<(), Shut> {
        let is_ours = !self.vault.is_fenced() && self.vault.lease() != LeaseStanding::GivenUp;
        if !is_ours {
            self.shut();
        }
        if self.is_shut.load(Ordering::SeqCst) { Err(Shut) } else { Ok(()) }
    }
}
