//! What becomes of a local journal when its database answers again: replayed, already there, or put aside.
//!
//! Pure: the journal's owner hands in the heads of the entries that it does not know to be in the database, in the order
//! in which they were written, and the database's head as it stood *before* this process took the device. Nothing is
//! ever merged, and no timestamp is looked at: the order is (epoch, version), and two histories that differ stay two.

use super::id::StepId;
use super::store::{DeviceHead, Epoch, Version};
use std::fmt;

/// What names an entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Under which ownership it was written.
    pub epoch: Epoch,
    /// The version that it makes.
    pub version: Version,
    /// Its step.
    pub step: StepId,
}

/// What to do with the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Everything is in the database.
    Nothing,
    /// The entries from this version on are missing there and follow it: commit them in order.
    Replay(Version),
    /// Put the journal aside, raise an alarm, and go on with what the database holds.
    Quarantine(Why),
}

/// Why a journal cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Another owner has had the device since: what is here was overtaken.
    HigherEpoch {
        /// The newest here.
        ours: Epoch,
        /// In the database.
        theirs: Epoch,
    },
    /// The same version was made by another step.
    Diverged {
        /// Which version.
        at: Version,
    },
    /// The database lacks steps that are no longer in the journal: it was put back to an older state.
    Gap {
        /// What the database holds.
        stored: Version,
        /// The oldest entry here.
        first: Version,
    },
    /// The database is ahead under the same epoch: the journal was put back to an older state.
    Behind {
        /// What the database holds.
        stored: Version,
        /// The newest entry here.
        last: Version,
    },
    /// The entries are not in the order in which an owner writes them.
    Disordered {
        /// The first entry that does not follow the one before.
        at: Version,
    },
    /// The database gave the device away.
    Moved {
        /// Where to.
        to: String,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HigherEpoch { ours, theirs } => write!(
                f,
                "another process has owned this device since (epoch {}, the journal's is {})",
                theirs.0, ours.0
            ),
            Self::Diverged { at } => {
                write!(f, "step {} is another one in the database than in the journal", at.0)
            }
            Self::Gap { stored, first } => write!(
                f,
                "the database is at step {}, the journal begins with step {}: the database was put back to an older state",
                stored.0, first.0
            ),
            Self::Behind { stored, last } => write!(
                f,
                "the database is at step {}, the journal ends with step {}: the journal was put back to an older state",
                stored.0, last.0
            ),
            Self::Disordered { at } => {
                write!(f, "entry {} of the journal does not follow the one before it", at.0)
            }
            Self::Moved { to } => write!(f, "the keys of this device moved to {to}"),
        }
    }
}

/// Decides about `local`, the entries not known to be in the database, oldest first.
///
/// The last entry being the database's last step proves that everything arrived, whoever has owned the device since; a
/// higher epoch without that proof means that somebody decided without our entries. A journal of a higher epoch than the
/// database's went on while the database was away (one process, one disk): it follows, or it does not.
#[must_use]
pub fn reconcile(local: &[EntryHead], db: &DeviceHead) -> Plan {
    let (Some(first), Some(last)) = (local.first(), local.last()) else { return Plan::Nothing };
    if let Some(to) = &db.moved_to {
        return Plan::Quarantine(Why::Moved { to: to.clone() });
    }
    if let Some(at) = disorder(local) {
        return Plan::Quarantine(Why::Disordered { at });
    }
    if last.version == db.version && Some(last.step) == db.last_step {
        return Plan::Nothing;
    }
    match differing(local, db, *first, *last) {
        Some(why) => Plan::Quarantine(why),
        None => Plan::Replay(Version(db.version.0 + 1)),
    }
}

/// Why entries in order do not follow the database's head; `None` when they do.
fn differing(local: &[EntryHead], db: &DeviceHead, first: EntryHead, last: EntryHead) -> Option<Why> {
    if db.epoch > last.epoch {
        return Some(Why::HigherEpoch { ours: last.epoch, theirs: db.epoch });
    }
    if last.version < db.version {
        return Some(Why::Behind { stored: db.version, last: last.version });
    }
    if first.version.0 > db.version.0 + 1 {
        return Some(Why::Gap { stored: db.version, first: first.version });
    }
    // The step at the database's version has to be the very same one; an older epoch's entry after it was overtaken.
    let shared = local.iter().find(|entry| entry.version == db.version);
    if shared.is_some_and(|entry| Some(entry.step) != db.last_step) {
        return Some(Why::Diverged { at: db.version });
    }
    let next = local.iter().find(|entry| entry.version.0 == db.version.0 + 1);
    match next {
        Some(entry) if entry.epoch < db.epoch => {
            Some(Why::HigherEpoch { ours: entry.epoch, theirs: db.epoch })
        }
        Some(_) => None,
        None => Some(Why::Diverged { at: db.version }),
    }
}

/// The first entry that neither follows the one before it nor is under an epoch as high.
fn disorder(local: &[EntryHead]) -> Option<Version> {
    let follows =
        |pair: &&[EntryHead]| pair[0].version.0 + 1 == pair[1].version.0 && pair[0].epoch <= pair[1].epoch;
    local.windows(2).find(|pair| !follows(pair)).map(|pair| pair[1].version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use crate::whatsapp::{DeviceId, Wanted};
    use proptest::prelude::*;

    fn entry(epoch: u64, version: u64) -> EntryHead {
        step(epoch, version, version)
    }

    fn step(epoch: u64, version: u64, id: u64) -> EntryHead {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&id.to_be_bytes());
        EntryHead { epoch: Epoch(epoch), version: Version(version), step: StepId(bytes) }
    }

    fn db(epoch: u64, version: u64) -> DeviceHead {
        DeviceHead {
            device: DeviceId::parse("d").unwrap(),
            epoch: Epoch(epoch),
            version: Version(version),
            last_step: (version > 0).then(|| entry(epoch, version).step),
            held_until: None,
            wanted: Wanted::Running,
            wrapped_key: None,
            has_credentials: version > 0,
            moved_to: None,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn what_is_missing_and_follows_is_replayed() {
        let local = [entry(3, 7), entry(3, 8), entry(3, 9)];
        assert_eq!(reconcile(&[], &db(3, 7)), Plan::Nothing);
        assert_eq!(reconcile(&local, &db(3, 6)), Plan::Replay(Version(7)));
        assert_eq!(reconcile(&local, &db(3, 8)), Plan::Replay(Version(9)), "7 and 8 are there");
        assert_eq!(reconcile(&local, &db(3, 9)), Plan::Nothing);
        assert_eq!(
            reconcile(&[entry(1, 1)], &db(0, 0)),
            Plan::Replay(Version(1)),
            "a device that is new there"
        );
        let over_a_restart = [entry(3, 7), entry(4, 8)];
        assert_eq!(reconcile(&over_a_restart, &db(3, 6)), Plan::Replay(Version(7)));
        assert_eq!(reconcile(&over_a_restart, &db(3, 7)), Plan::Replay(Version(8)));
    }

    #[test]
    fn a_higher_epoch_in_the_database_puts_the_journal_aside() {
        let local = [entry(3, 7), entry(3, 8)];
        let overtaken = Plan::Quarantine(Why::HigherEpoch { ours: Epoch(3), theirs: Epoch(4) });
        for version in [6, 7, 9, 20] {
            assert_eq!(reconcile(&local, &db(4, version)), overtaken, "{version}");
        }
        let all_arrived = DeviceHead { last_step: Some(local[1].step), ..db(4, 8) };
        assert_eq!(reconcile(&local, &all_arrived), Plan::Nothing, "then the next owner took it");
        let between = [entry(3, 7), entry(5, 8)];
        assert_eq!(
            reconcile(&between, &db(4, 6)),
            Plan::Quarantine(Why::HigherEpoch { ours: Epoch(3), theirs: Epoch(4) }),
            "somebody else had it in between"
        );
    }

    #[test]
    fn old_copies_and_other_histories_are_put_aside() {
        let local = [entry(3, 7), entry(3, 8)];
        let aside = |local: &[EntryHead], db: &DeviceHead| match reconcile(local, db) {
            Plan::Quarantine(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(aside(&local, &db(3, 5)), Why::Gap { stored: Version(5), first: Version(7) });
        assert_eq!(aside(&local, &db(3, 9)), Why::Behind { stored: Version(9), last: Version(8) });
        let other = DeviceHead { last_step: Some(step(3, 8, 99).step), ..db(3, 8) };
        assert_eq!(aside(&local, &other), Why::Diverged { at: Version(8) });
        assert_eq!(aside(&[entry(3, 7), entry(3, 9)], &db(3, 6)), Why::Disordered { at: Version(9) });
        assert_eq!(aside(&[entry(3, 7), entry(2, 8)], &db(2, 6)), Why::Disordered { at: Version(8) });
        let moved = DeviceHead { moved_to: Some("file".to_owned()), ..db(3, 6) };
        assert_eq!(aside(&local, &moved), Why::Moved { to: "file".to_owned() });
    }

    proptest! {
        /// Replaying never skips a step, never repeats one, and never follows a step that we did not see.
        #[test]
        fn a_replay_is_contiguous_and_of_one_history(
            first in 1_u64..6, count in 1_u64..6, epoch in 1_u64..4,
            stored in 0_u64..12, stored_epoch in 0_u64..5, same in any::<bool>(),
        ) {
            let local: Vec<EntryHead> = (first..first + count).map(|version| entry(epoch, version)).collect();
            let mut head = db(stored_epoch, stored);
            if !same {
                head.last_step = Some(step(9, 9, 1000).step);
            }
            if let Plan::Replay(from) = reconcile(&local, &head) {
                prop_assert_eq!(from.0, stored + 1);
                prop_assert!(stored_epoch <= epoch);
                prop_assert!(local.iter().any(|entry| entry.version == from));
                let shared = local.iter().find(|entry| entry.version.0 == stored);
                prop_assert!(shared.is_none_or(|entry| Some(entry.step) == head.last_step));
            }
        }
    }
}
