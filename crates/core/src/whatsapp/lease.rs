//! How long an owner may act as one: renewed every ten seconds, given up ten seconds before it could end.
//!
//! Measured by this process's monotonic clock from the moment *before* the call that granted it, so that it ends here
//! before it ends at the engine, however long the answer took and whatever the time of day does.

use super::store::LEASE_TTL;
use std::time::Duration;

/// How long after a renewal the next one is due.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// How long before its end a lease that could not be renewed is given up.
pub const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// When a lease was granted last, by the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    asked_at: Duration,
}

/// What an owner does about its lease at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStanding {
    /// Nothing, for this long.
    Held(Duration),
    /// Renew it; it holds for this long yet.
    Due(Duration),
    /// Disconnect, send nothing more, and acquire the device anew.
    GivenUp,
}

impl Lease {
    /// Granted by a call that was sent at `asked_at`.
    #[must_use]
    pub const fn granted(asked_at: Duration) -> Self {
        Self { asked_at }
    }

    /// The later one of two grants, whichever answer came first.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        Self { asked_at: self.asked_at.max(other.asked_at) }
    }

    /// How it stands.
    #[must_use]
    pub fn at(self, now: Duration) -> LeaseStanding {
        let age = now.saturating_sub(self.asked_at);
        let left = (LEASE_TTL - LEASE_MARGIN).saturating_sub(age);
        if left.is_zero() {
            LeaseStanding::GivenUp
        } else if age >= LEASE_RENEWAL {
            LeaseStanding::Due(left)
        } else {
            LeaseStanding::Held(LEASE_RENEWAL - age)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_at_ten_seconds_and_given_up_at_twenty() {
        let seconds = Duration::from_secs;
        let lease = Lease::granted(seconds(100));
        assert_eq!(lease.at(seconds(100)), LeaseStanding::Held(seconds(10)));
        assert_eq!(lease.at(Duration::from_millis(109_999)), LeaseStanding::Held(Duration::from_millis(1)));
        assert_eq!(lease.at(seconds(110)), LeaseStanding::Due(seconds(10)));
        assert_eq!(lease.at(Duration::from_millis(119_999)), LeaseStanding::Due(Duration::from_millis(1)));
        assert_eq!(lease.at(seconds(120)), LeaseStanding::GivenUp);
        assert_eq!(lease.at(seconds(140)), LeaseStanding::GivenUp, "paused for 40 seconds");
        assert_eq!(lease.or_later(Lease::granted(seconds(90))), lease);
        assert_eq!(
            lease.or_later(Lease::granted(seconds(105))).at(seconds(114)),
            LeaseStanding::Held(seconds(1))
        );
    }
}
