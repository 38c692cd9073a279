//! When a session ends, and when its stored expiry is worth a write.
//!
//! The stored expiry leads the promised one by one touch interval: a session written at `t0` with lifetime `M` and
//! interval `I` is stored until `t0 + M + I` and next written at `t0 + I` or later. So it never ends before `M`
//! after the last answer, no session is logged out early, and a busy one costs one write per interval.

use super::policy::LoginPolicy;
use crate::time::Timestamp;
use std::time::Duration;

/// The lifetime of one session under a policy.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime<'p> {
    /// The rules.
    pub policy: &'p LoginPolicy,
    /// The cookie's own lifetime; `None`: until the browser closes.
    pub max_age: Option<Duration>,
    /// When the session began.
    pub created: Timestamp,
}

impl Lifetime<'_> {
    /// The end that is promised to the visitor who is answered at `now`; what the cookie says.
    #[must_use]
    pub fn promised(&self, now: Timestamp) -> Timestamp {
        self.capped(now.plus(self.idle()))
    }

    /// The end to store with a write at `now`.
    #[must_use]
    pub fn stored(&self, now: Timestamp) -> Timestamp {
        let idle = self.idle();
        let lead = if idle.is_zero() { Duration::ZERO } else { self.policy.touch_interval };
        self.capped(now.plus(idle).plus(lead))
    }

    /// Whether `stored` no longer covers what is promised at `now`.
    #[must_use]
    pub fn touch_due(&self, stored: Timestamp, now: Timestamp) -> bool {
        stored < self.promised(now)
    }

    /// Whether the absolute timeout has passed, whatever a peer has written as expiry.
    #[must_use]
    pub fn over(&self, now: Timestamp) -> bool {
        self.policy.absolute.is_some_and(|span| self.created.plus(span) <= now)
    }

    fn idle(&self) -> Duration {
        self.max_age.unwrap_or(self.policy.ttl)
    }

    fn capped(&self, end: Timestamp) -> Timestamp {
        self.policy.absolute.map_or(end, |span| end.min(self.created.plus(span)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::CookiePolicy;
    use super::*;
    use proptest::prelude::*;

    fn policy(max_age: u64, interval: u64, absolute: Option<u64>) -> LoginPolicy {
        LoginPolicy {
            max_age: Some(Duration::from_secs(max_age)),
            touch_interval: Duration::from_secs(interval),
            absolute: absolute.map(Duration::from_secs),
            ..LoginPolicy::new(CookiePolicy::plain_http())
        }
    }

    proptest! {
        /// However requests are spaced, nobody is logged out before the promise made with the last answer ends,
        /// and the store is written at most once per interval.
        #[test]
        fn nobody_is_logged_out_early(
            max_age in 1_u64..1000, interval in 0_u64..100, gaps in prop::collection::vec(1_u64..200, 1..50),
        ) {
            let policy = policy(max_age, interval, None);
            let mut now = Timestamp::from_unix_ms(1_000_000);
            let life = Lifetime { policy: &policy, max_age: policy.max_age, created: now };
            let (mut stored, mut promise, mut written) = (life.stored(now), life.promised(now), now);
            for gap in gaps {
                now = now.plus(Duration::from_secs(gap));
                prop_assert!(stored >= promise);
                if now >= stored { break; }
                if life.touch_due(stored, now) {
                    prop_assert!(now.since(written) >= Duration::from_secs(interval));
                    (stored, written) = (life.stored(now), now);
                }
                promise = life.promised(now);
            }
        }

        #[test]
        fn the_absolute_timeout_caps_everything(at in 0_u64..100, absolute in 1_u64..100) {
            let policy = policy(1000, 60, Some(absolute));
            let created = Timestamp::EPOCH;
            let now = created.plus(Duration::from_secs(at));
            let life = Lifetime { policy: &policy, max_age: policy.max_age, created };
            let end = created.plus(Duration::from_secs(absolute));
            prop_assert!(life.stored(now) <= end && life.promised(now) <= end);
            prop_assert_eq!(life.over(now), now >= end);
            prop_assert!(!life.touch_due(end, now));
        }
    }

    #[test]
    fn a_row_that_express_touched_is_due_at_once_and_a_fresh_one_of_ours_is_not() {
        let policy = policy(100, 60, None);
        let now = Timestamp::from_unix_ms(5_000);
        let life = Lifetime { policy: &policy, max_age: policy.max_age, created: now };
        let later = now.plus(Duration::from_secs(59));
        assert!(life.touch_due(now.plus(Duration::from_secs(100)), later));
        assert!(!life.touch_due(life.stored(now), later));
        assert!(life.touch_due(life.stored(now), now.plus(Duration::from_secs(61))));
    }
}
