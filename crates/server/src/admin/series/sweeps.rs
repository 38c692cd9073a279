//! Sweeps and clean-ups of this process: how often, how long, how much. The last ones that did something are kept.

use sessile::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Runs that are kept.
const RUNS_MAX: usize = 12;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct SweepRun {
    /// What was swept, in words.
    pub(crate) what: &'static str,
    /// When it ended.
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
    /// What was done how often, or why the run failed.
    pub(crate) outcome: Result<Vec<(&'static str, u64)>, String>,
}

impl SweepRun {
    /// How much it did; nothing when it failed.
    pub(crate) fn total(&self) -> u64 {
        self.outcome.iter().flatten().map(|(_, count)| count).sum()
    }
}

/// All runs about one thing.
#[derive(Debug, Clone)]
pub(crate) struct SweepSum {
    pub(crate) runs: u64,
    pub(crate) failures: u64,
    pub(crate) total: u64,
    pub(crate) last: SweepRun,
}

/// What is known of all sweeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct SweepLog {
    sums: BTreeMap<&'static str, SweepSum>,
    runs: VecDeque<SweepRun>,
}

impl SweepLog {
    pub(super) fn take(&mut self, run: SweepRun) {
        let (total, failures) = (run.total(), u64::from(run.outcome.is_err()));
        self.sums
            .entry(run.what)
            .and_modify(|sum| {
                sum.runs += 1;
                sum.failures += failures;
                sum.total += total;
                sum.last = run.clone();
            })
            .or_insert_with(|| SweepSum { runs: 1, failures, total, last: run.clone() });
        if total > 0 || failures > 0 {
            if self.runs.len() >= RUNS_MAX {
                self.runs.pop_back();
            }
            self.runs.push_front(run);
        }
    }

    /// By what was swept.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (&'static str, &SweepSum)> {
        self.sums.iter().map(|(what, sum)| (*what, sum))
    }

    /// The last runs that did something, or failed, the newest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &SweepRun> {
        self.runs.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_runs_are_counted_and_not_kept() {
        let mut log = SweepLog::default();
        let run = |count| SweepRun {
            what: "login sessions",
            at: Timestamp::EPOCH,
            took: Duration::from_millis(3),
            outcome: Ok(vec![("removed", count)]),
        };
        (0..50).for_each(|_| log.take(run(0)));
        (0..20).for_each(|count| log.take(run(count)));
        log.take(SweepRun { outcome: Err("away".to_owned()), ..run(0) });
        let (_, sum) = log.sums().next().unwrap();
        assert_eq!((sum.runs, sum.failures, sum.total), (71, 1, 190));
        assert_eq!(log.runs().count(), RUNS_MAX);
        assert!(log.runs().next().unwrap().outcome.is_err(), "the newest comes first");
    }
}
