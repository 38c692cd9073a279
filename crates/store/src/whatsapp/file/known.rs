//! What is kept in memory of a journal: everything that decides about the next step, and of the rows only their sizes. The
//! values are read again when they are wanted, for the device's owner has them in memory already.

use super::fault::{Fault, Io as _};
use super::gate::Mark;
use super::journal::{self, Chain};
use super::record::{Record, Settled};
use crate::whatsapp::failpoint;
use crate::whatsapp::rules;
use sessile_core::whatsapp::{DeviceHead, RowKey, Step};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Journals that grew less are not folded.
const FOLD_BYTES_MIN: u64 = 1024 * 1024;

/// What tells a file that nobody else touched from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Of the file at `path`; `None` when there is none.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, Fault> {
        match path.metadata() {
            Ok(found) => Ok(Some(Self {
                inode: found.ino(),
                bytes: found.len(),
                modified: (found.mtime(), found.mtime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).fault("look at", path),
        }
    }
}

/// A journal as it stands on the disk.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) head: DeviceHead,
    pub(super) settled: Option<Settled>,
    pub(super) generation: u64,
    pub(super) stamp: Stamp,
    /// How much the journal may grow before it is folded. Twice what was left over the last time, so that steps which have
    /// to be kept are not written over and over.
    pub(super) fold_at: u64,
    sizes: HashMap<RowKey, usize>,
    bytes: usize,
    path: PathBuf,
    file: File,
    chain: Chain,
    opened: u64,
    end: u64,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// It has to be on the disk.
    Now,
    /// The next one that is will take it along.
    Later,
}

impl Known {
    /// From a journal that was read or written just now.
    pub(super) fn new(read: &journal::Read, path: PathBuf, file: File, stamp: Stamp) -> Self {
        let contents = &read.contents;
        let sizes: HashMap<_, _> = contents.rows.iter().map(|(key, value)| (*key, value.len())).collect();
        Self {
            head: contents.state.head.clone(),
            settled: contents.settled,
            generation: contents.generation,
            stamp,
            fold_at: FOLD_BYTES_MIN.max(read.opened as u64).max(2 * (read.end - read.opened) as u64),
            bytes: sizes.values().sum(),
            sizes,
            path,
            file,
            chain: read.chain,
            opened: read.opened as u64,
            end: read.end as u64,
        }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { epoch: self.head.epoch, version: self.head.version, step: self.head.last_step }
    }

    /// Bytes of the journal behind its opening state.
    pub(super) fn grown(&self) -> u64 {
        self.end - self.opened
    }

    /// Bytes of all rows after a step.
    pub(super) fn bytes_after(&self, step: &Step) -> usize {
        let touched = step.deletes.iter().chain(step.puts.iter().map(|row| &row.key));
        let freed: usize = touched.filter_map(|key| self.sizes.get(key)).sum();
        self.bytes - freed + rules::bytes_of(step)
    }

    /// Writes records behind the last one. After an error nothing is known any more but what a fresh look says.
    pub(super) fn append(&mut self, records: &[Record], durable: Durable) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let mut chain = self.chain;
        for record in records {
            chain = journal::append(&mut bytes, chain, record);
        }
        failpoint::reach("a record, before it is written");
        #[cfg(debug_assertions)]
        self.write_half(&bytes)?;
        self.file.write_all_at(&bytes, self.end).fault("write", &self.path)?;
        failpoint::reach("a record, written");
        if durable == Durable::Now {
            self.file.sync_data().fault("write", &self.path)?;
            failpoint::reach("a record, synced");
        }
        self.chain = chain;
        self.end += bytes.len() as u64;
        self.stamp = Stamp::of(&self.path)?.unwrap_or(self.stamp);
        Ok(())
    }

    /// So that a test can have a record that is cut in the middle.
    #[cfg(debug_assertions)]
    fn write_half(&self, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_all_at(&bytes[..bytes.len() / 2], self.end).fault("write", &self.path)?;
        failpoint::reach("a record, half written");
        Ok(())
    }

    /// Notes a step that is being appended.
    pub(super) fn apply(&mut self, step: &Step) {
        self.head.version = step.version;
        self.head.last_step = Some(step.id);
        self.head.updated_at = step.at;
        if step.wrapped_key.is_some() {
            self.head.wrapped_key.clone_from(&step.wrapped_key);
        }
        self.head.has_credentials |= step.credentials.is_some();
        for key in &step.deletes {
            self.bytes -= self.sizes.remove(key).unwrap_or(0);
        }
        for row in &step.puts {
            let before = self.sizes.insert(row.key, row.value.len()).unwrap_or(0);
            self.bytes = self.bytes - before + row.value.len();
        }
    }
}
