//! What must survive between sending the browser away and its return. Kept in the login session, used once.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long somebody may take on the provider's pages. Older than this, the sign-in must be started again.
pub const PENDING_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A sign-in under way: state, nonce and PKCE verifier.
///
/// Serialize it into the login session before redirecting, and take it out (it is good for one callback) before
/// [`finish`](super::SignIn::finish).
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingSignIn {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) pkce_verifier: String,
    pub(crate) started_at_ms: i64,
}

impl PendingSignIn {
    /// Whether the callback's `state` is ours, compared in constant time. An empty one never is.
    #[must_use]
    pub fn state_matches(&self, state: &str) -> bool {
        !self.state.is_empty() && bool::from(self.state.as_bytes().ct_eq(state.as_bytes()))
    }

    /// Unix milliseconds at which it began.
    #[must_use]
    pub fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    /// Whether it is older than [`PENDING_LIFETIME`].
    #[must_use]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        let lifetime_ms = i64::try_from(PENDING_LIFETIME.as_millis()).unwrap_or(i64::MAX);
        now_ms.saturating_sub(self.started_at_ms) >= lifetime_ms
    }
}

impl fmt::Debug for PendingSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSignIn").field("started_at_ms", &self.started_at_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> PendingSignIn {
        PendingSignIn {
            state: "the-state".into(),
            nonce: "the-nonce".into(),
            pkce_verifier: "the-verifier".into(),
            started_at_ms: 1000,
        }
    }

    #[test]
    fn only_the_same_state_matches() {
        assert!(pending().state_matches("the-state"));
        for other in ["", "the-stat", "the-state ", "THE-STATE"] {
            assert!(!pending().state_matches(other), "{other:?}");
        }
        let empty = PendingSignIn { state: String::new(), ..pending() };
        assert!(!empty.state_matches(""));
    }

    #[test]
    fn it_survives_json_and_shows_nothing_in_debug() {
        let json = serde_json::to_string(&pending()).unwrap();
        let back: PendingSignIn = serde_json::from_str(&json).unwrap();
        assert!(back.state_matches("the-state"));
        assert_eq!(back.pkce_verifier, "the-verifier");
        let shown = format!("{back:?}");
        assert!(!shown.contains("the-"), "{shown}");
    }

    #[test]
    fn it_expires_to_the_millisecond() {
        assert!(!pending().is_expired(1000 + 15 * 60_000 - 1));
        assert!(pending().is_expired(1000 + 15 * 60_000));
    }
}
