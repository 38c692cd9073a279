//! A user's sessions: the device list, and ending them from elsewhere.
//!
//! The index is a sorted set of ids, written before the session it names. It is a hint: each session found through
//! it is read, and says itself whose it is; entries that lead nowhere are removed on the way.

use super::engine::RedisEngine;
use super::look::{Mark, Seen};
use super::wire::{items, text};
use redis::Cmd;
use sessile_core::login::{
    Device, DeviceHandle, EndReason, LIST_MAX, ListedLogin, LoginData, LoginId, Revoked, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashSet;
use std::time::Duration;

/// Ids of one user that are looked at, those that end last first.
const INDEXED_MAX: usize = 10_000;
/// Sessions that are read at once.
const LOOK_MAX: usize = 500;
/// How often the index is read again while a user's sessions are ended: a request may be making another one.
const REVOKE_ROUNDS_MAX: usize = 32;
/// What a session without a lifetime of its own counts as (connect-redis's default).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(86_400);

/// The command that adds an id to its user's index.
pub(super) fn index(engine: &RedisEngine, user: &UserId, id: &LoginId, expires_at: Timestamp) -> Cmd {
    let mut cmd = redis::cmd("ZADD");
    cmd.arg(engine.names.user(user)).arg("GT").arg(expires_at.unix_ms()).arg(id.expose());
    cmd
}

/// The command that takes it out.
pub(super) fn forget(engine: &RedisEngine, user: &UserId, id: &LoginId) -> Cmd {
    let mut cmd = redis::cmd("ZREM");
    cmd.arg(engine.names.user(user)).arg(id.expose());
    cmd
}

/// A session that the index led to.
struct Theirs {
    id: LoginId,
    seen: Seen,
    data: LoginData,
}

/// What the index names, whatever has become of it.
async fn named(engine: &RedisEngine, user: &UserId) -> Result<Vec<LoginId>, StoreError> {
    let mut range = redis::cmd("ZRANGE");
    range.arg(engine.names.user(user)).arg(0).arg(INDEXED_MAX - 1).arg("REV");
    let members = items(engine.server().one(range).await?);
    Ok(members.into_iter().filter_map(text).filter_map(|sid| LoginId::parse(&sid)).collect())
}

/// Those of `ids` that are the user's live sessions, retired ones included. Mends the index.
async fn theirs(
    engine: &RedisEngine,
    user: &UserId,
    ids: &[LoginId],
    now: Timestamp,
) -> Result<Vec<Theirs>, StoreError> {
    let (mut theirs, mut astray) = (Vec::new(), Vec::new());
    for chunk in ids.chunks(LOOK_MAX) {
        for (id, seen) in chunk.iter().zip(engine.look(chunk).await?) {
            let data = seen.data();
            let is_theirs = data.as_ref().and_then(|data| data.user(&engine.user_key)).as_ref() == Some(user);
            match data {
                Some(data) if is_theirs && seen.is_live(now) => {
                    theirs.push(Theirs { id: id.clone(), seen, data })
                }
                _ if leads_nowhere(&seen, is_theirs, now) => astray.push(forget(engine, user, id)),
                _ => {}
            }
        }
    }
    engine.server().send(astray).await?;
    Ok(theirs)
}

/// Whether an entry can go. One whose session is not there may be just ahead of it, or the session has expired and
/// the sweep has yet to tell so: it stays.
fn leads_nowhere(seen: &Seen, is_theirs: bool, now: Timestamp) -> bool {
    match (seen.mark, &seen.json) {
        (Some(Mark::Ended | Mark::Expired), _) | (Some(Mark::Retires(_)), None) => true,
        (Some(Mark::Retires(at)), Some(_)) => at <= now,
        // An undecodable value may be mended by hand.
        (None, Some(json)) => !is_theirs && LoginData::parse(json).is_ok(),
        (None, None) => false,
    }
}

pub(super) async fn list(
    engine: &RedisEngine,
    user: &UserId,
    now: Timestamp,
) -> Result<Vec<ListedLogin>, StoreError> {
    let mut listed: Vec<ListedLogin> = theirs(engine, user, &named(engine, user).await?, now)
        .await?
        .into_iter()
        .filter(|theirs| theirs.seen.mark.is_none())
        .map(|theirs| listed(engine, &theirs, now))
        .collect();
    listed.sort_by_key(|login| std::cmp::Reverse(login.last_seen));
    listed.truncate(LIST_MAX);
    Ok(listed)
}

/// One row of the list. A session was last used about one lifetime before it ends.
fn listed(engine: &RedisEngine, Theirs { id, seen, data }: &Theirs, now: Timestamp) -> ListedLogin {
    let lifetime = data.cookie().and_then(|cookie| cookie.max_age).unwrap_or(DEFAULT_LIFETIME);
    let device = data.device();
    let created = device.as_ref().map_or(Timestamp::EPOCH, Device::created);
    ListedLogin {
        handle: engine.handle(id),
        expires_at: seen.expires_at,
        last_seen: seen.expires_at.minus(lifetime).min(now).max(created),
        device,
    }
}

pub(super) async fn revoke(
    engine: &RedisEngine,
    user: &UserId,
    handle: &DeviceHandle,
    now: Timestamp,
) -> Result<Revoked, StoreError> {
    let named = theirs(engine, user, &named(engine, user).await?, now)
        .await?
        .into_iter()
        .find(|theirs| engine.handle(&theirs.id) == *handle);
    let Some(Theirs { id, .. }) = named else {
        return Ok(Revoked::NoSuchSession);
    };
    let ended = engine.end(&[(id, Some(user.clone()))], EndReason::Revoked, now).await?;
    Ok(if ended == [true] { Revoked::Yes } else { Revoked::NoSuchSession })
}

/// Ends what the index names, until it names nothing that was not there the time before. A regeneration indexes the
/// new session, makes it, and only then retires the old one: whoever finds the old one retired finds the new one on
/// the next look, and one whose old session was ended first ends the new one itself.
pub(super) async fn revoke_all(
    engine: &RedisEngine,
    user: &UserId,
    except: Option<&LoginId>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let (mut count, mut known) = (0, HashSet::new());
    for _ in 0..REVOKE_ROUNDS_MAX {
        let ids = named(engine, user).await?;
        let doomed: Vec<(LoginId, Option<UserId>)> = theirs(engine, user, &ids, now)
            .await?
            .into_iter()
            .filter(|theirs| Some(&theirs.id) != except)
            .map(|theirs| (theirs.id, Some(user.clone())))
            .collect();
        for chunk in doomed.chunks(LOOK_MAX) {
            let ended = engine.end(chunk, EndReason::Revoked, now).await?;
            count += ended.into_iter().filter(|&was_live| was_live).count() as u64;
        }
        let fresh = ids.into_iter().filter(|id| known.insert(id.clone())).count();
        if doomed.is_empty() && fresh == 0 {
            break;
        }
    }
    Ok(count)
}
