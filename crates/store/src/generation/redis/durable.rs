//! Writes that must not be taken back: a failover gives the keys to a replica, and what it had not received is gone.
//!
//! So a write tells how many replicas follow its server, and where there are some it counts only when one of them has it
//! and the server that holds the key *now* has it too. Between the two a failover may have put another server there,
//! which nothing follows yet and which would confirm anything.

use super::{Desk, scripts};
use crate::redis::wire::{items, number};
use redis::Cmd;
use sessile_core::{StoreError, Timestamp};
use std::time::Duration;

/// How long a replica may take to confirm a write.
const REPLICA_WAIT: Duration = Duration::from_millis(500);

/// What a writing script answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// What it did; each script has its own numbers.
    pub(super) code: i64,
    replicas: i64,
}

impl Desk {
    /// Reads the answer of a writing script.
    pub(super) fn written(&self, answer: redis::Value) -> Result<Written, StoreError> {
        let numbers: Vec<i64> = items(answer).iter().filter_map(number).collect();
        match numbers.as_slice() {
            [code, replicas] => Ok(Written { code: *code, replicas: *replicas }),
            _ => Err(self.server.odd()),
        }
    }

    /// Calls a writing script.
    pub(super) async fn write(&self, call: Cmd) -> Result<Written, StoreError> {
        self.written(self.server.one(call).await?)
    }

    /// What lies at `place` since that write survives a failover: anything, or exactly `value`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it may be lost, and may be there.
    pub(super) async fn durable(
        &self,
        place: &str,
        written: Written,
        ends: Timestamp,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        if written.replicas == 0 {
            return Ok(());
        }
        let confirm = scripts::confirm(place, ends.unix_ms(), value);
        let (there, confirmed) = self.server.replicated(place, confirm, REPLICA_WAIT).await?;
        if number(&there) != Some(1) {
            return Err(StoreError::unavailable("a failover of Redis took the write back"));
        }
        if !confirmed {
            return Err(StoreError::unavailable("no replica of Redis confirmed the write in time"));
        }
        Ok(())
    }
}
