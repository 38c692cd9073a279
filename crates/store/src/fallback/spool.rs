//! The local file that holds sessions while the primary is away: an ordinary SQLite login store, with plain ids
//! because they have to be handed on, and two tables of notes for the way back. Every answer is durable first.

use super::claim::Claim;
use crate::open::OpenError;
use crate::options::{Choice, LoginOptions};
use crate::sqlite::{Desk, Keys, SqliteLogins};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginData, LoginEventKind, LoginId, LoginStore,
    Lookup, NewLogin, Revoked, Stored, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::path::Path;
use std::sync::Arc;

const NOTES: &str = include_str!("spool.sql");

/// The file, and the claim that keeps other processes out of it.
pub(super) struct Spool {
    logins: SqliteLogins,
    _claim: Claim,
}

/// A session on its way to the primary.
pub(super) struct Waiting {
    pub(super) data: LoginData,
    pub(super) origin: LoginData,
    pub(super) expires_at: Timestamp,
    version: i64,
}

/// What is in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spooled {
    /// Sessions to hand to the primary.
    pub sessions: u64,
    /// Sessions to end in the primary.
    pub ends: u64,
}

/// Everything that is taken over from another process's spool.
const TABLES: [&str; 5] =
    ["sessile_login", "sessile_login_ended", "spool_end", "spool_origin", "spool_unreadable"];

type Rows = Vec<Vec<Value>>;

async fn open_file(claim: &Claim, options: &LoginOptions) -> Result<SqliteLogins, OpenError> {
    let logins = SqliteLogins::open_keyed(claim.file(), options, Keys::Plain)?;
    let place = claim.file().display().to_string();
    let noted = logins.write(|desk| desk.db.execute_batch(NOTES).map(Ok)).await;
    noted.map_err(|error| OpenError::unreachable(&place, &error))?;
    Ok(logins)
}

fn rows_of(desk: &Desk<'_>, table: &str) -> rusqlite::Result<Rows> {
    let mut select = desk.db.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = select.column_count();
    let rows = select.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    rows.collect()
}

fn adopt_rows(desk: &Desk<'_>, tables: &[Rows]) -> rusqlite::Result<()> {
    for (table, rows) in TABLES.iter().zip(tables) {
        let Some(first) = rows.first() else { continue };
        let places = vec!["?"; first.len()].join(",");
        let mut insert = desk.db.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES ({places})"))?;
        for row in rows {
            insert.execute(rusqlite::params_from_iter(row))?;
        }
    }
    // Ended through one process while it was spooled by another.
    let ended = "DELETE FROM sessile_login WHERE retires_at IS NULL AND sid IN (SELECT sid FROM spool_end)";
    desk.db.execute(ended, []).map(drop)
}

const DESTROYED: &str = "destroyed";
const REVOKED: &str = "revoked";

/// Notes that `key` has still to end in the primary, also when it is spooled here: the call that created it may
/// have landed there unanswered.
fn note_end(desk: &Desk<'_>, key: &str, reason: EndReason) -> rusqlite::Result<()> {
    let reason = match reason {
        EndReason::Destroyed => DESTROYED,
        EndReason::Revoked => REVOKED,
    };
    let note = "INSERT INTO spool_end (sid, reason) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    desk.db.prepare_cached(note)?.execute([key, reason])?;
    desk.db.prepare_cached("DELETE FROM spool_origin WHERE sid = ?1")?.execute([key]).map(drop)
}

fn note_origin(desk: &Desk<'_>, key: &str, json: &str) -> rusqlite::Result<()> {
    let note = "INSERT INTO spool_origin (sid, sess) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    desk.db.prepare_cached(note)?.execute([key, json]).map(drop)
}

fn live_in(desk: &Desk<'_>, key: &str) -> rusqlite::Result<bool> {
    desk.db.prepare_cached("SELECT 1 FROM sessile_login WHERE sid = ?1")?.exists([key])
}

impl Spool {
    pub(super) async fn open(path: &Path, options: &LoginOptions) -> Result<Self, OpenError> {
        let (claim, orphans) = Claim::first_free(path)?;
        let options =
            LoginOptions { events: Choice::No, table: None, create: Choice::Yes, ..options.clone() };
        let logins = open_file(&claim, &options).await?;
        let spool = Self { logins, _claim: claim };
        for orphan in orphans {
            spool.adopt(&orphan, &options).await?;
        }
        Ok(spool)
    }

    /// Takes over what a process that is gone has left in its own spool file.
    async fn adopt(&self, orphan: &Claim, options: &LoginOptions) -> Result<(), OpenError> {
        let place = orphan.file().display().to_string();
        let unreadable = |error: StoreError| OpenError::unreachable(&place, &error);
        let left = open_file(orphan, options).await?;
        let all = |desk: &Desk<'_>| TABLES.iter().map(|table| rows_of(desk, table)).collect();
        let tables: Vec<Rows> = left.read(all).map_err(unreadable)?;
        left.close();
        self.logins.write(move |desk| adopt_rows(desk, &tables).map(Ok)).await.map_err(unreadable)?;
        tracing::warn!(place, "took over the sessions that another process had spooled");
        orphan.remove_file();
        Ok(())
    }

    pub(super) async fn find(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.logins.load(id, now).await
    }

    pub(super) async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        let insert = self.logins.insert_of(&login, LoginEventKind::Created);
        let version = self
            .logins
            .write(move |desk| {
                let inserted = desk.insert(&insert, now)?;
                if inserted.is_ok() {
                    note_origin(desk, &insert.key, &insert.json)?;
                }
                Ok(inserted)
            })
            .await?;
        Ok(crate::sqlite::stored(login, version))
    }

    /// The old id ends here and, by a note, in the primary: with its grace when it is spooled, otherwise at once,
    /// since the primary that would answer for it is away. For the same reason nobody can say whether the primary
    /// had ended it before; the request could not read its data either, so what is stored is a sign-in of its own.
    pub(super) async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        let insert = self.logins.insert_of(&login, LoginEventKind::Regenerated);
        let old = old.expose().to_owned();
        let version = self
            .logins
            .write(move |desk| {
                let replaced = desk.replace(&old, retires_at, &insert, now)?;
                if replaced.is_ok() {
                    note_origin(desk, &insert.key, &insert.json)?;
                    if !live_in(desk, &old)? {
                        desk.remember(&old, Timestamp::FAR)?;
                    }
                    note_end(desk, &old, EndReason::Destroyed)?;
                }
                Ok(replaced)
            })
            .await?;
        Ok(crate::sqlite::stored(login, version))
    }

    pub(super) async fn commit(
        &self,
        change: LoginChange,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.logins.commit(change, now).await
    }

    pub(super) async fn touch(
        &self,
        id: &LoginId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.logins.touch(id, expires_at, now).await
    }

    pub(super) async fn end(
        &self,
        id: &LoginId,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = id.expose().to_owned();
        self.logins
            .write(move |desk| {
                desk.end(&key, reason, now)?;
                note_end(desk, &key, reason).map(Ok)
            })
            .await
    }

    pub(super) async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.logins.list(user, now).await
    }

    /// The spooled sessions of a user, and whether each was regenerated away.
    pub(super) fn ids_of(&self, user: &UserId, now: Timestamp) -> Result<Vec<(LoginId, bool)>, StoreError> {
        let keys = self.logins.read(|desk| desk.keys_of(user, now))?;
        Ok(keys.into_iter().filter_map(|(key, retired)| Some((LoginId::parse(&key)?, retired))).collect())
    }

    pub(super) async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let named = |(id, retired): &(LoginId, bool)| !retired && id.handle() == *handle;
        match self.ids_of(user, now)?.into_iter().find(named) {
            Some((id, _)) => self.end(&id, EndReason::Revoked, now).await.map(|()| Revoked::Yes),
            None => Ok(Revoked::NoSuchSession),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.logins.ping().await
    }

    pub(super) fn count(&self) -> Result<Spooled, StoreError> {
        self.logins.read(|desk| {
            let count = |table: &str| {
                let sql = format!("SELECT count(*) FROM {table}");
                desk.db.prepare_cached(&sql)?.query_row([], |row| row.get::<_, i64>(0))
            };
            Ok(Spooled {
                sessions: count("sessile_login")?.unsigned_abs(),
                ends: count("spool_end")?.unsigned_abs(),
            })
        })
    }

    /// Sessions that have still to end in the primary.
    pub(super) fn ends(&self, limit: usize) -> Result<Vec<(LoginId, EndReason)>, StoreError> {
        self.logins.read(|desk| {
            let mut select = desk.db.prepare_cached("SELECT sid, reason FROM spool_end LIMIT ?1")?;
            let rows = select.query_map([limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let ends: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
            let reason = |text: &str| if text == REVOKED { EndReason::Revoked } else { EndReason::Destroyed };
            Ok(ends.iter().filter_map(|(key, text)| Some((LoginId::parse(key)?, reason(text)))).collect())
        })
    }

    /// The primary has ended it: what it knows counts from now on.
    pub(super) async fn forget_end(&self, id: &LoginId) -> Result<(), StoreError> {
        let key = id.expose().to_owned();
        self.logins
            .write(move |desk| {
                desk.db.prepare_cached("DELETE FROM spool_end WHERE sid = ?1")?.execute([&key])?;
                desk.db.prepare_cached("DELETE FROM sessile_login_ended WHERE sid = ?1")?.execute([&key])?;
                Ok(Ok(()))
            })
            .await
    }

    /// Sessions to hand on, in no particular order. An id within its grace stays here until that is over.
    pub(super) fn waiting(&self, limit: usize) -> Result<Vec<LoginId>, StoreError> {
        self.logins.read(|desk| {
            let sql = "SELECT sid FROM sessile_login WHERE retires_at IS NULL LIMIT ?1";
            let mut select = desk.db.prepare_cached(sql)?;
            let keys = select.query_map([limit as i64], |row| row.get::<_, String>(0))?;
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            Ok(keys.iter().filter_map(|key| LoginId::parse(key)).collect())
        })
    }

    /// One of them, as it is now; `None` when it is no longer here, or cannot be read.
    pub(super) async fn take(&self, id: &LoginId) -> Result<Option<Waiting>, StoreError> {
        let read = self.logins.read(|desk| {
            let sql = "SELECT sess, expires_at, version, (SELECT sess FROM spool_origin o WHERE o.sid = s.sid) \
                       FROM sessile_login s WHERE sid = ?1 AND retires_at IS NULL";
            let mut select = desk.db.prepare_cached(sql)?;
            let columns = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
            };
            select.query_row([id.expose()], columns).optional()
        })?;
        let Some((json, expires_at, version, origin)) = read else { return Ok(None) };
        let parsed = LoginData::parse(&json).and_then(|data| {
            let origin = origin.map_or_else(|| Ok(data.clone()), |json| LoginData::parse(&json))?;
            Ok((data, origin))
        });
        let Ok((data, origin)) = parsed else {
            self.set_aside(id, "it cannot be read").await?;
            return Ok(None);
        };
        Ok(Some(Waiting { data, origin, expires_at: Timestamp::from_unix_ms(expires_at), version }))
    }

    /// Keeps what the primary will never take out of the way, for whoever looks into it.
    pub(super) async fn set_aside(&self, id: &LoginId, why: &str) -> Result<(), StoreError> {
        tracing::error!(session = %id.fingerprint(), why, "a spooled session was set aside in spool_unreadable");
        let key = id.expose().to_owned();
        self.logins
            .write(move |desk| {
                let keep = "INSERT OR IGNORE INTO spool_unreadable SELECT sid, sess FROM sessile_login WHERE sid = ?1";
                desk.db.prepare_cached(keep)?.execute([&key])?;
                desk.db.prepare_cached("DELETE FROM sessile_login WHERE sid = ?1")?.execute([&key])?;
                Ok(Ok(()))
            })
            .await
    }

    /// Removes a session that the primary has now; one that changed meanwhile stays for another round.
    pub(super) async fn remove(&self, id: &LoginId, waiting: &Waiting) -> Result<(), StoreError> {
        let (key, version) = (id.expose().to_owned(), waiting.version);
        self.logins
            .write(move |desk| {
                let sql = "DELETE FROM sessile_login WHERE sid = ?1 AND version = ?2";
                if desk.db.prepare_cached(sql)?.execute(params![key, version])? == 1 {
                    desk.db.prepare_cached("DELETE FROM spool_origin WHERE sid = ?1")?.execute([&key])?;
                }
                Ok(Ok(()))
            })
            .await
    }

    /// Removes what has expired by itself: nothing of it is left to hand on.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        self.logins
            .write(move |desk| {
                let at = now.unix_ms();
                let retired = "INSERT OR IGNORE INTO sessile_login_ended (sid, kept_until) \
                               SELECT sid, ?2 FROM sessile_login WHERE expires_at <= ?1 AND retires_at IS NOT NULL";
                desk.db.prepare_cached(retired)?.execute([at, Timestamp::FAR.unix_ms()])?;
                desk.db.prepare_cached("DELETE FROM sessile_login WHERE expires_at <= ?1")?.execute([at])?;
                let sql = "DELETE FROM spool_origin WHERE sid NOT IN (SELECT sid FROM sessile_login)";
                desk.db.prepare_cached(sql)?.execute([])?;
                // What the primary has been told, it knows itself.
                let told = "DELETE FROM sessile_login_ended WHERE sid NOT IN (SELECT sid FROM spool_end)";
                desk.db.prepare_cached(told)?.execute([]).map(|_| Ok(()))
            })
            .await
    }
}
