//! The statements of the login engine, built once from the names of the tables.
//!
//! Each is one transaction over a whole batch, with its condition inside. Where events are recorded, the outbox rows
//! are written by the same statement.

use super::schema::Names;
use crate::options::Choice;

/// The statements, built once.
pub(super) struct Statements {
    pub(super) read_one: String,
    pub(super) read: String,
    pub(super) ended: String,
    pub(super) swap: String,
    pub(super) extend: String,
    pub(super) insert: String,
    pub(super) replace: String,
    pub(super) destroy: String,
}

impl Statements {
    pub(super) fn new(names: &Names, events: Choice) -> Self {
        let Names { sessions, ended, .. } = names;
        let columns = "sid, sess, expire, xmin, sessile_retires_at";
        Self {
            read_one: format!("select {columns} from {sessions} where sid = $1"),
            read: format!("select {columns} from {sessions} where sid = any($1)"),
            ended: format!("select sid from {ended} where sid = any($1)"),
            swap: swap(names),
            extend: extend(names),
            insert: insert(names, events),
            replace: replace(names, events),
            destroy: destroy(names, events),
        }
    }
}

/// A further part of a `with` that writes the outbox rows, if anybody wants them.
fn event(names: &Names, events: Choice, from: &str) -> String {
    match events {
        Choice::Yes => format!(", told as (insert into {} (kind, handle, user_id, at) {from})", names.outbox),
        Choice::No => String::new(),
    }
}

fn swap(names: &Names) -> String {
    let Names { sessions, .. } = names;
    format!(
        "update {sessions} s set sess = v.sess::json, expire = v.expire, sessile_user = v.user_id,
                               sessile_writes = coalesce(s.sessile_writes, 0) + 1
         from unnest($1::text[], $2::xid[], $3::text[], $4::timestamp[], $6::text[])
              as v(sid, version, sess, expire, user_id)
         where s.sid = v.sid and s.xmin = v.version and s.expire > $5 and s.sessile_retires_at is null
         returning s.sid, s.xmin"
    )
}

fn extend(names: &Names) -> String {
    let Names { sessions, .. } = names;
    format!(
        "update {sessions} s set expire = greatest(s.expire, v.expire), sessile_writes = s.sessile_writes + 1
         from unnest($1::text[], $2::timestamp[]) as v(sid, expire)
         where s.sid = v.sid and s.expire > $3 and s.sessile_retires_at is null
         returning s.sid"
    )
}

fn insert(names: &Names, events: Choice) -> String {
    let Names { sessions, ended, .. } = names;
    format!(
        "with made as (
           insert into {sessions} (sid, sess, expire, sessile_user, sessile_writes)
           select v.sid, v.sess::json, v.expire, v.user_id, 0
           from unnest($1::text[], $2::text[], $3::timestamp[], $4::text[]) as v(sid, sess, expire, user_id)
           where not exists (select 1 from {ended} e where e.sid = v.sid)
           on conflict (sid) do nothing
           returning sid, xmin, sessile_user
         ){event}
         select sid, xmin from made",
        event = event(
            names,
            events,
            "select $5, t.handle, made.sessile_user, $6
             from unnest($1::text[], $7::text[]) as t(sid, handle) join made using (sid)"
        ),
    )
}

/// The old row is locked first. A logout at the same moment either waits for us, or we wait for it and then see that
/// a row we saw is no longer there.
fn replace(names: &Names, events: Choice) -> String {
    let Names { sessions, ended, .. } = names;
    format!(
        "with old as (
           select sid from {sessions} where sid = $4 for update
         ), made as (
           insert into {sessions} (sid, sess, expire, sessile_user, sessile_writes)
           select $1::text, $2::text::json, $3::timestamp, $7::text, 0
           where not exists (select 1 from {ended} e where e.sid in ($1::text, $4::text))
             and (select count(*) from old) = (select count(*) from {sessions} where sid = $4)
           on conflict (sid) do nothing
           returning sid, xmin
         ), retired as (
           update {sessions} s set sessile_retires_at = $5, expire = least(s.expire, $5),
                                 sessile_writes = coalesce(s.sessile_writes, 0) + 1
           from made where s.sid = $4
         ), remembered as (
           insert into {ended} (sid, ended_at, forget_at) select $4::text, $5, $6 from made
           on conflict (sid) do update set ended_at = least({ended}.ended_at, excluded.ended_at)
         ){event}
         select sid, xmin from made",
        event = event(names, events, "select $8::text, $9::text, $7::text, $10::timestamp from made"),
    )
}

fn destroy(names: &Names, events: Choice) -> String {
    let Names { sessions, ended, .. } = names;
    format!(
        "with gone as (
           delete from {sessions} where sid = $1 returning sid, expire, sessile_user
         ), remembered as (
           insert into {ended} (sid, ended_at, forget_at)
           values ($1, $2, greatest($3, (select expire + interval '1 day' from gone)))
           on conflict (sid) do update set ended_at = least({ended}.ended_at, excluded.ended_at)
         ){event}
         select sid from gone",
        event = event(names, events, "select $4::text, $5::text, sessile_user, $2::timestamp from gone"),
    )
}
