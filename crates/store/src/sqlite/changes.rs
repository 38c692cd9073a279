//! What the writer does inside its transaction, one function per change. Nothing else writes meanwhile, so reading
//! a row and writing it back loses nothing; every refusal is decided before the first write of its item.

use super::FIRST;
use super::keys::Keys;
use super::reads::{data, time, user, version};
use super::schema::Sql;
use crate::options::Choice;
use rusqlite::{Connection, OptionalExtension, params};
use sessile_core::login::{
    DeviceHandle, EndReason, LoginChange, LoginEventKind, Revoked, Stored, Swept, UserId, Version,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long an ended id is remembered beyond its session's expiry.
const ENDED_KEPT: Duration = Duration::from_secs(86_400);
/// How long an id is remembered that was ended before it was ever seen: a logout that overtook its sign-in.
const UNSEEN_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// One sweep's share of a transaction, whatever batch is asked for.
const SWEEP_MAX: usize = 5_000;

/// What stays the same for all changes.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) sql: Sql,
    pub(crate) keys: Keys,
    pub(crate) user_key: String,
    pub(crate) events: Choice,
}

/// One connection, with what is needed to work on it.
pub(crate) struct Desk<'c> {
    pub(crate) db: &'c Connection,
    pub(crate) setup: &'c Setup,
}

/// A row to create, made ready before it reaches the writer.
pub(crate) struct Insert {
    pub(crate) key: String,
    pub(crate) json: String,
    pub(crate) user: Option<UserId>,
    pub(crate) handle: DeviceHandle,
    pub(crate) expires_at: Timestamp,
    pub(crate) kind: LoginEventKind,
}

type Refusable<R> = rusqlite::Result<Result<R, StoreError>>;

impl Desk<'_> {
    pub(crate) fn insert(&self, new: &Insert, now: Timestamp) -> Refusable<Version> {
        let user = new.user.as_ref().map(UserId::as_str);
        let inserted = self.db.prepare_cached(&self.setup.sql.insert)?.execute(params![
            new.key,
            new.json,
            user,
            new.expires_at.unix_ms(),
            now.unix_ms(),
            FIRST.0.cast_signed(),
        ])?;
        if inserted == 1 {
            self.tell(new.kind, Some(&new.handle), new.user.as_ref(), now)?;
            return Ok(Ok(FIRST));
        }
        Ok(self.held(new)?.ok_or(StoreError::Taken))
    }

    /// The version of this very session, when it is stored already: the same call came before and its answer was lost.
    fn held(&self, new: &Insert) -> rusqlite::Result<Option<Version>> {
        let mut select = self.db.prepare_cached(&self.setup.sql.select)?;
        let mut rows = select.query([&new.key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let same = row.get_ref(0)?.as_str()? == new.json && time(row, 1)? == new.expires_at;
        if same { version(row, 3).map(Some) } else { Ok(None) }
    }

    pub(crate) fn update(&self, key: &str, change: &LoginChange, now: Timestamp) -> Refusable<Arc<Stored>> {
        let sql = &self.setup.sql;
        let mut select = self.db.prepare_cached(&sql.select)?;
        let mut rows = select.query([key])?;
        let Some(row) = rows.next()? else { return Ok(Err(StoreError::Gone)) };
        if time(row, 1)? <= now || row.get::<_, Option<i64>>(2)?.is_some() {
            return Ok(Err(StoreError::Gone));
        }
        let Some(current) = data(row) else {
            return Ok(Err(StoreError::Undecodable { place: self.place_of(&change.id) }));
        };
        let (before, next) = (user(row, 4)?, Version(version(row, 3)?.0 + 1));
        drop(rows);
        let (data, json) = match change.apply(&current) {
            Ok(merged) => merged,
            Err(refused) => return Ok(Err(refused)),
        };
        let (ends, seen, counter) = (change.expires_at.unix_ms(), now.unix_ms(), next.0.cast_signed());
        let after = data.user(&self.setup.user_key);
        if before == after {
            self.db.prepare_cached(&sql.update)?.execute(params![key, json, ends, seen, counter])?;
        } else {
            let user = after.as_ref().map(UserId::as_str);
            self.db
                .prepare_cached(&sql.update_user)?
                .execute(params![key, json, ends, seen, counter, user])?;
        }
        Ok(Ok(Arc::new(Stored { data, expires_at: change.expires_at, version: next, retires_at: None })))
    }

    pub(super) fn extend(&self, key: &str, expires_at: Timestamp, now: Timestamp) -> Refusable<()> {
        let values = params![key, expires_at.unix_ms(), now.unix_ms()];
        if self.db.prepare_cached(&self.setup.sql.extend)?.execute(values)? == 1 {
            return Ok(Ok(()));
        }
        // Regenerated away but still answering: nothing prolongs it, and nobody has to be told.
        let ends = self.ends(key)?;
        Ok(if ends.is_some_and(|(ends, _)| ends > now) { Ok(()) } else { Err(StoreError::Gone) })
    }

    /// When the session under `key` ends, and whether its id was regenerated away.
    fn ends(&self, key: &str) -> rusqlite::Result<Option<(Timestamp, bool)>> {
        let mut select = self.db.prepare_cached(&self.setup.sql.select)?;
        select.query_row([key], |row| Ok((time(row, 1)?, row.get::<_, Option<i64>>(2)?.is_some()))).optional()
    }

    pub(crate) fn replace(
        &self,
        old: &str,
        retires_at: Timestamp,
        new: &Insert,
        now: Timestamp,
    ) -> Refusable<Version> {
        let over = match self.ends(old)? {
            Some((ends, retired)) => retired && ends <= now,
            None => self.has_ended(old)?,
        };
        if over && self.held(new)?.is_none() {
            return Ok(Err(StoreError::Gone));
        }
        let version = match self.insert(new, now)? {
            Ok(version) => version,
            Err(refused) => return Ok(Err(refused)),
        };
        // Of several retirements the earliest counts.
        self.db.prepare_cached(&self.setup.sql.retire)?.execute(params![old, retires_at.unix_ms()])?;
        Ok(Ok(version))
    }

    pub(crate) fn end(&self, key: &str, reason: EndReason, now: Timestamp) -> rusqlite::Result<()> {
        let mut delete = self.db.prepare_cached(&self.setup.sql.delete)?;
        let removed = delete
            .query_row([key], |row| {
                Ok((user(row, 0)?, time(row, 1)?, row.get::<_, Option<i64>>(2)?.is_some()))
            })
            .optional()?;
        let Some((user, ends, retired)) = removed else {
            return self.remember(key, now.plus(UNSEEN_KEPT));
        };
        self.remember(key, ends.max(now).plus(ENDED_KEPT))?;
        // A retired id goes on under its new one: nothing to tell.
        if retired {
            return Ok(());
        }
        let kind = if ends > now { reason.into() } else { LoginEventKind::Expired };
        self.tell(kind, self.setup.keys.handle(key).as_ref(), user.as_ref(), now)
    }

    pub(crate) fn remember(&self, key: &str, kept_until: Timestamp) -> rusqlite::Result<()> {
        self.db.prepare_cached(&self.setup.sql.end)?.execute(params![key, kept_until.unix_ms()]).map(drop)
    }

    /// The live sessions of a user, and whether each was regenerated away.
    pub(crate) fn keys_of(&self, user: &UserId, now: Timestamp) -> rusqlite::Result<Vec<(String, bool)>> {
        let mut select = self.db.prepare_cached(&self.setup.sql.keys_of)?;
        let keys = select.query_map(params![user.as_str(), now.unix_ms()], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.is_some()))
        })?;
        keys.collect()
    }

    pub(crate) fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> rusqlite::Result<Revoked> {
        let named = |(key, retired): &(String, bool)| {
            !retired && self.setup.keys.handle(key).is_some_and(|its| its == *handle)
        };
        let Some((key, _)) = self.keys_of(user, now)?.into_iter().find(named) else {
            return Ok(Revoked::NoSuchSession);
        };
        self.end(&key, EndReason::Revoked, now)?;
        Ok(Revoked::Yes)
    }

    pub(crate) fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&str>,
        now: Timestamp,
    ) -> rusqlite::Result<u64> {
        let mut ended = 0;
        for (key, retired) in self.keys_of(user, now)? {
            if Some(key.as_str()) != except {
                self.end(&key, EndReason::Revoked, now)?;
                ended += u64::from(!retired);
            }
        }
        Ok(ended)
    }

    pub(super) fn sweep(&self, now: Timestamp, batch: usize) -> rusqlite::Result<Swept> {
        let batch = batch.min(SWEEP_MAX);
        let limits = params![now.unix_ms(), batch as i64];
        let mut sweep = self.db.prepare_cached(&self.setup.sql.sweep)?;
        let removed = sweep
            .query_map(limits, |row| {
                Ok((row.get::<_, String>(0)?, user(row, 1)?, row.get::<_, Option<i64>>(2)?.is_some()))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (key, user, retired) in &removed {
            if *retired {
                self.remember(key, now.plus(ENDED_KEPT))?;
            } else {
                self.tell(LoginEventKind::Expired, self.setup.keys.handle(key).as_ref(), user.as_ref(), now)?;
            }
        }
        self.db.prepare_cached(&self.setup.sql.sweep_ended)?.execute(limits)?;
        Ok(Swept { removed: removed.len() as u64, more: removed.len() == batch })
    }

    pub(super) fn forget_events(&self, ids: &[i64]) -> rusqlite::Result<()> {
        let mut forget = self.db.prepare_cached(&self.setup.sql.forget_event)?;
        ids.iter().try_for_each(|id| forget.execute([id]).map(drop))
    }

    /// Records an event in the same transaction as what it tells of.
    fn tell(
        &self,
        kind: LoginEventKind,
        handle: Option<&DeviceHandle>,
        user: Option<&UserId>,
        at: Timestamp,
    ) -> rusqlite::Result<()> {
        let (Choice::Yes, Some(handle)) = (self.setup.events, handle) else { return Ok(()) };
        let values = params![kind.name(), handle.as_str(), user.map(UserId::as_str), at.unix_ms()];
        self.db.prepare_cached(&self.setup.sql.tell)?.execute(values).map(drop)
    }
}
