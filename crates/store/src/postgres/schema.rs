//! The tables: connect-pg-simple's own, as it is, with one nullable column and two side tables of ours; or the same
//! shape under our own name with hashed ids. Created when missing, under an advisory lock, in one transaction, so
//! that sixteen processes may start on an empty database at once.
//!
//! The schema's version is a comment on a side table. Migrations only ever expand.

use super::connect::Database;
use crate::open::OpenError;
use crate::options::{Choice, Layout, LoginOptions};
use sessile_core::StoreError;

/// What this program writes as its schema's version.
pub(super) const VERSION: u32 = 1;
/// Longest table name: what is derived from it has to fit into 63 bytes.
const TABLE_CHARS_MAX: usize = 40;

/// The names of our tables, quoted, with their schema.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) sessions: String,
    pub(super) ended: String,
    pub(super) outbox: String,
    /// `'userId'` as an SQL literal.
    pub(super) user_key: String,
}

impl Names {
    pub(super) fn new(schema: &str, options: &LoginOptions) -> Result<Self, OpenError> {
        let table = options.table.clone().unwrap_or_else(|| match options.layout {
            Layout::Shared => "session".to_owned(),
            Layout::StandAlone => "sessile_login".to_owned(),
        });
        for name in [schema, &table] {
            if name.is_empty() || name.len() > TABLE_CHARS_MAX || name.contains(['\0', '"']) {
                let what =
                    format!("schema and table names have 1 to {TABLE_CHARS_MAX} bytes and no double quote");
                return Err(OpenError::Unusable { what });
            }
        }
        let quoted = |suffix: &str| format!("\"{schema}\".\"{table}{suffix}\"");
        Ok(Self {
            sessions: quoted(""),
            ended: quoted("_ended"),
            outbox: quoted("_outbox"),
            user_key: format!("'{}'", options.user_key.replace('\'', "''")),
            schema: schema.to_owned(),
            table,
        })
    }

    /// A name derived from the table's, so that two tables in one schema do not collide.
    fn derived(&self, pattern: &str) -> String {
        format!("\"{}\"", pattern.replace("{}", &self.table))
    }

    fn qualified(&self, pattern: &str) -> String {
        format!("\"{}\".{}", self.schema, self.derived(pattern))
    }
}

/// The statements that bring any earlier state to the present one. Each may run again.
pub(super) fn ddl(names: &Names, guard: Choice) -> String {
    let Names { sessions, ended, outbox, .. } = names;
    let primary_key = names.derived("{}_pkey");
    let expire_index = names.derived("IDX_{}_expire");
    let user_index = names.derived("IDX_{}_user");
    let forget_index = names.derived("IDX_{}_ended_forget");
    let mut sql = format!(
        r#"
create table if not exists {sessions} (
  sid varchar not null collate "default",
  sess json not null,
  expire timestamp(6) not null,
  constraint {primary_key} primary key (sid) not deferrable initially immediate
);
create index if not exists {expire_index} on {sessions} (expire);
alter table {sessions}
  add column if not exists sessile_user text,
  add column if not exists sessile_writes integer,
  add column if not exists sessile_retires_at timestamp(6);
create index if not exists {user_index} on {sessions} (sessile_user) where sessile_user is not null;
create table if not exists {ended} (
  sid varchar primary key,
  ended_at timestamp(6) not null,
  forget_at timestamp(6) not null
);
create index if not exists {forget_index} on {ended} (forget_at);
create table if not exists {outbox} (
  id bigint generated always as identity primary key,
  kind text not null,
  handle text not null,
  user_id text,
  at timestamp(6) not null
);
alter table {ended} enable row level security;
alter table {outbox} enable row level security;
"#
    );
    if guard == Choice::Yes {
        sql.push_str(&guard_ddl(names));
    }
    sql.push_str(&format!("comment on table {ended} is 'sessile login schema {VERSION}';\n"));
    sql
}

/// What connect-pg-simple does not know: its upsert must not bring an ended session back, nor prolong one that is
/// retiring; what it deletes has ended; and the user it writes goes into our column. Each trigger looks at
/// `sessile_writes` first, which only we change, so that our own statements pay nothing for them.
///
/// An ended id is looked for twice. An upsert that waits for a row whose delete is being committed inserts one in the
/// end, long after the trigger before the insert has looked; the one after the insert takes it away again.
///
/// They run with the rights of whoever made them: Express may connect under a role that has none on our tables.
///
/// The user is read in a function that answers null when it cannot: `->>` refuses a JSON text that holds a NUL or
/// half a surrogate pair anywhere, and Express writes both.
fn guard_ddl(names: &Names) -> String {
    let Names { sessions, ended, user_key, .. } = names;
    let user_of = names.qualified("{}_sessile_user");
    let each = ["insert", "inserted", "update", "delete"];
    let [insert, inserted, update, delete] = each.map(|on| names.qualified(&format!("{{}}_sessile_{on}")));
    let [on_insert, on_inserted, on_update, on_delete] =
        each.map(|on| names.derived(&format!("{{}}_sessile_{on}")));
    let trigger = "returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp";
    let utc = "(clock_timestamp() at time zone 'UTC')";
    format!(
        r"
create or replace function {user_of}(sess text) returns text language plpgsql immutable as $guard$
begin
  return sess::json->>{user_key};
exception when others then
  return null;
end $guard$;
create or replace function {insert}() {trigger} as $guard$
begin
  if exists (select 1 from {ended} e where e.sid = new.sid and e.ended_at <= {utc}) then
    return null;
  end if;
  new.sessile_user := {user_of}(new.sess::text);
  return new;
end $guard$;
create or replace function {inserted}() {trigger} as $guard$
begin
  if exists (select 1 from {ended} e where e.sid = new.sid and e.ended_at <= {utc}) then
    delete from {sessions} s where s.sid = new.sid;
  end if;
  return null;
end $guard$;
create or replace function {update}() {trigger} as $guard$
begin
  new.expire := least(new.expire, old.sessile_retires_at);
  new.sessile_user := {user_of}(new.sess::text);
  return new;
end $guard$;
create or replace function {delete}() {trigger} as $guard$
begin
  insert into {ended} (sid, ended_at, forget_at) values (old.sid, {utc}, old.expire + interval '1 day')
  on conflict (sid) do nothing;
  return null;
end $guard$;
revoke all on function {insert}(), {inserted}(), {update}(), {delete}() from public;
create or replace trigger {on_insert} before insert on {sessions}
  for each row when (new.sessile_writes is null) execute function {insert}();
create or replace trigger {on_inserted} after insert on {sessions}
  for each row when (new.sessile_writes is null) execute function {inserted}();
create or replace trigger {on_update} before update of sess, expire on {sessions}
  for each row when (new.sessile_writes is not distinct from old.sessile_writes
                     and (old.sessile_retires_at is not null or new.sess::text is distinct from old.sess::text))
  execute function {update}();
create or replace trigger {on_delete} after delete on {sessions}
  for each row when (old.expire > {utc}) execute function {delete}();
"
    )
}

/// Rows that Express wrote before we came get their user, a batch at a time. The answer is the last key looked at.
pub(super) fn backfill(names: &Names) -> String {
    let Names { sessions, .. } = names;
    let user_of = names.qualified("{}_sessile_user");
    format!(
        "with batch as (
           select sid from {sessions} where sid > $1 and sessile_writes is null order by sid limit $2
           for update skip locked
         ), filled as (
           update {sessions} s set sessile_user = {user_of}(s.sess::text), sessile_writes = 0
           from batch where s.sid = batch.sid
         )
         select max(sid) from batch"
    )
}

/// Everything in one transaction, one process at a time.
pub(super) fn script(names: &Names, options: &LoginOptions, exists: Exists) -> String {
    let rls = match exists {
        // A table that somebody else made keeps the rights that its owner chose.
        Exists::Yes => String::new(),
        Exists::No => format!("alter table {} enable row level security;\n", names.sessions),
    };
    let lock = lock_key(names);
    let ddl = ddl(names, guard_of(options));
    format!("begin;\nselect pg_advisory_xact_lock({lock});\n{ddl}{rls}commit;\n")
}

/// Stand-alone tables have no Express beside them to guard against.
fn guard_of(options: &LoginOptions) -> Choice {
    match options.layout {
        Layout::Shared => options.guard,
        Layout::StandAlone => Choice::No,
    }
}

/// Whether the session table was there before us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exists {
    Yes,
    No,
}

fn lock_key(names: &Names) -> i64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("sessile login {}.{}", names.schema, names.table).as_bytes());
    i64::from_be_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ])
}

/// What the database says about our tables.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) exists: Exists,
    pub(super) version: Option<u32>,
    pub(super) columns: Vec<(String, String)>,
    pub(super) time_zone: String,
}

/// Looks, without taking any lock.
pub(super) async fn look(database: &Database, names: &Names) -> Result<Found, StoreError> {
    let sql = format!(
        "select to_regclass('{sessions}') is not null,
                obj_description(to_regclass('{ended}'), 'pg_class'),
                current_setting('TimeZone'),
                coalesce((select array_agg(a.attname::text || ' ' || format_type(a.atttypid, null))
                          from pg_attribute a
                          where a.attrelid = to_regclass('{sessions}') and a.attnum > 0 and not a.attisdropped),
                         array[]::text[])",
        sessions = names.sessions.replace('\'', "''"),
        ended = names.ended.replace('\'', "''"),
    );
    let row = database
        .run(|link| async move {
            let row = link.client.query_typed(&sql, &[]).await;
            (link, row)
        })
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| StoreError::unavailable("the catalogue gave no answer"))?;
    let comment: Option<String> = row.get(1);
    let columns: Vec<String> = row.get(3);
    Ok(Found {
        exists: if row.get(0) { Exists::Yes } else { Exists::No },
        version: comment.and_then(|c| c.rsplit(' ').next().and_then(|v| v.parse().ok())),
        columns: columns
            .iter()
            .filter_map(|c| c.split_once(' '))
            .map(|(name, ty)| (name.to_owned(), ty.to_owned()))
            .collect(),
        time_zone: row.get(2),
    })
}

/// The schema that unqualified names go to.
pub(super) async fn current_schema(database: &Database) -> Result<String, StoreError> {
    let rows = database
        .run(|link| async move {
            let rows =
                link.client.query_typed("select coalesce(current_schema()::text, 'public')", &[]).await;
            (link, rows)
        })
        .await?;
    Ok(rows.first().map_or_else(|| "public".to_owned(), |row| row.get(0)))
}

/// Refuses a table of another shape, with the remedy.
pub(super) fn check_shape(found: &Found, names: &Names, place: &str) -> Result<(), OpenError> {
    let refuse = |what: String| Err(OpenError::Schema { place: place.to_owned(), what });
    if let Some(version) = found.version
        && version > VERSION
    {
        return refuse(format!(
            "its login tables have schema version {version}, this program knows {VERSION}; start the newer program"
        ));
    }
    if found.exists == Exists::No {
        return Ok(());
    }
    for (column, types) in [
        ("sid", &["character varying", "text"][..]),
        ("sess", &["json", "jsonb"]),
        ("expire", &["timestamp without time zone"]),
    ] {
        match found.columns.iter().find(|(name, _)| name == column) {
            Some((_, ty)) if types.contains(&ty.as_str()) => {}
            Some((_, ty)) => {
                return refuse(format!(
                    "column {column} of {} has type {ty}, needed is {}; choose another table with SESSILE_LOGIN_TABLE",
                    names.sessions, types[0]
                ));
            }
            None => {
                return refuse(format!(
                    "{} has no column {column}, so it is not connect-pg-simple's table; \
                     choose another one with SESSILE_LOGIN_TABLE",
                    names.sessions
                ));
            }
        }
    }
    Ok(())
}
