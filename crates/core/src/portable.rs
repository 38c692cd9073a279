//! Moving what one engine holds to another engine of the same kind, batch by batch, and knowing that it arrived.
//!
//! An engine exports what it holds as rows of one portable form and imports such rows; the forms are in the modules of the
//! kinds (`login::PortableLogin` and its siblings). Whoever moves them only drives: nothing here opens a store. An import
//! never overwrites anything newer and brings nothing back that has ended, so a move may stop anywhere, begin anew and
//! overlap with itself.

use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Where an export has got to. Small, and understood by the engine that gave it alone; one that an engine does not know any
/// more begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// Takes what an engine, or a checkpoint, says.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text, for a checkpoint.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Some of what an engine holds.
#[derive(Debug)]
pub struct Batch<R> {
    /// The rows; none of a name twice.
    pub rows: Vec<R>,
    /// Where the next batch begins; `None` at the end.
    pub next: Option<Mark>,
    /// Values that were met and cannot be moved: they are no rows of this kind, and stay where they are.
    pub unreadable: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// It was not there, and is now.
    New,
    /// An older one was there.
    Renewed,
    /// It was there already, or something newer was, or it has ended there: nothing changed.
    Kept,
    /// The engine will not take this value, whoever offers it.
    Refused,
}

/// A row that can be compared wherever it lies.
pub trait Portable: Send + Sync + 'static {
    /// The same text in every engine, with everything that makes the row what it is; `None` for what is carried along and not
    /// compared, such as the memory of what has ended.
    fn canonical(&self) -> Option<String>;

    /// Names the row to people, without a secret.
    fn fingerprint(&self) -> String;

    /// Whether the row may vanish by itself before `at`, so that its absence then says nothing.
    fn ends_before(&self, at: Timestamp) -> bool;

    /// Whether `self` is a later state of the row that `other` is.
    fn is_newer_than(&self, other: &Self) -> bool;
}

/// An engine that gives and takes rows.
///
/// 1. Going from mark to mark shows every row that is there all the while; one may be shown twice over several batches.
/// 2. `import` is durable when it answers, one outcome for each row. `Unavailable` means unknown; repeating is safe.
/// 3. A row that is there is replaced by a later state only, and what has ended stays ended.
/// 4. `held` answers what lies under the names of `like`, in the same order.
/// 5. Nobody is told of any of this: no event, no audit row, no outbox row.
#[async_trait]
pub trait Porter<R: Portable>: Send + Sync {
    /// About how many rows an export will show.
    async fn size(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// The rows after a mark, about `limit` of them.
    async fn export(&self, from: Option<&Mark>, limit: usize, now: Timestamp)
    -> Result<Batch<R>, StoreError>;

    /// Takes rows.
    async fn import(&self, rows: &[R], now: Timestamp) -> Result<Vec<Landed>, StoreError>;

    /// What is here under the same names.
    async fn held(&self, like: &[R], now: Timestamp) -> Result<Vec<Option<R>>, StoreError>;
}

/// A count and a digest of rows, whatever order they come in: the sum of their hashes. It finds what was lost, cut or changed
/// on the way; it is no proof against somebody who chooses the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    count: u64,
    total: [u64; 4],
}

impl Sum {
    /// Also this row, if it is one to be compared.
    pub fn add(&mut self, row: &impl Portable) {
        let Some(text) = row.canonical() else { return };
        self.count += 1;
        let hash = Sha256::digest(text.as_bytes());
        for (total, part) in self.total.iter_mut().zip(hash.as_chunks::<8>().0) {
            *total = total.wrapping_add(u64::from_be_bytes(*part));
        }
    }

    /// How many rows.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.total.iter().try_for_each(|part| write!(f, "{part:016x}"))
    }
}

/// JSON as every engine would write it: without the space that some put in, and with the keys of each object in one order.
/// Text that is no JSON is itself.
#[must_use]
pub fn canonical_json(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .map_or_else(|_| text.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(&'static str);

    impl Portable for Row {
        fn canonical(&self) -> Option<String> {
            (self.0 != "mark").then(|| self.0.to_owned())
        }
        fn fingerprint(&self) -> String {
            self.0.to_owned()
        }
        fn ends_before(&self, _: Timestamp) -> bool {
            false
        }
        fn is_newer_than(&self, _: &Self) -> bool {
            false
        }
    }

    fn sum(rows: &[&'static str]) -> Sum {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(&Row(row)));
        sum
    }

    #[test]
    fn a_sum_knows_no_order_and_finds_what_changed() {
        assert_eq!(sum(&["a", "b", "c"]), sum(&["c", "a", "b"]));
        assert_eq!(sum(&["a", "mark"]), sum(&["a"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a", "c"]));
        assert_ne!(sum(&["a"]), sum(&["a", "a"]));
        assert_eq!((sum(&["a", "b"]).count(), sum(&["a"]).to_string().len()), (2, 64));
    }

    #[test]
    fn json_has_one_form() {
        assert_eq!(canonical_json(r#"{"b": 1, "a":[1.0, "x"]}"#), r#"{"a":[1.0,"x"],"b":1}"#);
        assert_eq!(canonical_json("{cut"), "{cut");
    }
}
