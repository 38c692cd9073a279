//! Counters of what this process did: what became of sessions, and how fast the stores answered. A handful of atomics,
//! because requests pass here; whoever wants to know what happened in between compares two readings.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What is counted about. A new kind of session is one more entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Login,
    Checkout,
    Payment,
    Generation,
    WhatsApp,
}

/// What can become of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Created,
    Completed,
    Failed,
    Expired,
    Recovered,
}

/// What a store is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Something was read.
    Load,
    /// Something was written.
    Commit,
}

const SUBJECTS: usize = 5;
const MARKS: usize = 5;
const CALLS: usize = 2;
/// Four buckets for each doubling, from a microsecond to more than a minute: a percentile is exact to a fifth.
const BUCKETS: usize = 4 * 27;

impl Subject {
    /// As metrics, addresses and labels say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Checkout => "checkout",
            Self::Payment => "payment",
            Self::Generation => "generation",
            Self::WhatsApp => "whatsapp",
        }
    }
}

impl Mark {
    /// As metrics say it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Recovered => "recovered",
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Tally {
    marks: [[AtomicU64; MARKS]; SUBJECTS],
    calls: [[AtomicU64; BUCKETS]; CALLS],
}

/// What the counters said at one moment, or between two.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    marks: [[u64; MARKS]; SUBJECTS],
    calls: [[u64; BUCKETS]; CALLS],
}

/// What became of sessions in one stretch of time.
#[derive(Debug, Clone)]
pub(super) struct Marks([[u64; MARKS]; SUBJECTS]);

impl Marks {
    pub(super) const fn of(&self, subject: Subject, mark: Mark) -> u64 {
        self.0[subject as usize][mark as usize]
    }
}

/// Calls of one sort, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Calls {
    /// How many.
    pub(crate) count: u64,
    /// Half of them took at most so long, in microseconds.
    pub(crate) p50_us: u64,
    /// All but a hundredth of them did.
    pub(crate) p99_us: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        let zeros = || from_fn(|_| AtomicU64::new(0));
        Self { marks: from_fn(|_| from_fn(|_| AtomicU64::new(0))), calls: [zeros(), zeros()] }
    }

    pub(super) fn mark(&self, subject: Subject, mark: Mark, count: u64) {
        self.marks[subject as usize][mark as usize].fetch_add(count, Relaxed);
    }

    pub(super) fn call(&self, call: Call, took: Duration) {
        self.calls[call as usize][bucket_of(took)].fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let each = |counter: &AtomicU64| counter.load(Relaxed);
        Reading {
            marks: from_fn(|subject| from_fn(|mark| each(&self.marks[subject][mark]))),
            calls: from_fn(|call| from_fn(|bucket| each(&self.calls[call][bucket]))),
        }
    }
}

impl Reading {
    /// What happened since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            marks: from_fn(|s| from_fn(|m| self.marks[s][m].saturating_sub(earlier.marks[s][m]))),
            calls: from_fn(|c| from_fn(|b| self.calls[c][b].saturating_sub(earlier.calls[c][b]))),
        }
    }

    pub(super) const fn marks(&self) -> Marks {
        Marks(self.marks)
    }

    pub(super) fn calls(&self, call: Call) -> Calls {
        let buckets = &self.calls[call as usize];
        let count: u64 = buckets.iter().sum();
        let at = |share: u64| {
            let wanted = (count * share).div_ceil(100);
            let mut seen = 0;
            let reached = |&(_, found): &(usize, &u64)| {
                seen += found;
                seen >= wanted
            };
            buckets.iter().enumerate().find(reached).map_or(0, |(bucket, _)| upper_us(bucket))
        };
        if count == 0 { Calls::default() } else { Calls { count, p50_us: at(50), p99_us: at(99) } }
    }
}

fn bucket_of(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = us.ilog2();
    let quarter = if octave >= 2 { (us >> (octave - 2)) & 3 } else { (us << (2 - octave)) & 3 };
    usize::try_from(u64::from(octave) * 4 + quarter).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The longest time that falls into a bucket, in microseconds.
fn upper_us(bucket: usize) -> u64 {
    let (octave, quarter) = (bucket / 4, bucket as u64 % 4);
    ((5 + quarter) << octave).div_ceil(4).saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_that_ends_after_it() {
        for us in [1_u64, 2, 3, 5, 8, 9, 100, 999, 1_000, 12_345, 1_000_000, 60_000_000] {
            let bucket = bucket_of(Duration::from_micros(us));
            let upper = upper_us(bucket);
            assert!(us <= upper && upper <= us + us / 4, "{us} in {bucket}, which ends at {upper}");
        }
        assert_eq!(bucket_of(Duration::ZERO), bucket_of(Duration::from_micros(1)));
        assert_eq!(bucket_of(Duration::from_secs(100_000)), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_what_happened_between_two_readings() {
        let tally = Tally::new();
        (0..500).for_each(|_| tally.call(Call::Load, Duration::from_secs(1)));
        let before = tally.read();
        (0..98).for_each(|_| tally.call(Call::Load, Duration::from_micros(100)));
        (0..2).for_each(|_| tally.call(Call::Load, Duration::from_millis(50)));
        tally.mark(Subject::Payment, Mark::Created, 3);
        let between = tally.read().since(&before);
        let Calls { count, p50_us, p99_us } = between.calls(Call::Load);
        assert_eq!(count, 100);
        assert!((100..=125).contains(&p50_us) && (50_000..=62_500).contains(&p99_us), "{p50_us} {p99_us}");
        assert_eq!(between.marks().of(Subject::Payment, Mark::Created), 3);
        assert_eq!(between.calls(Call::Commit), Calls::default());
    }
}
