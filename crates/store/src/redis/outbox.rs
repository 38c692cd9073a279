//! Events, kept until somebody has taken them.
//!
//! Each is an entry of a list in its session's own slot, pushed by the very script that makes the change. Which
//! sessions have entries is noted in one sorted set, just after; a note that a crash has lost is found by the sweep.

use super::engine::RedisEngine;
use super::wire::{items, number, scored, text};
use crate::options::Choice;
use redis::Cmd;
use sessile_core::login::{DeviceHandle, EVENTS_MAX, LoginEvent, LoginEventKind, LoginId, UserId};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;

/// Digits of microseconds that begin each entry.
const DIGITS: usize = 16;
/// Untaken events of one session that one read shows at most.
const EVENTS_OF_ONE_MAX: usize = 100;
/// Pages of noted sessions that settling looks through for the events that it was given.
const SETTLE_PAGES_MAX: usize = 100;

/// What is to be told.
pub(super) struct Told<'a> {
    pub(super) kind: LoginEventKind,
    pub(super) id: &'a LoginId,
    pub(super) user: Option<&'a UserId>,
    pub(super) at: Timestamp,
}

/// The entry as a script takes it: nothing when events are off.
pub(super) fn entry(engine: &RedisEngine, told: &Told<'_>) -> String {
    if engine.events == Choice::No {
        return String::new();
    }
    serde_json::json!({
        "kind": told.kind.name(),
        "handle": engine.handle(told.id).as_str(),
        "user": told.user.map(UserId::as_str),
        "at": told.at.unix_ms(),
    })
    .to_string()
}

/// The command that notes the sessions that may have entries now.
pub(super) fn due<'a>(engine: &RedisEngine, ids: impl Iterator<Item = &'a LoginId>) -> Vec<Cmd> {
    if engine.events == Choice::No {
        return Vec::new();
    }
    let ids: Vec<&str> = ids.map(LoginId::expose).collect();
    if ids.is_empty() { Vec::new() } else { vec![engine.scripts.due.call(&[&engine.names.due()], &ids)] }
}

/// The noted sessions of one page, with the score that a note has.
async fn noted(engine: &RedisEngine, page: usize) -> Result<Vec<(LoginId, i64)>, StoreError> {
    let from = page * EVENTS_MAX;
    let mut range = redis::cmd("ZRANGE");
    range.arg(engine.names.due()).arg(from).arg(from + EVENTS_MAX - 1).arg("WITHSCORES");
    let members = scored(engine.server().one(range).await?);
    Ok(members.into_iter().filter_map(|(sid, score)| Some((LoginId::parse(&sid)?, score))).collect())
}

/// Takes notes back, unless an event came in since they were read.
async fn forget(engine: &RedisEngine, notes: &[(LoginId, i64)]) -> Result<(), StoreError> {
    if notes.is_empty() {
        return Ok(());
    }
    let scores: Vec<String> = notes.iter().map(|(_, score)| score.to_string()).collect();
    let args: Vec<&str> =
        notes.iter().zip(&scores).flat_map(|((id, _), score)| [id.expose(), score.as_str()]).collect();
    let cmd = engine.scripts.undue.call(&[&engine.names.due()], &args);
    engine.server().one(cmd).await.map(drop)
}

/// The oldest events. Among more than [`EVENTS_MAX`] sessions with untaken events the order is approximate.
pub(super) async fn events(engine: &RedisEngine, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
    let notes = noted(engine, 0).await?;
    let read = |(id, _): &(LoginId, i64)| {
        let mut cmd = redis::cmd("LRANGE");
        cmd.arg(engine.names.keys(id).events).arg(0).arg(EVENTS_OF_ONE_MAX - 1);
        cmd
    };
    let lists = engine.server().send(notes.iter().map(read).collect()).await?;
    let (mut events, mut empty) = (Vec::new(), Vec::new());
    for (note, list) in notes.into_iter().zip(lists) {
        let entries = items(list);
        if entries.is_empty() {
            empty.push(note);
        }
        events.extend(entries.into_iter().filter_map(text).filter_map(|entry| parse(&entry)));
    }
    forget(engine, &empty).await?;
    events.sort_by(|a: &LoginEvent, b| a.id.cmp(&b.id));
    events.truncate(limit.min(EVENTS_MAX));
    Ok(events)
}

fn parse(entry: &str) -> Option<LoginEvent> {
    let (digits, json) = entry.split_at_checked(DIGITS)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let handle = DeviceHandle::parse(value["handle"].as_str()?)?;
    Some(LoginEvent {
        id: format!("{digits}-{handle}"),
        kind: LoginEventKind::parse(value["kind"].as_str()?)?,
        handle,
        user: value["user"].as_str().and_then(UserId::parse),
        at: Timestamp::from_unix_ms(value["at"].as_i64()?),
    })
}

/// Removes exactly the entries that were taken. An event names its session by handle only, so the noted sessions are
/// gone through; the oldest, which are taken first, come first.
pub(super) async fn settle(engine: &RedisEngine, events: &[LoginEvent]) -> Result<(), StoreError> {
    let mut taken: HashMap<&DeviceHandle, Vec<&str>> = HashMap::new();
    for event in events {
        if let Some(digits) = event.id.get(..DIGITS) {
            taken.entry(&event.handle).or_default().push(digits);
        }
    }
    // Notes are taken back at the end only: the pages must not shift meanwhile.
    let mut done = Vec::new();
    for page in 0..SETTLE_PAGES_MAX {
        let notes = noted(engine, page).await?;
        let last = notes.len() < EVENTS_MAX;
        let (mut calls, mut settled) = (Vec::new(), Vec::new());
        for note in notes {
            if let Some(digits) = taken.remove(&engine.handle(&note.0)) {
                let list = engine.names.keys(&note.0).events;
                calls.push(engine.scripts.settle.call(&[&list], &digits));
                settled.push(note);
            }
        }
        let left = engine.server().send(calls).await?;
        done.extend(
            settled.into_iter().zip(left).filter(|(_, left)| number(left) == Some(0)).map(|(note, _)| note),
        );
        if last || taken.is_empty() {
            break;
        }
    }
    forget(engine, &done).await
}
