//! Samples over time in two rings of fixed size: the last hour every ten seconds, the last day every minute.

use super::tally::{Call, Calls, Mark, Marks, Reading, Subject};
use sessile::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// How often is sampled.
pub(crate) const FINE_EVERY: Duration = Duration::from_secs(10);
/// Fine samples in one coarse one.
const FINE_IN_COARSE: usize = 6;
/// An hour of them.
const FINE_MAX: usize = 360;
/// A day of them.
const COARSE_MAX: usize = 1440;

/// What happened in one stretch of time, up to `at`.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) at: Timestamp,
    marks: Marks,
    pub(crate) loads: Calls,
    pub(crate) commits: Calls,
}

impl Sample {
    fn new(at: Timestamp, happened: &Reading) -> Self {
        let (loads, commits) = (happened.calls(Call::Load), happened.calls(Call::Commit));
        Self { at, marks: happened.marks(), loads, commits }
    }

    pub(crate) const fn marked(&self, subject: Subject, mark: Mark) -> u64 {
        self.marks.of(subject, mark)
    }
}

/// How far back a chart looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Span {
    #[default]
    Hour,
    Day,
}

impl Span {
    pub(crate) const fn length(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(60 * 60),
            Self::Day => Duration::from_secs(24 * 60 * 60),
        }
    }

    /// Points on a chart.
    pub(crate) const fn points(self) -> u32 {
        match self {
            Self::Hour => 60,
            Self::Day => 96,
        }
    }
}

/// The rings.
#[derive(Debug)]
pub(super) struct Rings {
    fine: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
    fine_base: Reading,
    coarse_base: Reading,
    since_coarse: usize,
}

impl Rings {
    pub(super) fn new(base: Reading) -> Self {
        let coarse_base = base.clone();
        Self { fine: VecDeque::new(), coarse: VecDeque::new(), fine_base: base, coarse_base, since_coarse: 0 }
    }

    /// Takes in what the counters say now.
    pub(super) fn take(&mut self, at: Timestamp, reading: Reading) {
        push(&mut self.fine, Sample::new(at, &reading.since(&self.fine_base)), FINE_MAX);
        self.since_coarse += 1;
        if self.since_coarse == FINE_IN_COARSE {
            push(&mut self.coarse, Sample::new(at, &reading.since(&self.coarse_base)), COARSE_MAX);
            self.coarse_base = reading.clone();
            self.since_coarse = 0;
        }
        self.fine_base = reading;
    }

    /// The samples of a span, the oldest first.
    pub(super) fn samples(&self, span: Span, now: Timestamp) -> Vec<Sample> {
        let from = now.minus(span.length());
        let ring = match span {
            Span::Hour => &self.fine,
            Span::Day => &self.coarse,
        };
        ring.iter().filter(|sample| sample.at > from).cloned().collect()
    }
}

fn push(ring: &mut VecDeque<Sample>, sample: Sample, most: usize) {
    if ring.len() >= most {
        ring.pop_front();
    }
    ring.push_back(sample);
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn rings_are_bounded_and_a_minute_is_six_samples() {
        let tally = Tally::new();
        let mut rings = Rings::new(tally.read());
        let mut now = Timestamp::from_unix_ms(1_000_000_000);
        for _ in 0..FINE_IN_COARSE * COARSE_MAX + 60 {
            tally.mark(Subject::Login, Mark::Created, 2);
            now = now.plus(FINE_EVERY);
            rings.take(now, tally.read());
        }
        assert_eq!((rings.fine.len(), rings.coarse.len()), (FINE_MAX, COARSE_MAX));
        let created = |sample: &Sample| sample.marked(Subject::Login, Mark::Created);
        assert!(rings.fine.iter().all(|sample| created(sample) == 2));
        assert!(rings.coarse.iter().all(|sample| created(sample) == 12));
        assert_eq!(rings.samples(Span::Hour, now).len(), FINE_MAX);
        assert_eq!(rings.samples(Span::Day, now.plus(Span::Day.length())).len(), 0, "too old to be shown");
    }
}
