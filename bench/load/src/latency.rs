//! Latencies in logarithmic buckets: 32 to a doubling, so a percentile is off by 3 % at most.
//!
//! Filled once per answer by the drive loop. Small enough to stay in the cache; it must never allocate while counting.

use std::time::Duration;

const SUB_BITS: u32 = 5;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
/// Enough for 2^40 ns, about 18 minutes; longer ones fall into the last bucket.
const BUCKETS: usize = 36 * 32;

/// A histogram of nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies {
    counts: Vec<u32>,
    total: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that `per_mille` of the answers did not exceed.
    pub(crate) fn percentile(&self, per_mille: u64) -> Duration {
        let rank = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Duration::from_nanos(upper_bound(index));
            }
        }
        Duration::ZERO
    }
}

/// Values below 32 have a bucket each; above, the top five bits after the leading one choose it.
fn bucket(value: u64) -> usize {
    let index = if value < SUB_BUCKETS {
        value
    } else {
        let shift = value.ilog2() - SUB_BITS;
        u64::from(shift) * SUB_BUCKETS + (value >> shift)
    };
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    if index < SUB_BUCKETS * 2 {
        return index;
    }
    let shift = index / SUB_BUCKETS - 1;
    ((SUB_BUCKETS + index % SUB_BUCKETS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_its_bucket() {
        for value in (0..2_000_000u64).step_by(37).chain([0, 31, 32, 63, 64, 1 << 39]) {
            let index = bucket(value);
            assert!(upper_bound(index) >= value, "{value} above its bucket {index}");
            assert!(index == 0 || upper_bound(index - 1) < value, "{value} fits the bucket before {index}");
        }
    }

    #[test]
    fn percentiles_are_within_three_percent() {
        let mut latencies = Latencies::new();
        for microseconds in 1..=1000 {
            latencies.record(Duration::from_micros(microseconds));
        }
        let median = latencies.percentile(500).as_secs_f64() * 1e6;
        let tail = latencies.percentile(990).as_secs_f64() * 1e6;
        assert!((500.0..515.1).contains(&median), "{median}");
        assert!((990.0..1020.0).contains(&tail), "{tail}");
    }
}
