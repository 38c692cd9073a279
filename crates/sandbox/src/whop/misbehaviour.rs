//! What the stand-in can do wrong on request, so that a caller's error handling is tested against a real socket.
//!
//! A switch is good for a number of requests and then wears off. Sending a list replaces what was active.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most requests one switch is good for.
pub const TIMES_MAX: u32 = 1000;
/// The most switches in one list.
pub(crate) const SWITCHES_MAX: usize = 64;

/// One way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// The ID token carries another nonce.
    WrongNonce,
    /// The ID token is signed with a key nobody published, under the published key id.
    BadSignature,
    /// The ID token names a key id that is not in the JWKS.
    UnknownKey,
    /// The ID token expired an hour ago.
    ExpiredIdToken,
    /// The ID token is for another client.
    WrongAudience,
    /// The ID token is from another issuer.
    WrongIssuer,
    /// The ID token's `at_hash` belongs to another access token.
    WrongAccessTokenHash,
    /// The token answer has no ID token.
    MissingIdToken,
    /// The token endpoint answers 500 and does nothing.
    #[serde(rename = "token_500")]
    Token500,
    /// The token endpoint answers 429 with `Retry-After`.
    #[serde(rename = "token_429")]
    Token429,
    /// The token endpoint does not answer in time.
    TokenTimeout,
    /// The token endpoint does its work and the answer is lost on the way.
    DropTokenReply,
    /// The token endpoint answers 200 with something that is not JSON.
    TokenGarbage,
    /// Userinfo answers 500.
    #[serde(rename = "userinfo_500")]
    Userinfo500,
    /// Userinfo answers 429 with `Retry-After`.
    #[serde(rename = "userinfo_429")]
    Userinfo429,
    /// Userinfo describes somebody else.
    UserinfoOtherSub,
    /// Userinfo answers with a body far above any sensible size.
    UserinfoHuge,
    /// Userinfo has no email.
    MissingEmail,
    /// The JWKS answers 500.
    #[serde(rename = "jwks_500")]
    Jwks500,
    /// Discovery answers 500.
    #[serde(rename = "discovery_500")]
    Discovery500,
}

impl Misbehaviour {
    /// Every kind, in the order the page shows them.
    pub const ALL: [Self; 20] = [
        Self::WrongNonce,
        Self::BadSignature,
        Self::UnknownKey,
        Self::ExpiredIdToken,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::WrongAccessTokenHash,
        Self::MissingIdToken,
        Self::Token500,
        Self::Token429,
        Self::TokenTimeout,
        Self::DropTokenReply,
        Self::TokenGarbage,
        Self::Userinfo500,
        Self::Userinfo429,
        Self::UserinfoOtherSub,
        Self::UserinfoHuge,
        Self::MissingEmail,
        Self::Jwks500,
        Self::Discovery500,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongNonce => "wrong_nonce",
            Self::BadSignature => "bad_signature",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredIdToken => "expired_id_token",
            Self::WrongAudience => "wrong_audience",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAccessTokenHash => "wrong_access_token_hash",
            Self::MissingIdToken => "missing_id_token",
            Self::Token500 => "token_500",
            Self::Token429 => "token_429",
            Self::TokenTimeout => "token_timeout",
            Self::DropTokenReply => "drop_token_reply",
            Self::TokenGarbage => "token_garbage",
            Self::Userinfo500 => "userinfo_500",
            Self::Userinfo429 => "userinfo_429",
            Self::UserinfoOtherSub => "userinfo_other_sub",
            Self::UserinfoHuge => "userinfo_huge",
            Self::MissingEmail => "missing_email",
            Self::Jwks500 => "jwks_500",
            Self::Discovery500 => "discovery_500",
        }
    }
}

/// One entry of the list: a bare name is good for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Switch {
    /// `"token_500"`
    Once(Misbehaviour),
    /// `{"kind": "token_500", "times": 3}`
    Times {
        /// What to do wrong.
        kind: Misbehaviour,
        /// For how many requests; 0 is off.
        times: u32,
    },
}

/// What is switched on, and for how many more requests.
#[derive(Debug, Default)]
pub(crate) struct Active(BTreeMap<Misbehaviour, u32>);

impl Active {
    /// Replaces everything. Refuses lists and counts above the limits.
    pub(crate) fn replace(&mut self, switches: &[Switch]) -> Result<(), String> {
        if switches.len() > SWITCHES_MAX {
            return Err(format!("at most {SWITCHES_MAX} switches in one list"));
        }
        let mut wanted = BTreeMap::new();
        for switch in switches {
            let (kind, times) = match *switch {
                Switch::Once(kind) => (kind, 1),
                Switch::Times { kind, times } => (kind, times),
            };
            if times > TIMES_MAX {
                return Err(format!("`{}`: at most {TIMES_MAX} times", kind.name()));
            }
            if times > 0 {
                wanted.insert(kind, times);
            }
        }
        self.0 = wanted;
        Ok(())
    }

    /// Whether this request must misbehave so; uses the switch up by one.
    pub(crate) fn take(&mut self, kind: Misbehaviour) -> bool {
        let Some(left) = self.0.get_mut(&kind) else {
            return false;
        };
        *left -= 1;
        if *left == 0 {
            self.0.remove(&kind);
        }
        true
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<Misbehaviour, u32> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_serde_reads_and_all_lists_every_kind_once() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in Misbehaviour::ALL {
            let wire = serde_json::to_string(&kind).unwrap();
            assert_eq!(wire, format!("\"{}\"", kind.name()));
            assert!(seen.insert(kind), "{wire} is listed twice");
        }
    }

    #[test]
    fn a_switch_wears_off_and_a_new_list_replaces_the_old_one() {
        let mut active = Active::default();
        let list: Vec<Switch> =
            serde_json::from_str(r#"["wrong_nonce", {"kind": "token_500", "times": 2}]"#).unwrap();
        active.replace(&list).unwrap();
        assert!(active.take(Misbehaviour::WrongNonce));
        assert!(!active.take(Misbehaviour::WrongNonce));
        assert!(active.take(Misbehaviour::Token500));
        active.replace(&[]).unwrap();
        assert!(!active.take(Misbehaviour::Token500));
    }

    #[test]
    fn lists_and_counts_have_limits() {
        let mut active = Active::default();
        assert!(active.replace(&[Switch::Once(Misbehaviour::Token500); SWITCHES_MAX + 1]).is_err());
        let too_often = Switch::Times { kind: Misbehaviour::Token500, times: TIMES_MAX + 1 };
        assert!(active.replace(&[too_often]).is_err());
    }
}
