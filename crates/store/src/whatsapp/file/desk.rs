//! One device's files, opened: every operation takes the lock, makes sure that what is in memory is what is on the disk,
//! decides, writes, and raises the high-water mark. All of it blocks; callers come from a thread that may.

use super::fault::Io as _;
use super::gate::{Alive, Gate, Held};
use super::journal::{self, Broken, Read};
use super::known::{Durable, Known, Stamp};
use super::metadata::{Lease, Metadata};
use super::place::{CORRUPTED, FENCED, Place};
use super::record::{Contents, Opening, Record, Settled};
use crate::whatsapp::rules::{self, Verdict};
use parking_lot::Mutex;
use sessile_core::whatsapp::{Committed, DeviceState, DeviceStoreError, Epoch, Step, Version, Wanted};
use sessile_core::{Clock, Timestamp};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What the database behind a journal may lack, in bytes. Above it no step is taken: somebody has to look.
const BACKLOG_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// More than a journal may be: a state at its limit, and what came since.
const JOURNAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Which steps a journal keeps when it is folded into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None: the journal is the device.
    State,
    /// Those that the database behind it does not have yet.
    Unsettled,
}

/// One device's files.
pub(super) struct Desk {
    place: Place,
    clock: Arc<dyn Clock>,
    keep: Keep,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    gate: Gate,
    known: Option<Known>,
    /// Held while somebody in this process owns the device.
    alive: Option<Alive>,
    /// A write failed: what the disk has is not certain until all of it was written anew.
    doubt: bool,
}

type Answer<T> = Result<T, DeviceStoreError>;

impl Desk {
    pub(super) fn new(place: Place, clock: Arc<dyn Clock>, keep: Keep) -> Self {
        Self { place, clock, keep, inner: Mutex::default() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Does something to the device under its lock. `known` is `None` where there is no device, proven.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut At<'_>) -> Answer<T>) -> Answer<T> {
        let inner = &mut *self.inner.lock();
        let held = inner.gate.pass(&self.place)?;
        let (known, alive) = (&mut inner.known, &mut inner.alive);
        let mut at = At { place: &self.place, held, known, alive, now: self.clock.now(), keep: self.keep };
        at.refresh(inner.doubt)?;
        inner.doubt = false;
        let answer = act(&mut at);
        if let Err(DeviceStoreError::Unavailable(_)) = &answer {
            at.known.take();
            inner.doubt = true;
        }
        answer
    }

    /// Applies steps in order and with one write to the disk. Each has an answer of its own.
    pub(super) fn commit(&self, steps: Vec<Step>) -> Vec<Answer<Committed>> {
        let count = steps.len();
        let mut answers = Vec::with_capacity(count);
        let done = self.with(|at| {
            let known = at.known.as_mut();
            let mut records = Vec::new();
            match known {
                None => answers.extend(steps.iter().map(|step| Err(unowned(step.epoch)))),
                Some(known) if known.grown() > BACKLOG_BYTES_MAX => {
                    answers.extend(steps.iter().map(|_| Err(overfull())));
                }
                Some(known) => {
                    for step in steps {
                        answers.push(decide(known, step, &mut records));
                    }
                }
            }
            at.append(&records, Durable::Now)
        });
        match done {
            Ok(()) => {}
            // Nobody can say what became of any of them.
            Err(error) => {
                let error = Arc::new(error);
                answers.clear();
                answers.extend((0..count).map(|_| Err(again(&error))));
            }
        }
        let _ = self.with(|at| {
            at.fold_if_grown();
            Ok(())
        });
        answers
    }
}

impl Desk {
    /// Removes what is left of a device that cannot be read; answers how many files that were, the lock apart.
    pub(super) fn forget(&self) -> Answer<u64> {
        let inner = &mut *self.inner.lock();
        let held = inner.gate.pass(&self.place)?;
        let paths = [self.place.metadata(), self.place.journal()];
        let count = paths.iter().filter(|path| path.symlink_metadata().is_ok()).count();
        let (known, alive) = (&mut inner.known, &mut inner.alive);
        let mut at = At { place: &self.place, held, known, alive, now: self.clock.now(), keep: self.keep };
        at.remove()?;
        Ok(count as u64)
    }
}

fn overfull() -> DeviceStoreError {
    DeviceStoreError::unavailable(format!(
        "the journal holds {BACKLOG_BYTES_MAX} bytes that the database did not take yet"
    ))
}

/// A device that is not there has no owner.
pub(super) fn unowned(ours: Epoch) -> DeviceStoreError {
    DeviceStoreError::Fenced { ours: ours.0, now: 0 }
}

/// One failure, told to everybody whom it concerns.
fn again(error: &Arc<DeviceStoreError>) -> DeviceStoreError {
    use DeviceStoreError as E;
    match &**error {
        E::Damaged(what) => E::Damaged(what.clone()),
        E::Denied(what) => E::Denied(what.clone()),
        E::Moved { to } => E::Moved { to: to.clone() },
        _ => E::unavailable(error.clone()),
    }
}

fn decide(known: &mut Known, step: Step, records: &mut Vec<Record>) -> Answer<Committed> {
    if rules::judge(Some(&known.head), &step)? == Verdict::Again {
        return Ok(Committed::Again);
    }
    rules::fits_a_step(&step)?;
    rules::fits(known.bytes_after(&step))?;
    known.apply(&step);
    records.push(Record::Step(step));
    Ok(Committed::Applied)
}

/// A device's files while their lock is held.
pub(super) struct At<'a> {
    pub(super) place: &'a Place,
    pub(super) known: &'a mut Option<Known>,
    pub(super) alive: &'a mut Option<Alive>,
    pub(super) now: Timestamp,
    held: Held<'a>,
    keep: Keep,
}

impl At<'_> {
    /// Makes sure that what is known is what the disk has.
    fn refresh(&mut self, doubt: bool) -> Answer<()> {
        let path = self.place.journal();
        let stamp = Stamp::of(&path)?;
        let (Some(stamp), Some(known)) = (stamp, self.known.as_ref()) else {
            *self.known = None;
            return match stamp {
                Some(_) => self.look(&path, doubt),
                None => self.prove_absence(),
            };
        };
        if known.stamp == stamp && !doubt {
            return Ok(());
        }
        let before = known.mark();
        *self.known = None;
        self.look(&path, doubt)?;
        match self.known.as_ref().map(Known::mark) {
            Some(now) if now.version < before.version || now.epoch < before.epoch => {
                *self.known = None;
                Err(self.stale(now.version, before.version))
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, path: &Path, doubt: bool) -> Answer<()> {
        let (read, length) = self.read(path)?;
        self.check_age(&read)?;
        let file = OpenOptions::new().read(true).write(true).open(path).fault("open", path)?;
        if read.end < length {
            tracing::warn!(
                journal = %path.display(), from = length, to = read.end,
                "the last record of a WhatsApp device's journal was cut off; it had not been confirmed to anybody"
            );
            file.set_len(read.end as u64).and_then(|()| file.sync_all()).fault("cut", path)?;
        }
        if doubt {
            return self.fold(read);
        }
        let stamp = Stamp::of(path)?.ok_or_else(|| DeviceStoreError::unavailable("the journal went away"))?;
        *self.known = Some(Known::new(&read, path.to_owned(), file, stamp));
        Ok(())
    }

    /// The journal, whole; one that cannot be read is put aside.
    pub(super) fn read(&self, path: &Path) -> Answer<(Read, usize)> {
        let length = path.metadata().fault("look at", path)?.len();
        if length > JOURNAL_BYTES_MAX {
            let what = format!("{} has {length} bytes, {JOURNAL_BYTES_MAX} is the limit", path.display());
            return Err(DeviceStoreError::Damaged(what));
        }
        let bytes = fs::read(path).fault("read", path)?;
        match journal::read(self.place.device(), &bytes) {
            Ok(read) => Ok((read, bytes.len())),
            // It is whole, but not for us: a newer program will read it.
            Err(error @ Broken::Unknown(_)) => {
                Err(DeviceStoreError::Damaged(format!("{}: {error}", path.display())))
            }
            Err(error) => Err(self.damaged(path, &error)),
        }
    }

    fn damaged(&self, path: &Path, why: &Broken) -> DeviceStoreError {
        let name = Place::name(path);
        let kept = match self.place.quarantine(path, CORRUPTED) {
            Ok(kept) => format!("it was put aside as {kept}"),
            Err(fault) => format!("it could not be put aside: {fault}"),
        };
        let error = DeviceStoreError::Damaged(format!("{name}: {why}; {kept}. {}", self.way_forward()));
        tracing::error!(device = %self.place.device(), %error, "a WhatsApp device's keys are damaged");
        error
    }

    fn way_forward(&self) -> String {
        format!(
            "If another store has this device's keys, start with that one. If not, unlink the device on the phone, clean up \
             the session files of {} and pair it anew; never put an older copy back, its keys would be used twice",
            self.place.device()
        )
    }

    /// No journal: either there never was one, or it was lost.
    fn prove_absence(&self) -> Answer<()> {
        let lost = self.place.corrupted();
        let had = self.metadata()?.filter(|found| found.epoch > 0);
        let mark = self.held.mark();
        if lost.is_empty() && had.is_none() && mark.is_none() {
            return Ok(());
        }
        let name = Place::name(&self.place.journal());
        let what = match (lost.is_empty(), had, mark) {
            (false, _, _) => format!("{name} was damaged and put aside as {}", lost.join(", ")),
            (_, Some(had), _) => format!("{name} is missing, and it held {} steps", had.version),
            (_, _, mark) => {
                format!("{name} is missing, and it held {} steps", mark.map_or(0, |mark| mark.version.0))
            }
        };
        Err(DeviceStoreError::Damaged(format!("{what}. {}", self.way_forward())))
    }

    /// Refuses a journal that is older than what this machine had already.
    fn check_age(&self, read: &Read) -> Answer<()> {
        let head = &read.contents.state.head;
        let had = self.metadata()?.map(|had| (Epoch(had.epoch), Version(had.version)));
        let mark = self.held.mark();
        for (epoch, version) in had.into_iter().chain(mark.map(|mark| (mark.epoch, mark.version))) {
            if head.version < version || head.epoch < epoch {
                return Err(self.stale(head.version, version));
            }
        }
        let Some(mark) = mark else { return Ok(()) };
        let made = read.steps.iter().find(|step| step.version == mark.version).map(|step| step.id);
        let made = made.or(head.last_step.filter(|_| head.version == mark.version));
        match (made, mark.step) {
            (Some(made), Some(step)) if made != step => Err(DeviceStoreError::Damaged(format!(
                "step {} of {} is not the one that this machine made: the files were mixed with those of another copy. {}",
                mark.version.0,
                Place::name(&self.place.journal()),
                self.way_forward()
            ))),
            _ => Ok(()),
        }
    }

    fn stale(&self, found: Version, had: Version) -> DeviceStoreError {
        let error = DeviceStoreError::Damaged(format!(
            "{} is an older copy: it ends at step {}, and this machine had step {} already. It is left as it is and not \
             used. {}",
            Place::name(&self.place.journal()),
            found.0,
            had.0,
            self.way_forward()
        ));
        tracing::error!(device = %self.place.device(), %error, "an old copy of a WhatsApp device's keys is refused");
        error
    }

    /// The metadata file; one that cannot be read is put aside and written anew from the journal.
    pub(super) fn metadata(&self) -> Answer<Option<Metadata>> {
        let path = self.place.metadata();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).fault("read", &path)?,
        };
        match Metadata::parse(&bytes) {
            Some(found) if found.client_id == self.place.device().as_str() => Ok(Some(found)),
            _ => {
                let kept = self.place.quarantine(&path, CORRUPTED)?;
                tracing::warn!(%kept, "a WhatsApp device's metadata was damaged; it is written anew from the journal");
                Ok(None)
            }
        }
    }

    pub(super) fn lease(&self) -> Answer<Option<Lease>> {
        Ok(self.metadata()?.and_then(Metadata::into_lease))
    }

    pub(super) fn write_metadata(&self, lease: Option<Lease>) -> Answer<()> {
        let Some(known) = self.known.as_ref() else { return Ok(()) };
        let metadata = Metadata::of(&known.head, lease);
        self.place.replace(&self.place.metadata(), &metadata.to_bytes())?;
        Ok(())
    }

    /// Writes records, and raises the mark when they are durable.
    pub(super) fn append(&mut self, records: &[Record], durable: Durable) -> Answer<()> {
        let Some(known) = self.known.as_mut().filter(|_| !records.is_empty()) else { return Ok(()) };
        known.append(records, durable)?;
        if durable == Durable::Now {
            self.held.raise(known.mark());
        }
        Ok(())
    }

    /// Puts a whole state in the place of the journal.
    pub(super) fn replace(
        &mut self,
        state: DeviceState,
        settled: Option<Settled>,
        later: &[Step],
    ) -> Answer<()> {
        let generation = self.known.as_ref().map_or(0, |known| known.generation) + 1;
        let (mut bytes, chain) = journal::begin(self.place.device());
        let opening = Record::Opening(Opening { generation, state, settled });
        let mut chain = journal::append(&mut bytes, chain, &opening);
        for step in later {
            chain = journal::append(&mut bytes, chain, &Record::Step(step.clone()));
        }
        let path = self.place.journal();
        let file = self.place.replace(&path, &bytes)?;
        let read = journal::read(self.place.device(), &bytes)
            .map_err(|error| DeviceStoreError::Damaged(error.to_string()))?;
        let stamp =
            Stamp::of(&path)?.ok_or_else(|| DeviceStoreError::unavailable("the journal went away"))?;
        let known = self.known.insert(Known::new(&read, path, file, stamp));
        self.held.raise(known.mark());
        Ok(())
    }

    /// Folds the journal when it has grown. A failure leaves it as it is, which is as good.
    fn fold_if_grown(&mut self) {
        let Some(known) = self.known.as_ref() else { return };
        if known.grown() < known.fold_at {
            return;
        }
        let folded = self.read(&self.place.journal()).and_then(|(read, _)| self.fold(read));
        if let Err(error) = folded {
            tracing::warn!(device = %self.place.device(), %error, "a WhatsApp device's journal could not be folded");
        }
    }

    /// Writes the journal anew: as the state, and behind it the steps that have to be kept.
    fn fold(&mut self, read: Read) -> Answer<()> {
        let settled = read.contents.settled;
        if self.keep == Keep::State {
            return self.replace(read.contents.into_state(), settled, &[]);
        }
        let last = settled.map_or(Version(0), |settled| settled.version);
        let bytes = fs::read(self.place.journal()).fault("read", &self.place.journal())?;
        let read = journal::read_until(self.place.device(), &bytes, last)
            .map_err(|error| DeviceStoreError::Damaged(error.to_string()))?;
        let later: Vec<_> = read.steps.into_iter().filter(|step| step.version > last).collect();
        self.replace(read.contents.into_state(), settled, &later)
    }

    /// All of the device.
    pub(super) fn load(&self) -> Answer<Option<Contents>> {
        if self.known.is_none() {
            return Ok(None);
        }
        Ok(Some(self.read(&self.place.journal())?.0.contents))
    }

    /// Puts the files aside, so that the device is unknown here; answers their new names.
    pub(super) fn put_aside(&mut self) -> Answer<Vec<String>> {
        self.held.clear(self.place)?;
        let mut names = Vec::new();
        for path in [self.place.metadata(), self.place.journal()] {
            if path.symlink_metadata().is_ok() {
                names.push(self.place.quarantine(&path, FENCED)?);
            }
        }
        *self.known = None;
        Ok(names)
    }

    /// Removes the files for good. In an order in which every crash leaves either the device or nothing.
    pub(super) fn remove(&mut self) -> Answer<()> {
        self.held.clear(self.place)?;
        *self.alive = None;
        for path in [self.place.metadata(), self.place.journal(), self.place.owner(), self.place.lock()] {
            self.place.remove(&path)?;
        }
        self.place.sync_folder()?;
        *self.known = None;
        Ok(())
    }

    pub(super) fn set_wanted(&mut self, wanted: Wanted) -> Answer<()> {
        let Some(known) = self.known.as_mut().filter(|known| known.head.wanted != wanted) else {
            return Ok(());
        };
        known.head.wanted = wanted;
        self.append(&[Record::Wanted(wanted)], Durable::Now)
    }
}
