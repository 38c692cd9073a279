//! Mending, one bounded step at a time. Redis removes expired keys on its own; a sweep goes round all masters and
//! - removes what has expired by our clock, and what a late writer left under an ended id,
//! - indexes sessions under their users, also those that Express wrote,
//! - tells of indexed sessions that Redis has removed, once, and takes them out of the index,
//! - finds events whose note was lost.
//!
//! Sessions without a user that Redis removes on its own leave no trace: of those no `expired` is told.

use super::engine::{Item, REMEMBER, RedisEngine, Takes, moment};
use super::look::{Mark, Seen};
use super::outbox::{self, Told};
use super::people;
use super::server::Node;
use super::wire::{items, text};
use sessile_core::login::{LoginCount, LoginEventKind, LoginId, Swept, UserId};
use sessile_core::{StoreError, Timestamp};

/// Keys that one step asks for, at least and at most.
const SCAN_MIN: usize = 100;
const SCAN_MAX: usize = 1000;
/// Due entries of one user that one step looks at.
const DUE_OF_ONE_MAX: usize = 100;

/// Sessions that a count looks at.
const COUNT_LOOKS_MAX: usize = 20_000;

/// What a scan is looking for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Sessions,
    Users,
    Events,
}

/// Where the way round has got to; fresh when `left` is empty.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// What is still to be scanned, the present one last.
    left: Vec<(Node, Phase)>,
    cursor: u64,
}

/// What one step did: sessions removed, and whether it could not do all that it found.
struct Step {
    removed: usize,
    full: bool,
}

pub(super) async fn sweep(engine: &RedisEngine, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
    let mut round = engine.round.lock().await;
    if round.left.is_empty() {
        let phases = [Phase::Events, Phase::Users, Phase::Sessions];
        let nodes = engine.server().nodes().await?;
        round.left =
            phases.into_iter().flat_map(|phase| nodes.iter().map(move |node| (*node, phase))).collect();
        round.cursor = 0;
    }
    let Some(&(node, phase)) = round.left.last() else {
        return Ok(Swept::default());
    };
    let pattern = match phase {
        Phase::Sessions => engine.names.sessions_pattern(),
        Phase::Users => engine.names.users_pattern(),
        Phase::Events => engine.names.events_pattern(),
    };
    let count = batch.clamp(SCAN_MIN, SCAN_MAX);
    let (next, keys) = engine.server().scan(node, round.cursor, &pattern, count).await?;
    let step = match phase {
        Phase::Sessions => sessions(engine, &keys, now, batch).await?,
        Phase::Users => users(engine, &keys, now, batch).await?,
        Phase::Events => events(engine, &keys).await?,
    };
    // A step that found more than it may remove is taken again from the same place.
    if !step.full {
        round.cursor = next;
        if next == 0 {
            round.left.pop();
        }
    }
    Ok(Swept { removed: step.removed as u64, more: !round.left.is_empty() })
}

/// A session that looks over, with the user to be told.
struct Over {
    id: LoginId,
    user: Option<UserId>,
}

async fn sessions(
    engine: &RedisEngine,
    keys: &[String],
    now: Timestamp,
    batch: usize,
) -> Result<Step, StoreError> {
    let ids: Vec<LoginId> = keys.iter().filter_map(|key| engine.names.id_of_session(key)).collect();
    let (mut over, mut index) = (Vec::new(), Vec::new());
    let found = engine.look(&ids).await?;
    for (id, seen) in ids.into_iter().zip(found) {
        let user = seen.user(&engine.user_key);
        if seen.json.is_some() && !seen.is_live(now) {
            over.push(Over { id, user });
        } else if let (true, Some(user)) = (seen.mark.is_none(), user) {
            index.push(people::index(engine, &user, &id, seen.expires_at));
        }
    }
    engine.server().send(index).await?;
    let full = over.len() > batch;
    over.truncate(batch);
    let removed = expire(engine, &over, now).await?;
    Ok(Step { removed: removed.into_iter().filter(|&answer| answer == REMOVED).count(), full })
}

/// The script's answer for a session that it removed.
const REMOVED: i64 = 1;
/// Its answer for one that lives.
const LIVES: i64 = 0;

async fn expire(engine: &RedisEngine, over: &[Over], now: Timestamp) -> Result<Vec<i64>, StoreError> {
    if over.is_empty() {
        return Ok(Vec::new());
    }
    let item = |over: &Over| {
        let kind = LoginEventKind::Expired;
        [outbox::entry(engine, &Told { kind, id: &over.id, user: over.user.as_ref(), at: now })]
    };
    let items: Vec<Item<'_, 1>> = over.iter().map(|over| Item { id: &over.id, args: item(over) }).collect();
    let common = [moment(now), REMEMBER.as_millis().to_string()];
    let after = outbox::due(engine, over.iter().map(|over| &over.id));
    engine.run(&engine.scripts.expire, Takes::Three, &common, &items, (Vec::new(), after)).await
}

/// Entries whose expiry is past: the session was prolonged since, or it is over.
async fn users(
    engine: &RedisEngine,
    keys: &[String],
    now: Timestamp,
    batch: usize,
) -> Result<Step, StoreError> {
    let users: Vec<UserId> = keys.iter().filter_map(|key| engine.names.user_of(key)).collect();
    let due = |user: &UserId| {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(engine.names.user(user)).arg("-inf").arg(now.unix_ms()).arg("BYSCORE");
        cmd.arg("LIMIT").arg(0).arg(DUE_OF_ONE_MAX);
        cmd
    };
    let lists = engine.server().send(users.iter().map(due).collect()).await?;
    let mut entries: Vec<(UserId, LoginId)> = Vec::new();
    for (user, list) in users.into_iter().zip(lists) {
        let ids = items(list).into_iter().filter_map(text).filter_map(|sid| LoginId::parse(&sid));
        entries.extend(ids.map(|id| (user.clone(), id)));
    }
    let full = entries.len() > batch;
    entries.truncate(batch);
    let ids: Vec<LoginId> = entries.iter().map(|(_, id)| id.clone()).collect();
    let seen = engine.look(&ids).await?;
    let (mut over, mut mend) = (Vec::new(), Vec::new());
    for ((user, id), seen) in entries.into_iter().zip(seen) {
        match standing(engine, &user, &id, &seen, now) {
            Standing::Theirs => mend.push(people::index(engine, &user, &id, seen.expires_at)),
            Standing::Astray => mend.push(people::forget(engine, &user, &id)),
            Standing::Over => over.push(Over { id, user: Some(user) }),
        }
    }
    let answers = expire(engine, &over, now).await?;
    let gone = over.iter().zip(&answers).filter(|(_, answer)| **answer != LIVES);
    mend.extend(gone.filter_map(|(over, _)| Some(people::forget(engine, over.user.as_ref()?, &over.id))));
    engine.server().send(mend).await?;
    Ok(Step { removed: answers.into_iter().filter(|&answer| answer == REMOVED).count(), full })
}

/// How an entry of the index stands.
enum Standing {
    Theirs,
    Astray,
    Over,
}

fn standing(engine: &RedisEngine, user: &UserId, id: &LoginId, seen: &Seen, now: Timestamp) -> Standing {
    let owner = seen.user(&engine.user_key);
    match seen.mark {
        _ if !engine.can_place(id) => Standing::Astray,
        Some(Mark::Ended | Mark::Expired) => Standing::Astray,
        _ if !seen.is_live(now) => Standing::Over,
        _ if owner.as_ref() == Some(user) => Standing::Theirs,
        _ => Standing::Astray,
    }
}

/// Counts by looking at every session, up to a bound: Redis has no index of them.
pub(super) async fn count(engine: &RedisEngine, now: Timestamp) -> Result<LoginCount, StoreError> {
    let pattern = engine.names.sessions_pattern();
    let (mut live, mut looks) = (0, 0);
    for node in engine.server().nodes().await? {
        let mut cursor = 0;
        loop {
            let (next, keys) = engine.server().scan(node, cursor, &pattern, SCAN_MAX).await?;
            looks += keys.len();
            let ids: Vec<LoginId> = keys.iter().filter_map(|key| engine.names.id_of_session(key)).collect();
            let found = engine.look(&ids).await?;
            live += found.iter().filter(|seen| seen.mark.is_none() && seen.is_live(now)).count() as u64;
            cursor = next;
            if looks >= COUNT_LOOKS_MAX {
                return Ok(LoginCount { live, more: true });
            }
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(LoginCount { live, more: false })
}

async fn events(engine: &RedisEngine, keys: &[String]) -> Result<Step, StoreError> {
    let ids: Vec<LoginId> = keys.iter().filter_map(|key| engine.names.id_of_events(key)).collect();
    engine.server().send(outbox::due(engine, ids.iter())).await?;
    Ok(Step { removed: 0, full: false })
}
