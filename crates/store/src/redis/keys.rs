//! What our keys are called.
//!
//! `<prefix><sid>` is connect-redis's own key. Everything else begins with `sessile:`, so that Express, which scans
//! `<prefix>*`, never meets it. What belongs to one session (its mark, its events) carries a hash tag that puts it
//! into the session key's slot, so that one script may change all of it on Redis Cluster.

use crate::open::OpenError;
use sessile_core::login::{LoginId, UserId};
use sha2::{Digest, Sha256};

const OURS: &str = "sessile:";
const MARKS: &str = "sessile:mark:";

/// The keys of one session.
pub(super) struct Keys {
    pub(super) session: String,
    /// `e`: ended by hand; `r<unix ms>`: regenerated away, answers until then; `x`: expired, and told.
    pub(super) mark: String,
    pub(super) events: String,
}

/// The names under one prefix.
pub(super) struct Names {
    prefix: String,
    /// Tells stores with different prefixes on one server apart, without repeating the prefix's own braces.
    digest: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Result<Self, OpenError> {
        if OURS.starts_with(prefix) || prefix.starts_with(OURS) {
            let what =
                format!("the Redis key prefix {prefix:?} would cover keys of our own; choose one like sess:");
            return Err(OpenError::Unusable { what });
        }
        let digest = Sha256::digest(prefix.as_bytes());
        let digest = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { prefix: prefix.to_owned(), digest })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn keys(&self, id: &LoginId) -> Keys {
        let session = format!("{}{}", self.prefix, id.expose());
        let beside = beside(&session);
        Keys {
            mark: format!("{MARKS}{beside}"),
            events: format!("{}{beside}", self.events_prefix()),
            session,
        }
    }

    /// Whether a key of ours can share the slot of that session's key. Not so for a few ids with a stray `}`, which
    /// neither express-session nor we make; on Cluster they are treated as unknown.
    pub(super) fn shares_slot(&self, id: &LoginId) -> bool {
        tag(&format!("{}{}", self.prefix, id.expose())).is_some()
    }

    /// The sorted set of a user's session ids, by expiry. A hint: the session itself says whose it is.
    pub(super) fn user(&self, user: &UserId) -> String {
        format!("{}{user}", self.users_prefix())
    }

    /// The sorted set of ids with untaken events. A hint, too.
    pub(super) fn due(&self) -> String {
        format!("sessile:due:{}", self.digest)
    }

    pub(super) fn sessions_pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix.len() + 1);
        for c in self.prefix.chars() {
            if "*?[]\\^".contains(c) {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('*');
        pattern
    }

    pub(super) fn users_pattern(&self) -> String {
        format!("{}*", self.users_prefix())
    }

    pub(super) fn events_pattern(&self) -> String {
        format!("{}*", self.events_prefix())
    }

    pub(super) fn id_of_session(&self, key: &str) -> Option<LoginId> {
        LoginId::parse(key.strip_prefix(&self.prefix)?)
    }

    pub(super) fn user_of(&self, key: &str) -> Option<UserId> {
        UserId::parse(key.strip_prefix(&self.users_prefix())?)
    }

    pub(super) fn id_of_events(&self, key: &str) -> Option<LoginId> {
        self.id_of_beside(key.strip_prefix(&self.events_prefix())?)
    }

    /// The id whose mark lies under `key`; of another prefix's sessions, `None`.
    pub(super) fn id_of_mark(&self, key: &str) -> Option<LoginId> {
        self.id_of_beside(key.strip_prefix(MARKS)?)
    }

    fn id_of_beside(&self, beside: &str) -> Option<LoginId> {
        let (tag, rest) = beside.strip_prefix('{')?.split_once('}')?;
        self.id_of_session(if rest.is_empty() { tag } else { rest })
    }

    /// Marks of every prefix: their keys begin with the hash tag.
    pub(super) fn marks_pattern(&self) -> String {
        format!("{MARKS}*")
    }

    fn users_prefix(&self) -> String {
        format!("sessile:user:{}:", self.digest)
    }

    fn events_prefix(&self) -> String {
        format!("sessile:ev:{}:", self.digest)
    }
}

/// What follows our own prefix in a key that shares the slot of `key`. Different keys give different names.
fn beside(key: &str) -> String {
    match tag(key) {
        Some(tag) if tag.len() == key.len() => format!("{{{key}}}"),
        Some(tag) => format!("{{{tag}}}{key}"),
        None => format!("{{}}{key}"),
    }
}

/// The part of `key` that Redis hashes, when it can be written as a hash tag: the first `{…}` that is not empty, or
/// the whole key.
fn tag(key: &str) -> Option<&str> {
    let braced = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    match braced {
        Some(tag) if !tag.is_empty() => Some(tag),
        _ => (!key.contains('}')).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cluster_routing::Slot;

    fn names(prefix: &str) -> Names {
        Names::new(prefix).ok().unwrap()
    }

    #[test]
    fn everything_of_a_session_shares_its_slot_and_is_found_again() {
        for prefix in ["sess:", "app:{sess}:", "a[b]*:"] {
            for sid in ["eKeYlF1DR6AtVkeFZK9vEIHSZT8e0jqZ", "{a}x", "x{a}{b}", "a{b", "a{}b", "a}b", "}{"] {
                let (names, id) = (names(prefix), LoginId::parse(sid).unwrap());
                let keys = names.keys(&id);
                assert!(keys.session.starts_with(prefix) && !keys.mark.starts_with(prefix));
                if names.shares_slot(&id) {
                    let slot = Slot::for_key(&keys.session);
                    assert_eq!(Slot::for_key(&keys.mark), slot, "{prefix} {sid}");
                    assert_eq!(Slot::for_key(&keys.events), slot, "{prefix} {sid}");
                    assert_eq!(names.id_of_events(&keys.events), Some(id.clone()), "{prefix} {sid}");
                    assert_eq!(names.id_of_mark(&keys.mark), Some(id.clone()), "{prefix} {sid}");
                }
                assert_eq!(names.id_of_session(&keys.session), Some(id));
            }
        }
        assert!(!names("sess:").shares_slot(&LoginId::parse("a}b").unwrap()));
        assert!(names("sess:").shares_slot(&LoginId::parse("abc").unwrap()));
    }

    #[test]
    fn different_ids_have_different_keys() {
        let names = names("s:");
        let ids = ["a", "{a}a", "a{a}", "{a}", "a}", "{}a", "}a"].map(|sid| LoginId::parse(sid).unwrap());
        let marks: std::collections::HashSet<String> = ids.iter().map(|id| names.keys(id).mark).collect();
        assert_eq!(marks.len(), ids.len());
    }

    #[test]
    fn a_prefix_that_covers_our_keys_is_refused() {
        for bad in ["", "s", "sess", "sessile:", "sessile:x:"] {
            assert!(Names::new(bad).is_err(), "{bad:?}");
        }
        assert!(Names::new("sess:").is_ok());
    }
}
