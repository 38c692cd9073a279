//! What is done to many sessions at once: a user's device list, revocation, sweeping, and the outbox.
//!
//! The list needs no table of its own: the user is a column beside the JSON, written with it by us and by a trigger
//! for rows that Express writes.

use super::engine::{PostgresEngine, column};
use super::wire::{JsonText, Moment};
use crate::options::Choice;
use sessile_core::login::{
    Device, DeviceHandle, EVENTS_MAX, LIST_MAX, ListedLogin, LoginCount, LoginData, LoginEvent,
    LoginEventKind, LoginId, Revoked, Swept, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::time::Duration;
use tokio_postgres::types::{ToSql, Type};

/// How long a revoked id is remembered at least, against late writers.
const REMEMBER: Duration = Duration::from_secs(86_400);
/// Forgotten ends that one sweep removes at most, as a multiple of its batch.
const FORGET_FACTOR: usize = 2;

pub(super) async fn list(
    engine: &PostgresEngine,
    user: &UserId,
    now: Timestamp,
) -> Result<Vec<ListedLogin>, StoreError> {
    let names = &engine.names;
    let sql = format!(
        "select sid, sess, expire from {} where sessile_user = $1 and expire > $2 and sessile_retires_at is null
         order by expire desc limit {LIST_MAX}",
        names.sessions,
    );
    let rows = engine.query(&sql, &[(&user.as_str(), Type::TEXT), (&Moment(now), Type::TIMESTAMP)]).await?;
    let mut logins = Vec::with_capacity(rows.len());
    for row in &rows {
        let data = LoginData::parse(column::<JsonText<'_>>(row, 1)?.0).unwrap_or_default();
        let expires_at = column::<Moment>(row, 2)?.0;
        logins.push(listed(engine.handle(column(row, 0)?), &data, expires_at, now));
    }
    Ok(logins)
}

pub(super) async fn count(engine: &PostgresEngine, now: Timestamp) -> Result<LoginCount, StoreError> {
    let sql = format!(
        "select count(*) from {} where expire > $1 and sessile_retires_at is null",
        engine.names.sessions
    );
    let rows = engine.query(&sql, &[(&Moment(now), Type::TIMESTAMP)]).await?;
    let live: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
    Ok(LoginCount { live: live.unsigned_abs(), more: false })
}

/// One row of the list. A session was last used about one lifetime before it ends.
fn listed(handle: DeviceHandle, data: &LoginData, expires_at: Timestamp, now: Timestamp) -> ListedLogin {
    let lifetime = data.max_age().flatten().unwrap_or(REMEMBER);
    let device = data.device();
    let created = device.as_ref().map_or(Timestamp::EPOCH, Device::created);
    let last_seen = expires_at.minus(lifetime).min(now).max(created);
    ListedLogin { handle, expires_at, last_seen, device }
}

pub(super) async fn revoke(
    engine: &PostgresEngine,
    user: &UserId,
    handle: &DeviceHandle,
    now: Timestamp,
) -> Result<Revoked, StoreError> {
    let names = &engine.names;
    let sql = format!("select sid from {} where sessile_user = $1 and expire > $2", names.sessions);
    let rows = engine.query(&sql, &[(&user.as_str(), Type::TEXT), (&Moment(now), Type::TIMESTAMP)]).await?;
    for row in &rows {
        let key: String = column(row, 0)?;
        if engine.handle(&key) == *handle {
            let ended = end(engine, user, &EndOf::One(&key), now).await?;
            return Ok(if ended == 0 { Revoked::NoSuchSession } else { Revoked::Yes });
        }
    }
    Ok(Revoked::NoSuchSession)
}

pub(super) async fn revoke_all(
    engine: &PostgresEngine,
    user: &UserId,
    except: Option<&LoginId>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let spared = except.map(|id| engine.key(id));
    end(engine, user, &EndOf::AllBut(spared.as_deref()), now).await
}

enum EndOf<'a> {
    One(&'a str),
    AllBut(Option<&'a str>),
}

/// Deletes, remembers and tells, in one transaction. Only live sessions are counted, and an id within its grace is
/// the same session as its successor.
async fn end(
    engine: &PostgresEngine,
    user: &UserId,
    which: &EndOf<'_>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let names = &engine.names;
    let (condition, key) = match which {
        EndOf::One(key) => ("sid = $2", Some(*key)),
        EndOf::AllBut(spared) => ("($2::text is null or sid <> $2)", *spared),
    };
    let delete = format!(
        "with gone as (
           delete from {sessions} where sessile_user = $1 and {condition}
           returning sid, expire, sessile_retires_at
         ), remembered as (
           insert into {ended} (sid, ended_at, forget_at)
           select sid, $3, greatest($4, expire + interval '1 day') from gone
           on conflict (sid) do update set ended_at = least({ended}.ended_at, excluded.ended_at)
         )
         select sid from gone where expire > $3 and sessile_retires_at is null",
        sessions = names.sessions,
        ended = names.ended,
    );
    let (at, forget) = (Moment(now), Moment(now.plus(REMEMBER)));
    let user = user.as_str();
    let parameters: [(&(dyn ToSql + Sync), Type); 4] =
        [(&user, Type::TEXT), (&key, Type::TEXT), (&at, Type::TIMESTAMP), (&forget, Type::TIMESTAMP)];
    let gone =
        delete_and_tell(engine, &delete, &parameters, LoginEventKind::Revoked, Some(user), now).await?;
    Ok(gone as u64)
}

/// Removes one batch of expired sessions, and of ends that are old enough to be forgotten.
pub(super) async fn sweep(
    engine: &PostgresEngine,
    now: Timestamp,
    batch: usize,
) -> Result<Swept, StoreError> {
    let names = &engine.names;
    let delete = format!(
        "with doomed as (
           select sid from {sessions} where expire <= $1 order by expire limit {batch} for update skip locked
         )
         delete from {sessions} s using doomed d where s.sid = d.sid returning s.sid, s.sessile_retires_at is null",
        sessions = names.sessions,
    );
    let at = Moment(now);
    let removed =
        delete_and_tell(engine, &delete, &[(&at, Type::TIMESTAMP)], LoginEventKind::Expired, None, now)
            .await?;
    let forget = format!(
        "with old as (select sid from {ended} where forget_at <= $1 limit {} for update skip locked)
         delete from {ended} e using old where e.sid = old.sid",
        batch.saturating_mul(FORGET_FACTOR),
        ended = names.ended,
    );
    engine.query(&forget, &[(&at, Type::TIMESTAMP)]).await?;
    Ok(Swept { removed: removed as u64, more: removed >= batch })
}

/// Runs a statement that deletes sessions and returns their keys, and writes one event each in the same transaction.
async fn delete_and_tell(
    engine: &PostgresEngine,
    delete: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
    kind: LoginEventKind,
    user: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    if engine.events == Choice::No {
        return Ok(engine.query(delete, parameters).await?.len());
    }
    let tell = format!(
        "insert into {} (kind, handle, user_id, at) select $1, h, $3, $4 from unnest($2::text[]) as h",
        engine.names.outbox
    );
    engine
        .database
        .run(|mut link| async move {
            let done = async {
                let transaction = link.client.transaction().await?;
                let rows = transaction.query_typed(delete, parameters).await?;
                let mut handles = Vec::with_capacity(rows.len());
                // An id that was regenerated away has told its end already.
                for row in &rows {
                    if row.len() < 2 || row.try_get(1)? {
                        handles.push(engine.handle(row.try_get(0)?).to_string());
                    }
                }
                let told: [(&(dyn ToSql + Sync), Type); 4] = [
                    (&kind.name(), Type::TEXT),
                    (&handles, Type::TEXT_ARRAY),
                    (&user, Type::TEXT),
                    (&Moment(now), Type::TIMESTAMP),
                ];
                transaction.query_typed(&tell, &told).await?;
                transaction.commit().await?;
                Ok(rows.len())
            }
            .await;
            (link, done)
        })
        .await
}

pub(super) async fn events(engine: &PostgresEngine, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
    let sql = format!(
        "select id, kind, handle, user_id, at from {} order by id limit {}",
        engine.names.outbox,
        limit.min(EVENTS_MAX)
    );
    let rows = engine.query(&sql, &[]).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let (kind, handle): (&str, &str) = (column(row, 1)?, column(row, 2)?);
        let (Some(kind), Some(handle)) = (LoginEventKind::parse(kind), DeviceHandle::parse(handle)) else {
            return Err(StoreError::Undecodable { place: format!("postgres table {}", engine.names.outbox) });
        };
        events.push(LoginEvent {
            id: column::<i64>(row, 0)?.to_string(),
            kind,
            handle,
            user: column::<Option<String>>(row, 3)?.and_then(UserId::parse),
            at: column::<Moment>(row, 4)?.0,
        });
    }
    Ok(events)
}

pub(super) async fn settle(engine: &PostgresEngine, events: &[LoginEvent]) -> Result<(), StoreError> {
    let ids: Vec<i64> = events.iter().filter_map(|event| event.id.parse().ok()).collect();
    let sql = format!("delete from {} where id = any($1)", engine.names.outbox);
    engine.query(&sql, &[(&ids, Type::INT8_ARRAY)]).await.map(drop)
}
