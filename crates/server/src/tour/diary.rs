//! What the tour did to this server, and when it was over, for the page to tell.

use sessile::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Entries that are remembered.
const ENTRIES_MAX: usize = 8;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Something was taken away.
    Broken,
    /// It is back.
    Mended,
    /// Something was done, and nothing should have come of it.
    Tried,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) sort: Sort,
    pub(crate) text: String,
}

/// The last few.
#[derive(Debug, Default)]
pub(crate) struct Diary(Mutex<VecDeque<Entry>>);

impl Diary {
    pub(crate) fn write(&self, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push_front(entry);
        entries.truncate(ENTRIES_MAX);
    }

    /// The newest first.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
