//! Login sessions on their way from one engine to another.

use super::data::LoginData;
use super::id::LoginId;
use crate::portable::{Portable, canonical_json};
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

/// What an engine knows a session by: the id, or a hash from which no id comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoginName {
    /// The id itself.
    Plain(LoginId),
    /// [`LoginId::hashed`].
    Hashed(String),
}

/// Which of them an engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Ids.
    Plain,
    /// Hashes.
    Hashed,
}

impl LoginName {
    /// The hash, which every engine can know.
    #[must_use]
    pub fn hashed(&self) -> String {
        match self {
            Self::Plain(id) => id.hashed(),
            Self::Hashed(hash) => hash.clone(),
        }
    }

    /// What a log calls the session, whichever of the two is known.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Plain(id) => id.fingerprint().to_string(),
            Self::Hashed(hash) => {
                let digest = URL_SAFE_NO_PAD.decode(hash).unwrap_or_default();
                digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
            }
        }
    }

    /// What an engine that keeps `names` stores; `None` where that would need the id behind a hash.
    #[must_use]
    pub fn stored_as(&self, names: Names) -> Option<String> {
        match (self, names) {
            (Self::Plain(id), Names::Plain) => Some(id.expose().to_owned()),
            (Self::Hashed(_), Names::Plain) => None,
            (_, Names::Hashed) => Some(self.hashed()),
        }
    }

    /// What an engine that keeps `names` has stored; `None` when that is no name.
    #[must_use]
    pub fn of_stored(text: &str, names: Names) -> Option<Self> {
        let id = LoginId::parse(text)?;
        Some(match names {
            Names::Plain => Self::Plain(id),
            Names::Hashed => Self::Hashed(text.to_owned()),
        })
    }
}

/// A session that lives, with everything that an engine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortableSession {
    /// Its name.
    pub name: LoginName,
    /// Its data, as it is stored.
    pub json: String,
    /// When it ends, or retires if that is earlier.
    pub expires_at: Timestamp,
    /// Whether its id was regenerated away and answers only until then.
    pub retiring: bool,
}

impl PortableSession {
    /// Its data, where it can be read.
    #[must_use]
    pub fn data(&self) -> Option<LoginData> {
        LoginData::parse(&self.json).ok()
    }

    /// About when it was last used: a session is used about one lifetime before it ends.
    #[must_use]
    pub fn last_seen(&self, data: Option<&LoginData>, now: Timestamp) -> Timestamp {
        let lifetime = data.and_then(|data| data.max_age().flatten()).unwrap_or(USUAL_LIFETIME);
        self.expires_at.minus(lifetime).min(now)
    }
}

/// What a session without a lifetime of its own counts as.
const USUAL_LIFETIME: Duration = Duration::from_secs(86_400);

/// What moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortableLogin {
    /// A session that lives.
    Session(PortableSession),
    /// A name that has ended, so that nothing brings it back.
    Ended {
        /// Which.
        name: LoginName,
        /// Until when that is remembered.
        until: Timestamp,
    },
}

impl PortableLogin {
    /// What it is about.
    #[must_use]
    pub const fn name(&self) -> &LoginName {
        match self {
            Self::Session(session) => &session.name,
            Self::Ended { name, .. } => name,
        }
    }
}

impl Portable for PortableLogin {
    fn canonical(&self) -> Option<String> {
        let Self::Session(session) = self else { return None };
        let retiring = if session.retiring { "retiring" } else { "live" };
        let (name, ends) = (session.name.hashed(), session.expires_at.unix_ms());
        Some(format!("{name} {ends} {retiring} {}", canonical_json(&session.json)))
    }

    fn fingerprint(&self) -> String {
        format!("session {}", self.name().fingerprint())
    }

    fn ends_before(&self, at: Timestamp) -> bool {
        match self {
            Self::Session(session) => session.expires_at < at,
            Self::Ended { .. } => true,
        }
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ended { .. }, Self::Session(_)) => true,
            (Self::Session(a), Self::Session(b)) if a.retiring != b.retiring => a.retiring,
            (Self::Session(a), Self::Session(b)) => a.expires_at > b.expires_at,
            _ => false,
        }
    }
}

/// A stored value that is to be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Whose.
    pub name: LoginName,
    /// What is stored, to the letter.
    pub before: String,
    /// What is to be stored.
    pub after: String,
}

/// Changes values in place, for maintenance: expiry, user and device stay what they are.
#[async_trait]
pub trait AmendLogins: Send + Sync {
    /// Stores each `after` where `before` still is; says how many that were.
    async fn amend(&self, amendments: &[Amendment]) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(ends: i64, retiring: bool) -> PortableLogin {
        PortableLogin::Session(PortableSession {
            name: LoginName::Plain(LoginId::parse("a").unwrap()),
            json: r#"{"b":1, "a":2}"#.to_owned(),
            expires_at: Timestamp::from_unix_ms(ends),
            retiring,
        })
    }

    #[test]
    fn a_hash_and_its_id_are_the_same_row_and_an_id_never_comes_out_of_a_hash() {
        let PortableLogin::Session(plain) = session(5, false) else { panic!() };
        let hashed = LoginName::Hashed(plain.name.hashed());
        let same = PortableLogin::Session(PortableSession { name: hashed.clone(), ..plain.clone() });
        assert_eq!(same.canonical(), PortableLogin::Session(plain.clone()).canonical());
        assert_eq!(hashed.stored_as(Names::Plain), None);
        assert_eq!(hashed.stored_as(Names::Hashed), plain.name.stored_as(Names::Hashed));
        let id = LoginId::parse("a").unwrap();
        assert_eq!(same.fingerprint(), format!("session {}", id.fingerprint()));
    }

    #[test]
    fn an_end_outweighs_everything_and_a_later_expiry_an_earlier_one() {
        let name = session(1, false).name().clone();
        let ended = PortableLogin::Ended { name, until: Timestamp::FAR };
        assert!(ended.is_newer_than(&session(9, false)) && !session(9, false).is_newer_than(&ended));
        assert!(session(9, false).is_newer_than(&session(8, false)));
        assert!(session(1, true).is_newer_than(&session(8, false)));
        assert!(!session(9, false).is_newer_than(&session(1, true)));
        assert_eq!(ended.canonical(), None);
    }
}
