//! Users in Postgres: two small tables, created under an advisory lock, row-level security on.
//!
//! A sign-in is one statement. Two first sign-ins of one person at once derive the same id, so the loser of the race
//! finds the winner's row. A `users` table of another application is refused with a remedy, never changed.

use super::check_table;
use crate::open::OpenError;
use crate::options::Choice;
use crate::postgres::connect::{Database, Parameter};
use async_trait::async_trait;
use sessile_core::user::{Arrival, User, UserDirectory, UserUuid};
use sessile_core::{StoreError, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Any number that nobody else uses: "sessusr1" as a big-endian integer.
const LOCK: i64 = 0x7365_7373_7573_7231;

/// A directory in a Postgres database.
pub struct PostgresUsers {
    database: Database,
    sign_in: String,
    find: String,
}

impl PostgresUsers {
    /// Connects, checks the tables and, unless told otherwise, creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, table: &str, create: Choice) -> Result<Self, OpenError> {
        check_table(table)?;
        let database = Database::new(url)?;
        let unreachable = |error: StoreError| OpenError::unreachable(&database.place, &error);
        if columns(&database, table).await.map_err(unreachable)?.is_empty() {
            if create == Choice::No {
                let what = format!("the table {table} is missing; run `sessile migrate`");
                return Err(OpenError::Schema { place: database.place.clone(), what });
            }
            database.script(&script(table)).await.map_err(unreachable)?;
        }
        let found = columns(&database, table).await.map_err(unreachable)?;
        if let Some(wrong) = wrong_column(&found) {
            let what = format!(
                "the table {table} is not ours ({wrong}); name another one with SESSILE_USERS_TABLE=sessile_users"
            );
            return Err(OpenError::Schema { place: database.place.clone(), what });
        }
        // It may stand there alone, when somebody pasted half of the script.
        let identity = format!("{table}_identity");
        if create == Choice::Yes && columns(&database, &identity).await.map_err(unreachable)?.is_empty() {
            database.script(&script(table)).await.map_err(unreachable)?;
        }
        Ok(Self { sign_in: sign_in_sql(table), find: find_sql(table), database })
    }

    /// The SQL that `open` runs, to be pasted into an editor by somebody who owns the schema.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] for a name that is no plain one.
    pub fn sql(table: &str) -> Result<String, OpenError> {
        check_table(table).map(|()| script(table))
    }
}

fn script(table: &str) -> String {
    format!(
        "begin;
select pg_advisory_xact_lock({LOCK});
create table if not exists {table} (
  id uuid primary key,
  email text,
  tier text not null default 'free',
  created_at timestamptz not null
);
create table if not exists {table}_identity (
  provider text not null,
  subject text not null,
  user_id uuid not null references {table} (id) on delete cascade,
  primary key (provider, subject)
);
alter table {table} enable row level security;
alter table {table}_identity enable row level security;
commit;
"
    )
}

async fn columns(database: &Database, table: &str) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "select a.attname::text, format_type(a.atttypid, null) from pg_attribute a \
               where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped";
    let rows = database.query(sql, &[(&table, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn wrong_column(found: &[(String, String)]) -> Option<String> {
    let needed =
        [("id", "uuid"), ("email", "text"), ("tier", "text"), ("created_at", "timestamp with time zone")];
    needed.iter().find_map(|(name, ty)| match found.iter().find(|(column, _)| column == name) {
        Some((_, other)) if other == ty => None,
        Some((_, other)) => Some(format!("column {name} has type {other}, needed is {ty}")),
        None => Some(format!("it has no column {name}")),
    })
}

const MILLISECONDS: &str = "(extract(epoch from created_at) * 1000)::bigint";

fn sign_in_sql(table: &str) -> String {
    format!(
        "with known as (select user_id from {table}_identity where provider = $1 and subject = $2),
              who as (select coalesce((select user_id from known), $3::text::uuid) as id),
              put as (
                insert into {table} as u (id, email, tier, created_at)
                select id, $4, $5, to_timestamp($6::bigint / 1000.0) from who
                on conflict (id) do update set email = coalesce(excluded.email, u.email)
                returning id, email, tier, created_at
              ),
              link as (
                insert into {table}_identity (provider, subject, user_id) select $1, $2, id from put
                on conflict do nothing
              )
         select id::text, email, tier, {MILLISECONDS} from put"
    )
}

fn find_sql(table: &str) -> String {
    format!("select id::text, email, tier, {MILLISECONDS} from {table} where id = $1::text::uuid")
}

fn user_of(row: &Row) -> Option<User> {
    let id: String = row.get(0);
    Some(User {
        id: UserUuid::parse(&id)?,
        email: row.get(1),
        tier: row.get(2),
        created_at: Timestamp::from_unix_ms(row.get(3)),
    })
}

#[async_trait]
impl UserDirectory for PostgresUsers {
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError> {
        let fresh = arrival.as_new_user();
        let (provider, subject, id) = (arrival.who.provider(), arrival.who.subject(), fresh.id.as_str());
        let parameters: [Parameter<'_>; 6] = [
            (&provider, Type::TEXT),
            (&subject, Type::TEXT),
            (&id, Type::TEXT),
            (&arrival.email, Type::TEXT),
            (&fresh.tier, Type::TEXT),
            (&arrival.at.unix_ms(), Type::INT8),
        ];
        let rows = self.database.query(&self.sign_in, &parameters).await?;
        Ok(rows.first().and_then(user_of).unwrap_or(fresh))
    }

    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError> {
        let rows = self.database.query(&self.find, &[(&id.as_str(), Type::TEXT)]).await?;
        Ok(rows.first().and_then(user_of))
    }
}
