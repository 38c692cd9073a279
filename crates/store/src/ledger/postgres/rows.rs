//! Rows that cannot be read: reported once each, by table and fingerprint, and treated as not there. They are never
//! changed.

use super::columns::{Line, Stored};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Rows that are remembered as reported; beyond that, the log is loud enough.
const REPORTED_MAX: usize = 1000;

/// What was reported so far.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashSet<String>>);

impl Unreadable {
    /// The row as a record, or a line in the log.
    pub(super) fn read<R: Stored>(&self, line: &Line<'_>) -> Option<R> {
        let record = R::read(line);
        if record.is_none() {
            self.report(R::TABLE, line.text(R::KEY).unwrap_or_default());
        }
        record
    }

    fn report(&self, table: &str, id: &str) {
        let digest = Sha256::digest(id.as_bytes());
        let fingerprint: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut reported = self.0.lock();
        if reported.len() < REPORTED_MAX && reported.insert(format!("{table} {fingerprint}")) {
            tracing::error!(
                table,
                fingerprint,
                "a row cannot be read and is treated as not there; correct it by hand"
            );
        }
    }
}
