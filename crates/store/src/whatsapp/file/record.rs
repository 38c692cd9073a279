//! What a journal holds: a whole state first, then what happened since. Folded, they are the device.

use sessile_core::Timestamp;
use sessile_core::whatsapp::{DeviceRow, DeviceState, Epoch, RowKey, Step, Version, Wanted};
use std::collections::HashMap;
use std::sync::Arc;

/// How far the database behind a journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Under which epoch of the database.
    pub epoch: Epoch,
    /// Up to which step.
    pub version: Version,
}

/// The first record of every journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// Grows each time the file is written anew.
    pub(super) generation: u64,
    pub(super) state: DeviceState,
    pub(super) settled: Option<Settled>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Opening(Opening),
    Step(Step),
    /// `at` is for whoever reads the file after an accident.
    Owned {
        epoch: Epoch,
        at: Timestamp,
    },
    Wanted(Wanted),
    Retired {
        to: String,
    },
    Settled(Settled),
}

/// A journal read whole.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub(super) generation: u64,
    /// Everything but the rows.
    pub(super) state: DeviceState,
    pub(super) rows: HashMap<RowKey, Arc<[u8]>>,
    pub(super) settled: Option<Settled>,
}

impl Contents {
    pub(super) fn new(opening: Opening) -> Self {
        let Opening { generation, mut state, settled } = opening;
        let rows = state.rows.drain(..).map(|row| (row.key, row.value)).collect();
        Self { generation, state, rows, settled }
    }

    /// Applies a record. The error says why it cannot stand here.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Opening(_) => return Err("a state stands in the middle".to_owned()),
            Record::Step(step) => return self.step(step),
            Record::Owned { epoch, .. } => self.state.head.epoch = epoch,
            Record::Wanted(wanted) => self.state.head.wanted = wanted,
            Record::Retired { to } => self.state.head.moved_to = Some(to),
            Record::Settled(settled) => self.settled = Some(settled),
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        let head = &mut self.state.head;
        if step.version.0 != head.version.0 + 1 {
            return Err(format!("step {} follows step {}", step.version.0, head.version.0));
        }
        head.version = step.version;
        head.last_step = Some(step.id);
        head.updated_at = step.at;
        if step.wrapped_key.is_some() {
            head.wrapped_key = step.wrapped_key;
        }
        if step.credentials.is_some() {
            head.has_credentials = true;
            self.state.credentials = step.credentials;
        }
        for key in &step.deletes {
            self.rows.remove(key);
        }
        self.rows.extend(step.puts.into_iter().map(|row| (row.key, row.value)));
        Ok(())
    }

    /// As a store answers it.
    pub(super) fn into_state(self) -> DeviceState {
        let Self { mut state, rows, .. } = self;
        state.rows = rows.into_iter().map(|(key, value)| DeviceRow { key, value }).collect();
        state
    }
}
