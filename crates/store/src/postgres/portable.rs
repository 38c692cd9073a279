//! Login sessions that move into this database, or out of it: keyset by `sid`, one statement for each batch that comes in.
//! Works behind a transaction-mode pooler, as everything here does.

use super::PostgresLogins;
use super::connect::Parameter;
use super::engine::{PostgresEngine, column};
use super::schema::Names as Tables;
use super::wire::{JsonText, Moment};
use crate::group::LoginEngine as _;
use crate::options::Layout;
use async_trait::async_trait;
use sessile_core::login::{AmendLogins, Amendment, LoginName, Names, PortableLogin, PortableSession, UserId};
use sessile_core::portable::{Batch, Landed, Mark, Porter};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// What the names of ended sessions, and then the sessions, begin with in a mark.
const ENDED: &str = "ended ";
const SESSIONS: &str = "session ";

const COLUMNS: &str = "sid, sess, expire, sessile_retires_at";

/// An ended name is taken from here on only once it has stopped answering: a retiring one still has its row.
fn ended_sql(Tables { ended, .. }: &Tables) -> String {
    format!(
        "select sid, forget_at from {ended} where sid > $1 and ended_at <= $2 and forget_at > $2 order by sid limit $3"
    )
}

fn sessions_sql(Tables { sessions, .. }: &Tables) -> String {
    format!("select {COLUMNS} from {sessions} where sid > $1 and expire > $2 order by sid limit $3")
}

/// A name that has ended never comes back, and only a later state replaces what is there. A retiring id is remembered as the
/// regeneration itself would have done it.
fn land_sql(Tables { sessions, ended, .. }: &Tables) -> String {
    format!(
        "with made as (
           insert into {sessions} as s (sid, sess, expire, sessile_user, sessile_writes, sessile_retires_at)
           select v.sid, v.sess::json, v.expire, v.user_id, 0, v.retires_at
           from unnest($1::text[], $2::text[], $3::timestamp[], $4::text[], $5::timestamp[])
                as v(sid, sess, expire, user_id, retires_at)
           where not exists (select 1 from {ended} e where e.sid = v.sid and e.ended_at <= $6)
           on conflict (sid) do update set sess = excluded.sess, expire = excluded.expire,
             sessile_user = excluded.sessile_user, sessile_retires_at = excluded.sessile_retires_at,
             sessile_writes = coalesce(s.sessile_writes, 0) + 1
           where s.sessile_retires_at is null
             and (excluded.sessile_retires_at is not null or excluded.expire > s.expire)
           returning sid, sessile_writes, sessile_retires_at
         ), remembered as (
           insert into {ended} (sid, ended_at, forget_at)
           select sid, sessile_retires_at, sessile_retires_at + interval '1 day' from made
           where sessile_retires_at is not null
           on conflict (sid) do nothing
         )
         select sid, sessile_writes from made"
    )
}

/// Answers which names were not known to have ended, and which of them still had a session.
fn end_sql(Tables { sessions, ended, .. }: &Tables) -> String {
    format!(
        "with given as (
           select v.sid, v.forget_at from unnest($1::text[], $2::timestamp[]) as v(sid, forget_at)
         ), gone as (
           delete from {sessions} s using given where s.sid = given.sid returning s.sid
         ), news as (
           insert into {ended} as e (sid, ended_at, forget_at) select sid, $3, forget_at from given
           on conflict (sid) do update set ended_at = excluded.ended_at where e.ended_at > excluded.ended_at
           returning e.sid
         )
         select given.sid, gone.sid is not null, news.sid is not null
         from given left join gone using (sid) left join news using (sid)"
    )
}

fn amend_sql(Tables { sessions, .. }: &Tables) -> String {
    format!(
        "update {sessions} s set sess = v.after::json, sessile_writes = coalesce(s.sessile_writes, 0) + 1
         from unnest($1::text[], $2::text[], $3::text[]) as v(sid, before, after)
         where s.sid = v.sid and s.sess::text = v.before
         returning s.sid"
    )
}

impl PostgresLogins {
    /// Which names this table keeps.
    pub(crate) fn names(&self) -> Names {
        names_of(self.0.engine())
    }
}

const fn names_of(engine: &PostgresEngine) -> Names {
    match engine.layout {
        Layout::Shared => Names::Plain,
        Layout::StandAlone => Names::Hashed,
    }
}

fn session_of(row: &Row, names: Names) -> Result<Option<PortableSession>, StoreError> {
    let Some(name) = LoginName::of_stored(column(row, 0)?, names) else { return Ok(None) };
    let json = column::<JsonText<'_>>(row, 1)?.0.to_owned();
    let ends = column::<Moment>(row, 2)?.0;
    let retires = column::<Option<Moment>>(row, 3)?.map(|at| at.0);
    let expires_at = retires.map_or(ends, |at| at.min(ends));
    Ok(Some(PortableSession { name, json, expires_at, retiring: retires.is_some() }))
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl PostgresEngine {
    async fn page(
        &self,
        sql: &str,
        after: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (now, limit) = (Moment(now), bounded(limit));
        let parameters: [Parameter<'_>; 3] =
            [(&after, Type::TEXT), (&now, Type::TIMESTAMP), (&limit, Type::INT8)];
        self.query(sql, &parameters).await
    }

    async fn land(
        &self,
        sessions: &[(String, &PortableSession)],
        now: Timestamp,
    ) -> Result<HashMap<String, Landed>, StoreError> {
        if sessions.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<&str> = sessions.iter().map(|(key, _)| key.as_str()).collect();
        let jsons: Vec<&str> = sessions.iter().map(|(_, session)| session.json.as_str()).collect();
        let ends: Vec<Moment> = sessions.iter().map(|(_, session)| Moment(session.expires_at)).collect();
        let users: Vec<Option<UserId>> = sessions
            .iter()
            .map(|(_, session)| session.data().and_then(|data| data.user(self.user_key())))
            .collect();
        let users: Vec<Option<&str>> = users.iter().map(|user| user.as_ref().map(UserId::as_str)).collect();
        let retires: Vec<Option<Moment>> = sessions
            .iter()
            .map(|(_, session)| session.retiring.then_some(Moment(session.expires_at)))
            .collect();
        let parameters: [Parameter<'_>; 6] = [
            (&keys, Type::TEXT_ARRAY),
            (&jsons, Type::TEXT_ARRAY),
            (&ends, Type::TIMESTAMP_ARRAY),
            (&users, Type::TEXT_ARRAY),
            (&retires, Type::TIMESTAMP_ARRAY),
            (&Moment(now), Type::TIMESTAMP),
        ];
        let rows = self.query(&land_sql(&self.names), &parameters).await?;
        let landed = |row: &Row| {
            let writes: i32 = column(row, 1)?;
            Ok((column(row, 0)?, if writes == 0 { Landed::New } else { Landed::Renewed }))
        };
        rows.iter().map(landed).collect()
    }

    /// Of these names, the ones that have ended, and until when that is remembered.
    async fn known_ends(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, Timestamp>, StoreError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let sql =
            format!("select sid, forget_at from {} where sid = any($1) and ended_at <= $2", self.names.ended);
        let now = Moment(now);
        let rows = self.query(&sql, &[(&keys, Type::TEXT_ARRAY), (&now, Type::TIMESTAMP)]).await?;
        rows.iter().map(|row| Ok((column(row, 0)?, column::<Moment>(row, 1)?.0))).collect()
    }

    async fn end(
        &self,
        ended: &[(String, Timestamp)],
        now: Timestamp,
    ) -> Result<HashMap<String, Landed>, StoreError> {
        if ended.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<&str> = ended.iter().map(|(key, _)| key.as_str()).collect();
        let until: Vec<Moment> = ended.iter().map(|(_, until)| Moment(*until)).collect();
        let parameters: [Parameter<'_>; 3] =
            [(&keys, Type::TEXT_ARRAY), (&until, Type::TIMESTAMP_ARRAY), (&Moment(now), Type::TIMESTAMP)];
        let rows = self.query(&end_sql(&self.names), &parameters).await?;
        let landed = |row: &Row| {
            let (gone, news): (bool, bool) = (column(row, 1)?, column(row, 2)?);
            let landed = match (gone, news) {
                (true, _) => Landed::Renewed,
                (false, true) => Landed::New,
                (false, false) => Landed::Kept,
            };
            Ok((column(row, 0)?, landed))
        };
        rows.iter().map(landed).collect()
    }
}

#[async_trait]
impl Porter<PortableLogin> for PostgresLogins {
    /// What the statistics say; counted where there are none.
    async fn size(&self, _now: Timestamp) -> Result<u64, StoreError> {
        let engine = self.0.engine();
        let table = &engine.names.sessions;
        let guess = format!(
            "select reltuples::int8 from pg_class where oid = to_regclass('{}')",
            table.replace('\'', "''")
        );
        let rows = engine.query(&guess, &[]).await?;
        let guessed: i64 = rows.first().map_or(Ok(-1), |row| column(row, 0))?;
        if guessed > 0 {
            return Ok(guessed.unsigned_abs());
        }
        let rows = engine.query(&format!("select count(*) from {table}"), &[]).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
        Ok(count.unsigned_abs())
    }

    async fn export(
        &self,
        from: Option<&Mark>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch<PortableLogin>, StoreError> {
        let (engine, names) = (self.0.engine(), self.names());
        let from = from.map_or(ENDED, Mark::as_str);
        let mut batch = Batch { rows: Vec::new(), next: None, unreadable: 0 };
        if let Some(after) = from.strip_prefix(SESSIONS) {
            let rows = engine.page(&sessions_sql(&engine.names), after, now, limit).await?;
            if let Some(last) = rows.last().filter(|_| rows.len() >= limit) {
                batch.next = Some(Mark::new(format!("{SESSIONS}{}", column::<&str>(last, 0)?)));
            }
            for row in &rows {
                match session_of(row, names)? {
                    // One that has retired by now has ended, whatever its row says.
                    Some(session) if session.expires_at <= now => {}
                    Some(session) => batch.rows.push(PortableLogin::Session(session)),
                    None => batch.unreadable += 1,
                }
            }
            return Ok(batch);
        }
        let after = from.strip_prefix(ENDED).unwrap_or_default();
        let rows = engine.page(&ended_sql(&engine.names), after, now, limit).await?;
        batch.next = Some(match rows.last().filter(|_| rows.len() >= limit) {
            Some(last) => Mark::new(format!("{ENDED}{}", column::<&str>(last, 0)?)),
            None => Mark::new(SESSIONS),
        });
        for row in &rows {
            if let Some(name) = LoginName::of_stored(column(row, 0)?, names) {
                batch.rows.push(PortableLogin::Ended { name, until: column::<Moment>(row, 1)?.0 });
            }
        }
        Ok(batch)
    }

    async fn import(&self, rows: &[PortableLogin], now: Timestamp) -> Result<Vec<Landed>, StoreError> {
        let (engine, names) = (self.0.engine(), self.names());
        let keys: Vec<Option<String>> = rows.iter().map(|row| row.name().stored_as(names)).collect();
        let (mut sessions, mut ended) = (Vec::new(), Vec::new());
        for (row, key) in rows.iter().zip(&keys) {
            match (row, key.clone()) {
                (PortableLogin::Session(session), Some(key)) => sessions.push((key, session)),
                (PortableLogin::Ended { until, .. }, Some(key)) => ended.push((key, *until)),
                (_, None) => {}
            }
        }
        let (lived, over) = (engine.land(&sessions, now).await?, engine.end(&ended, now).await?);
        let answer = |(row, key): (&PortableLogin, &Option<String>)| {
            let Some(key) = key else { return Landed::Refused };
            let from = match row {
                PortableLogin::Session(_) => &lived,
                PortableLogin::Ended { .. } => &over,
            };
            from.get(key).copied().unwrap_or(Landed::Kept)
        };
        Ok(rows.iter().zip(&keys).map(answer).collect())
    }

    async fn held(
        &self,
        like: &[PortableLogin],
        now: Timestamp,
    ) -> Result<Vec<Option<PortableLogin>>, StoreError> {
        let (engine, names) = (self.0.engine(), self.names());
        let keys: Vec<Option<String>> = like.iter().map(|row| row.name().stored_as(names)).collect();
        let known: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
        let sql = format!("select {COLUMNS} from {} where sid = any($1)", engine.names.sessions);
        let rows = engine.query(&sql, &[(&known, Type::TEXT_ARRAY)]).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(column::<String>(row, 0)?, session_of(row, names)?);
        }
        let missing: Vec<&str> = known.into_iter().filter(|key| !found.contains_key(*key)).collect();
        let over = engine.known_ends(&missing, now).await?;
        let held = |key: &Option<String>| {
            let key = key.as_ref()?;
            if let Some(session) = found.remove(key) {
                return session.map(PortableLogin::Session);
            }
            let until = *over.get(key)?;
            LoginName::of_stored(key, names).map(|name| PortableLogin::Ended { name, until })
        };
        Ok(keys.iter().map(held).collect())
    }
}

#[async_trait]
impl AmendLogins for PostgresLogins {
    async fn amend(&self, amendments: &[Amendment]) -> Result<u64, StoreError> {
        let (engine, names) = (self.0.engine(), self.names());
        let keyed = |one: &Amendment| one.name.stored_as(names);
        let keys: Vec<Option<String>> = amendments.iter().map(keyed).collect();
        let before: Vec<&str> = amendments.iter().map(|one| one.before.as_str()).collect();
        let after: Vec<&str> = amendments.iter().map(|one| one.after.as_str()).collect();
        let parameters: [Parameter<'_>; 3] =
            [(&keys, Type::TEXT_ARRAY), (&before, Type::TEXT_ARRAY), (&after, Type::TEXT_ARRAY)];
        Ok(engine.query(&amend_sql(&engine.names), &parameters).await?.len() as u64)
    }
}
