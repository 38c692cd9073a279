//! One time type for every engine: unix milliseconds, UTC, whatever zone a database role or a machine lives in.
//!
//! Domain code takes a [`Timestamp`]; only the edges (the HTTP layer, the workers) hold a [`Clock`].

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The start of unix time.
    pub const EPOCH: Self = Self(0);
    /// Later than anything we will ever compare with (year 9999, the last one that ISO 8601 and browsers share).
    pub const FAR: Self = Self(253_402_300_799_000);

    /// From unix milliseconds.
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Unix milliseconds.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Unix seconds, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `span`, never beyond [`Timestamp::FAR`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms).min(Self::FAR.0))
    }

    /// This moment minus `span`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2026-11-21T04:48:46.123Z`, the form that JavaScript's `Date.prototype.toISOString` writes.
    #[must_use]
    pub fn to_iso8601(self) -> String {
        jiff::Timestamp::from_millisecond(self.0).map_or_else(|_| "invalid".to_owned(), |t| format!("{t:.3}"))
    }

    /// Reads any RFC 3339 moment; `None` when it is not one.
    #[must_use]
    pub fn from_iso8601(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso8601())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_iso8601())
    }
}

/// Where "now" comes from. Held at the edges only; rules take the [`Timestamp`].
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that moves only when a test moves it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let next = self.now().plus(span);
        self.0.store(next.0, Ordering::SeqCst);
    }

    /// Puts the clock at `now`, also backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_is_javascripts_own_form_and_reads_back() {
        let t = Timestamp::from_unix_ms(1_700_000_000_120);
        assert_eq!(t.to_iso8601(), "2023-11-14T22:13:20.120Z");
        assert_eq!(Timestamp::from_iso8601("2023-11-14T22:13:20.120Z"), Some(t));
        assert_eq!(Timestamp::from_iso8601("2023-11-14T17:13:20.120-05:00"), Some(t));
        assert_eq!(Timestamp::from_iso8601("tomorrow"), None);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::EPOCH.plus(Duration::MAX), Timestamp::FAR);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::FAR), Duration::ZERO);
    }
}
