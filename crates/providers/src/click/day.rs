//! A day as CLICK counts it. Uzbekistan is at UTC+5 all the year round.

use chrono::{DateTime, Days, NaiveDate, TimeDelta};
use std::fmt;

/// Ahead of UTC.
const TASHKENT: TimeDelta = TimeDelta::hours(5);
/// Before the year 10000, so that a day has ten characters.
const SECONDS_MAX: i64 = 253_402_300_799 - 5 * 3600;

/// A day in Tashkent, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(NaiveDate);

impl Day {
    /// The day of a unix time in seconds.
    #[must_use]
    pub fn at(unix_s: i64) -> Self {
        let utc = DateTime::from_timestamp(unix_s.clamp(0, SECONDS_MAX), 0).unwrap_or_default();
        Self((utc + TASHKENT).date_naive())
    }

    /// The day after: a payment begun before midnight may have been created after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_days(Days::new(1)).unwrap_or(self.0))
    }
}

impl fmt::Display for Day {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m-%d").fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_tashkent() {
        // 2026-11-21 00:00:00 at UTC+5.
        let midnight = 1_795_201_200;
        assert_eq!(Day::at(midnight).to_string(), "2026-11-21");
        assert_eq!(Day::at(midnight - 1).to_string(), "2026-11-20");
        assert_eq!(Day::at(midnight - 1).next(), Day::at(midnight));
        assert_eq!(Day::at(i64::MIN).to_string(), "1970-01-01");
        assert_eq!(Day::at(i64::MAX).to_string(), "9999-12-31");
    }
}
