//! Login sessions that move into this file, or out of it: keyset by `sid`, one transaction for each batch that comes in.

use super::SqliteLogins;
use super::changes::Desk;
use super::keys::Keys;
use super::reads::time;
use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use sessile_core::login::{AmendLogins, Amendment, LoginName, Names, PortableLogin, PortableSession, UserId};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};

/// What the names of ended sessions, and then the sessions, begin with in a mark.
const ENDED: &str = "ended ";
const SESSIONS: &str = "session ";

/// The statements, for one table.
struct Sql {
    ended: String,
    sessions: String,
    land: String,
    one: String,
    end: String,
    gone: String,
    amend: String,
    size: String,
}

impl Sql {
    fn of(table: &str) -> Self {
        Self {
            ended: format!(
                "SELECT sid, kept_until FROM {table}_ended WHERE sid > ?1 AND kept_until > ?2 ORDER BY sid LIMIT ?3"
            ),
            sessions: format!(
                "SELECT sid, sess, expires_at, retires_at FROM {table} WHERE sid > ?1 AND expires_at > ?2 \
                 ORDER BY sid LIMIT ?3"
            ),
            // A name that has ended never comes back, and only a later state replaces what is there.
            land: format!(
                "INSERT INTO {table} AS t (sid, sess, user_id, expires_at, retires_at, seen_at, version) \
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, 1 \
                 WHERE NOT EXISTS (SELECT 1 FROM {table}_ended WHERE sid = ?1) \
                 ON CONFLICT (sid) DO UPDATE SET sess = excluded.sess, user_id = excluded.user_id, \
                 expires_at = excluded.expires_at, retires_at = excluded.retires_at, seen_at = excluded.seen_at, \
                 version = t.version + 1 \
                 WHERE t.retires_at IS NULL \
                 AND (excluded.retires_at IS NOT NULL OR excluded.expires_at > t.expires_at) RETURNING version"
            ),
            one: format!("SELECT sid, sess, expires_at, retires_at FROM {table} WHERE sid = ?1"),
            end: format!("SELECT kept_until FROM {table}_ended WHERE sid = ?1"),
            gone: format!("DELETE FROM {table} WHERE sid = ?1"),
            amend: format!(
                "UPDATE {table} SET sess = ?3, version = version + 1 WHERE sid = ?1 AND sess = ?2"
            ),
            size: format!("SELECT count(*) FROM {table}"),
        }
    }
}

impl SqliteLogins {
    /// Which names this file keeps.
    pub(crate) fn names(&self) -> Names {
        match self.setup.keys {
            Keys::Hashed => Names::Hashed,
            Keys::Plain => Names::Plain,
        }
    }

    fn moving(&self) -> Sql {
        Sql::of(&self.setup.sql.table)
    }

    fn key_of(&self, name: &LoginName) -> Option<String> {
        name.stored_as(self.names())
    }
}

fn session_of(row: &rusqlite::Row<'_>, names: Names) -> rusqlite::Result<Option<PortableSession>> {
    let sid: String = row.get(0)?;
    let Some(name) = LoginName::of_stored(&sid, names) else { return Ok(None) };
    let retiring = row.get::<_, Option<i64>>(3)?.is_some();
    Ok(Some(PortableSession { name, json: row.get(1)?, expires_at: time(row, 2)?, retiring }))
}

fn signed(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A row made ready before it reaches the writer.
enum Ready {
    Session { key: String, session: PortableSession, user: Option<UserId>, seen: Timestamp },
    Ended { key: String, until: Timestamp },
    Nameless,
}

impl Ready {
    fn of(row: &PortableLogin, store: &SqliteLogins, now: Timestamp) -> Self {
        let Some(key) = store.key_of(row.name()) else { return Self::Nameless };
        match row {
            PortableLogin::Ended { until, .. } => Self::Ended { key, until: *until },
            PortableLogin::Session(session) => {
                let data = session.data();
                let user = data.as_ref().and_then(|data| data.user(&store.setup.user_key));
                let seen = session.last_seen(data.as_ref(), now);
                Self::Session { key, session: session.clone(), user, seen }
            }
        }
    }

    fn land(&self, desk: &Desk<'_>, sql: &Sql) -> rusqlite::Result<Landed> {
        match self {
            Self::Nameless => Ok(Landed::Refused),
            Self::Ended { key, until } => {
                let known = desk.has_ended(key)?;
                desk.remember(key, *until)?;
                let gone = desk.db.prepare_cached(&sql.gone)?.execute([key])?;
                Ok(match (gone, known) {
                    (0, true) => Landed::Kept,
                    (0, false) => Landed::New,
                    _ => Landed::Renewed,
                })
            }
            Self::Session { key, session, user, seen } => {
                let ends = session.expires_at.unix_ms();
                let version: Option<i64> = desk
                    .db
                    .prepare_cached(&sql.land)?
                    .query_row(
                        params![
                            key,
                            session.json,
                            user.as_ref().map(UserId::as_str),
                            ends,
                            session.retiring.then_some(ends),
                            seen.unix_ms()
                        ],
                        |row| row.get(0),
                    )
                    .optional()?;
                Ok(match version {
                    Some(1) => Landed::New,
                    Some(_) => Landed::Renewed,
                    None => Landed::Kept,
                })
            }
        }
    }
}

#[async_trait]
impl Porter<PortableLogin> for SqliteLogins {
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let sql = self.moving().size;
        let count: i64 = self.file.read_much(move |db| db.query_row(&sql, [], |row| row.get(0))).await?;
        Ok(count.unsigned_abs())
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableLogin>, StoreError> {
        let from = from.map_or(ENDED, Mark::as_str).to_owned();
        let (sql, names) = (self.moving(), self.names());
        self.file
            .read_much(move |db| {
                if let Some(after) = from.strip_prefix(SESSIONS) {
                    let mut select = db.prepare_cached(&sql.sessions)?;
                    let given = params![after, now.unix_ms(), signed(limit)];
                    let read =
                        |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, session_of(row, names)?));
                    let met = select.query_map(given, read)?.collect::<rusqlite::Result<Vec<_>>>()?;
                    let last = met.last().filter(|_| met.len() >= limit).map(|(sid, _)| sid);
                    let next = last.map(|sid| Mark::new(format!("{SESSIONS}{sid}")));
                    let all = met.len();
                    let rows: Vec<_> =
                        met.into_iter().filter_map(|(_, row)| row.map(PortableLogin::Session)).collect();
                    let unreadable = (all - rows.len()) as u64;
                    return Ok(Batch { rows, next, unreadable });
                }
                let after = from.strip_prefix(ENDED).unwrap_or_default();
                let mut select = db.prepare_cached(&sql.ended)?;
                let given = params![after, now.unix_ms(), signed(limit)];
                let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, time(row, 1)?));
                let met = select.query_map(given, read)?.collect::<rusqlite::Result<Vec<_>>>()?;
                let next = match met.last().filter(|_| met.len() >= limit) {
                    Some((sid, _)) => Mark::new(format!("{ENDED}{sid}")),
                    None => Mark::new(SESSIONS),
                };
                let row = |(sid, until): (String, Timestamp)| {
                    LoginName::of_stored(&sid, names).map(|name| PortableLogin::Ended { name, until })
                };
                Ok(Batch { rows: met.into_iter().filter_map(row).collect(), next: Some(next), unreadable: 0 })
            })
            .await
    }

    async fn import(&self, rows: &[PortableLogin], now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let ready: Vec<Ready> = rows.iter().map(|row| Ready::of(row, self, now)).collect();
        let sql = self.moving();
        self.write(move |desk| {
            ready.iter().map(|row| row.land(desk, &sql)).collect::<rusqlite::Result<Vec<_>>>().map(Ok)
        })
        .await
    }

    async fn held(
        &self,
        like: &[PortableLogin],
        _now: Timestamp,
    ) -> Result<Vec<Option<PortableLogin>>, StoreError> {
        let keys: Vec<Option<String>> = like.iter().map(|row| self.key_of(row.name())).collect();
        let (sql, names) = (self.moving(), self.names());
        self.file
            .read_much(move |db| {
                let (mut select, mut end) = (db.prepare_cached(&sql.one)?, db.prepare_cached(&sql.end)?);
                let mut held = |key: &String| {
                    let row = select.query_row([key], |row| session_of(row, names)).optional()?;
                    if let Some(session) = row.flatten() {
                        return Ok(Some(PortableLogin::Session(session)));
                    }
                    let until = end.query_row([key], |row| time(row, 0)).optional()?;
                    let name = LoginName::of_stored(key, names);
                    Ok(name.zip(until).map(|(name, until)| PortableLogin::Ended { name, until }))
                };
                keys.iter().map(|key| key.as_ref().map_or(Ok(None), &mut held)).collect()
            })
            .await
    }
}

#[async_trait]
impl AmendLogins for SqliteLogins {
    async fn amend(&self, amendments: &[Amendment]) -> Result<u64, StoreError> {
        let keyed = |one: &Amendment| Some((self.key_of(&one.name)?, one.before.clone(), one.after.clone()));
        let changes: Vec<(String, String, String)> = amendments.iter().filter_map(keyed).collect();
        let sql = self.moving().amend;
        self.write(move |desk| {
            let mut update = desk.db.prepare_cached(&sql)?;
            let mut done = 0;
            for (key, before, after) in &changes {
                done += update.execute([key, before, after])? as u64;
            }
            Ok(Ok(done))
        })
        .await
    }
}
