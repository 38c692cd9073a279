//! The lock of a device's files, and in it the high-water mark: the newest step that was ever durable here.
//!
//! Whoever touches the files holds the operating system's lock meanwhile, so that two processes never write at once; which of
//! them may write at all is the epoch's matter. The lock's file is left alone by backups of "the session", so a journal that
//! was put back from one is older than the mark, and is refused. The mark is written after the step is on the disk and is
//! never ahead of it; after a power cut it may lag behind, which only makes it a weaker guard.

use super::fault::{Fault, Io as _};
use super::place::{Place, open_private};
use sessile_core::whatsapp::{Epoch, StepId, Version};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, Instant};

/// How long another process may hold the lock; it holds it for one write.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// The newest step that was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    pub(super) step: Option<StepId>,
}

impl Mark {
    /// Always as long, so that one write replaces it.
    fn line(self) -> String {
        let step: String = self.step.map_or([0; 16], |id| id.0).iter().map(|b| format!("{b:02x}")).collect();
        let text =
            format!("sessile mark 1 epoch={:020} version={:020} step={step}", self.epoch.0, self.version.0);
        let sum: String = Sha256::digest(text.as_bytes())[..8].iter().map(|b| format!("{b:02x}")).collect();
        format!("{text} sum={sum}\n")
    }

    /// `None` for a mark that is not whole: it is a guard, not the truth.
    fn parse(line: &str) -> Option<Self> {
        let number = |name: &str| -> Option<u64> {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)).and_then(|n| n.parse().ok())
        };
        let step = line.split_whitespace().find_map(|word| word.strip_prefix("step="))?;
        let step = u128::from_str_radix(step, 16).ok()?.to_be_bytes();
        let mark = Self {
            epoch: Epoch(number("epoch=")?),
            version: Version(number("version=")?),
            step: (step != [0; 16]).then_some(StepId(step)),
        };
        (mark.line() == line).then_some(mark)
    }
}

/// The lock's file, kept open between uses.
#[derive(Debug, Default)]
pub(super) struct Gate(Option<File>);

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    file: &'a File,
}

impl Gate {
    /// Waits for the lock. The file is made if it is missing.
    pub(super) fn pass(&mut self, place: &Place) -> Result<Held<'_>, Fault> {
        let path = place.lock();
        let started = Instant::now();
        loop {
            let file = match self.0.take() {
                Some(file) => file,
                None => open_private(
                    OpenOptions::new().read(true).write(true).create(true).truncate(false),
                    &path,
                )
                .fault("lock", &path)?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_WAIT => {
                    self.0 = Some(file);
                    std::thread::park_timeout(POLL);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another process holds it");
                    return Err(busy).fault("lock", &path);
                }
                Err(TryLockError::Error(error)) => return Err(error).fault("lock", &path),
            }
            // A lock on a file that was removed meanwhile locks nothing.
            let ours = file.metadata().fault("lock", &path)?.ino();
            if path.metadata().is_ok_and(|there| there.ino() == ours) {
                return Ok(Held { file: self.0.insert(file) });
            }
        }
    }
}

/// Locked by the process that owns a device, for as long as it lives: a lease whose owner died need not be waited for.
#[derive(Debug)]
pub(super) struct Alive {
    _file: File,
}

impl Alive {
    /// `None` when another process owns the device and lives.
    pub(super) fn claim(place: &Place) -> Result<Option<Self>, Fault> {
        let path = place.owner();
        let mut options = OpenOptions::new();
        let file = open_private(options.read(true).write(true).create(true).truncate(false), &path);
        let file = file.fault("lock", &path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).fault("lock", &path),
        }
    }
}

impl Held<'_> {
    /// The mark, when there is a whole one.
    pub(super) fn mark(&self) -> Option<Mark> {
        let mut line = vec![0; 256];
        let read = self.file.read_at(&mut line, 0).ok()?;
        Mark::parse(std::str::from_utf8(&line[..read]).ok()?)
    }

    /// Raises it. A mark that cannot be written leaves the older one, which is as true.
    pub(super) fn raise(&self, mark: Mark) {
        if let Err(error) = self.file.write_all_at(mark.line().as_bytes(), 0) {
            tracing::warn!(%error, "the high-water mark of a WhatsApp device could not be written");
        }
    }

    /// Forgets it: the device is being removed.
    pub(super) fn clear(&self, place: &Place) -> Result<(), Fault> {
        self.file.set_len(0).and_then(|()| self.file.sync_all()).fault("write", &place.lock())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_a_changed_one_does_not() {
        let mark = Mark { epoch: Epoch(3), version: Version(77), step: Some(StepId([7; 16])) };
        let line = mark.line();
        assert_eq!(Mark::parse(&line), Some(mark));
        assert_eq!(Mark { step: None, ..mark }.line().len(), line.len());
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(std::str::from_utf8(&bytes).ok().and_then(Mark::parse), None, "byte {at}");
        }
    }
}
