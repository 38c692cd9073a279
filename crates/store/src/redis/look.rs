//! What is stored under ids, read a batch at a time.
//!
//! The expiry has to be read with the value, since a touch by Express changes nothing else. Measured on Redis 7.0,
//! 64 sessions of 260 bytes a batch, server time per session: one script that loops `GET`, `GET`, `PEXPIRETIME`
//! 1.9 µs; one script around one `MGET` 1.6 µs; one `MGET` and a `PEXPIRETIME` each, without a script, 0.9 µs. So
//! reads use no script. They are not one step either: the value comes first, and an expiry that is missing by then
//! means that the session has ended since.

use super::engine::RedisEngine;
use super::wire::{items, number, text};
use crate::group::{Found, Row};
use redis::{Cmd, Value};
use sessile_core::login::{LoginData, LoginId, UserId, Version};
use sessile_core::{StoreError, Timestamp};
use sha1::{Digest, Sha1};

/// What `PEXPIRETIME` says of a key that lives for ever.
const FOR_EVER: i64 = -1;
/// What it says when there is no key.
const NO_KEY: i64 = -2;

/// What a session's mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Ended by hand.
    Ended,
    /// Regenerated away; answers until then.
    Retires(Timestamp),
    /// Expired, and told.
    Expired,
}

/// One id, as it was found.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// `Some("")` for a value that is not text: it cannot be read, and is kept.
    pub(super) json: Option<String>,
    pub(super) mark: Option<Mark>,
    pub(super) expires_at: Timestamp,
}

impl Seen {
    const NOTHING: Self = Self { json: None, mark: None, expires_at: Timestamp::EPOCH };

    /// Whether it answers at `now`, retired or not.
    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        let marked = match self.mark {
            None => false,
            Some(Mark::Retires(at)) => at <= now,
            Some(Mark::Ended | Mark::Expired) => true,
        };
        self.json.is_some() && self.expires_at > now && !marked
    }

    /// The data, where it can be read.
    pub(super) fn data(&self) -> Option<LoginData> {
        LoginData::parse(self.json.as_deref()?).ok()
    }

    pub(super) fn user(&self, user_key: &str) -> Option<UserId> {
        self.data()?.user(user_key)
    }

    pub(super) fn into_found(self) -> Found {
        match (self.mark, self.json) {
            (Some(Mark::Ended), _) | (Some(Mark::Retires(_)), None) => Found::Ended,
            // Whatever is under a session that was told to have expired, a late writer left it.
            (Some(Mark::Expired), _) | (None, None) => Found::Nothing,
            (mark, Some(json)) => {
                let retires_at = match mark {
                    Some(Mark::Retires(at)) => Some(at),
                    _ => None,
                };
                let expires_at = retires_at.map_or(self.expires_at, |at| at.min(self.expires_at));
                Found::Row(Row { version: version(&json), json, expires_at, retires_at })
            }
        }
    }
}

/// The first 64 bits of the value's SHA-1, which the swap script computes as well. It changes with every write, also
/// one by Express, and not with a touch.
pub(super) fn version(json: &str) -> Version {
    let digest = Sha1::digest(json.as_bytes());
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    Version(u64::from_be_bytes(first))
}

/// Looks under each id, in order.
pub(super) async fn look(engine: &RedisEngine, ids: &[LoginId]) -> Result<Vec<Seen>, StoreError> {
    let mut seen: Vec<Seen> = ids.iter().map(|_| Seen::NOTHING).collect();
    let groups = engine.groups(ids.iter());
    let mut cmds = Vec::with_capacity(ids.len() + groups.len());
    for group in &groups {
        let mut values = redis::cmd("MGET");
        let mut expiries = Vec::with_capacity(group.len());
        for &at in group {
            let keys = engine.names.keys(&ids[at]);
            let mut expiry = redis::cmd("PEXPIRETIME");
            expiry.arg(&keys.session);
            expiries.push(expiry);
            values.arg(keys.session).arg(keys.mark);
        }
        cmds.push(values);
        cmds.append(&mut expiries);
    }
    let mut answers = engine.server().send(cmds).await?.into_iter();
    let mut doubtful = Vec::new();
    for group in &groups {
        let mut values = items(answers.next().unwrap_or_default()).into_iter();
        for (&at, expiry) in group.iter().zip(answers.by_ref().take(group.len())) {
            let (value, mark) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
            let expiry = number(&expiry).ok_or_else(|| engine.server().odd())?;
            if matches!(value, Value::Nil) && expiry != NO_KEY {
                doubtful.push(at);
            }
            seen[at] = assemble(value, mark, expiry);
        }
    }
    keep_what_is_no_text(engine, ids, &doubtful, &mut seen).await?;
    Ok(seen)
}

fn assemble(value: Value, mark: Value, expiry: i64) -> Seen {
    let json = match value {
        Value::Nil => None,
        _ if expiry == NO_KEY => None,
        value => Some(text(value).unwrap_or_default()),
    };
    let expires_at = if expiry == FOR_EVER { Timestamp::FAR } else { Timestamp::from_unix_ms(expiry) };
    Seen { json, mark: text(mark).as_deref().and_then(parse_mark), expires_at }
}

fn parse_mark(mark: &str) -> Option<Mark> {
    match mark.split_at_checked(1)? {
        ("e", _) => Some(Mark::Ended),
        ("x", _) => Some(Mark::Expired),
        ("r", at) => at.parse().ok().map(|at| Mark::Retires(Timestamp::from_unix_ms(at))),
        _ => None,
    }
}

/// `MGET` says nothing of a key that holds no string. Either that is so, or the session came into being just after.
async fn keep_what_is_no_text(
    engine: &RedisEngine,
    ids: &[LoginId],
    doubtful: &[usize],
    seen: &mut [Seen],
) -> Result<(), StoreError> {
    let ask = |&at: &usize| -> Cmd {
        let mut cmd = redis::cmd("TYPE");
        cmd.arg(engine.names.keys(&ids[at]).session);
        cmd
    };
    let kinds = engine.server().send(doubtful.iter().map(ask).collect()).await?;
    for (&at, kind) in doubtful.iter().zip(kinds) {
        if !matches!(text(kind).as_deref(), Some("string" | "none")) {
            seen[at].json = Some(String::new());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_what_sha1hex_says() {
        // sha1("abc") = a9993e364706816aba3e25717850c26c9cd0d89d
        assert_eq!(version("abc"), Version(0xa999_3e36_4706_816a));
    }

    #[test]
    fn a_mark_outweighs_whatever_a_late_writer_left() {
        let at = Timestamp::from_unix_ms;
        let seen =
            |mark, json: Option<&str>| Seen { json: json.map(str::to_owned), mark, expires_at: at(100) };
        let found = |mark, json| seen(mark, json).into_found();
        assert!(matches!(found(Some(Mark::Ended), Some("{}")), Found::Ended));
        assert!(matches!(found(Some(Mark::Expired), Some("{}")), Found::Nothing));
        assert!(matches!(found(Some(Mark::Retires(at(5))), None), Found::Ended));
        assert!(
            matches!(found(Some(Mark::Retires(at(5))), Some("{}")), Found::Row(row) if row.expires_at == at(5))
        );
        assert!(seen(Some(Mark::Retires(at(5))), Some("{}")).is_live(at(4)));
        assert!(!seen(Some(Mark::Retires(at(5))), Some("{}")).is_live(at(5)));
        assert!(
            !seen(Some(Mark::Ended), Some("{}")).is_live(at(4)) && !seen(None, Some("{}")).is_live(at(100))
        );
        assert_eq!(parse_mark("r123"), Some(Mark::Retires(at(123))));
        assert_eq!(parse_mark("?"), None);
    }
}
