//! Batches of loads, swaps, touches and creations, one statement each.

use super::connect::{Database, Parameter, lost_a_race};
use super::people;
use super::schema::Names;
use super::statements::Statements;
use super::wire::{JsonText, Moment, Xid};
use crate::group::{Extended, Found, Insert, Inserted, LoginEngine, Row, Swap, Swapped};
use crate::options::{Choice, Layout, LoginOptions};
use async_trait::async_trait;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginCount, LoginEvent, LoginEventKind, LoginId, Persistence,
    Revoked, StoreInfo, Swept, UserId, Version,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::Row as PgRow;
use tokio_postgres::types::{ToSql, Type};

/// Ended ids are remembered this long after their session would have expired, against late writers.
const REMEMBER: Duration = Duration::from_secs(86_400);
/// How often a statement that lost a deadlock is run again.
const RACES_MAX: usize = 5;

/// One table and its side tables in one database.
pub(crate) struct PostgresEngine {
    pub(super) database: Database,
    pub(super) names: Names,
    pub(super) layout: Layout,
    pub(super) events: Choice,
    user_key: String,
    sql: Statements,
}

impl PostgresEngine {
    pub(super) fn new(database: Database, names: Names, options: &LoginOptions) -> Self {
        let sql = Statements::new(&names, options.events);
        Self {
            database,
            names,
            layout: options.layout,
            events: options.events,
            user_key: options.user_key.clone(),
            sql,
        }
    }

    /// What the table holds in place of the id.
    pub(super) fn key(&self, id: &LoginId) -> String {
        match self.layout {
            Layout::Shared => id.expose().to_owned(),
            Layout::StandAlone => id.hashed(),
        }
    }

    /// The handle of the session that is stored under `key`.
    pub(super) fn handle(&self, key: &str) -> DeviceHandle {
        match self.layout {
            Layout::Shared => {
                LoginId::parse(key).map_or_else(|| DeviceHandle::of_hash(key), |id| id.handle())
            }
            Layout::StandAlone => DeviceHandle::of_hash(key),
        }
    }

    /// Runs one statement; what lost a deadlock is run again.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut races = 0;
        loop {
            match self.database.query(sql, parameters).await {
                Err(error) if lost_a_race(&error) && races < RACES_MAX => races += 1,
                rows => return rows,
            }
        }
    }

    /// The rows of one answer by their first column.
    async fn by_key(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<HashMap<String, u32>, StoreError> {
        let rows = self.query(sql, parameters).await?;
        rows.iter().map(|row| Ok((column(row, 0)?, column::<Xid>(row, 1)?.0))).collect()
    }

    async fn which_ended(&self, missing: Vec<String>) -> Result<Vec<String>, StoreError> {
        let rows = self.query(&self.sql.ended, &[(&missing, Type::TEXT_ARRAY)]).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }
}

/// A column as a Rust value; a column of another type is a fault of the schema, told as such.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a PgRow,
    at: usize,
) -> Result<T, StoreError> {
    row.try_get(at).map_err(StoreError::unavailable)
}

fn row_of(row: &PgRow) -> Result<Row, StoreError> {
    Ok(Row {
        json: column::<JsonText<'_>>(row, 1)?.0.to_owned(),
        expires_at: column::<Moment>(row, 2)?.0,
        version: Version(column::<Xid>(row, 3)?.0.into()),
        retires_at: column::<Option<Moment>>(row, 4)?.map(|m| m.0),
    })
}

#[async_trait]
impl LoginEngine for PostgresEngine {
    async fn read(&self, ids: &[LoginId]) -> Result<Vec<Found>, StoreError> {
        let keys: Vec<String> = ids.iter().map(|id| self.key(id)).collect();
        let rows = match keys.as_slice() {
            [key] => self.query(&self.sql.read_one, &[(key, Type::TEXT)]).await?,
            keys => self.query(&self.sql.read, &[(&keys, Type::TEXT_ARRAY)]).await?,
        };
        let mut found: HashMap<&str, &PgRow> = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(column(row, 0)?, row);
        }
        let mut ended = Vec::new();
        if found.len() < keys.len() {
            let missing: Vec<String> =
                keys.iter().filter(|k| !found.contains_key(k.as_str())).cloned().collect();
            if !missing.is_empty() {
                ended = self.which_ended(missing).await?;
            }
        }
        keys.iter()
            .map(|key| match found.get(key.as_str()) {
                Some(row) => Ok(Found::Row(row_of(row)?)),
                None if ended.contains(key) => Ok(Found::Ended),
                None => Ok(Found::Nothing),
            })
            .collect()
    }

    async fn swap(&self, swaps: &[Swap<'_>], now: Timestamp) -> Result<Vec<Swapped>, StoreError> {
        let keys: Vec<String> = swaps.iter().map(|swap| self.key(swap.id)).collect();
        // A version of ours is a transaction id, which has 32 bits.
        let versions: Vec<Xid> =
            swaps.iter().map(|s| Xid(u32::try_from(s.expected.0).unwrap_or(0))).collect();
        let jsons: Vec<&str> = swaps.iter().map(|swap| swap.json).collect();
        let ends: Vec<Moment> = swaps.iter().map(|swap| Moment(swap.expires_at)).collect();
        let users: Vec<Option<&str>> = swaps.iter().map(|s| s.user.as_ref().map(UserId::as_str)).collect();
        let done = self
            .by_key(
                &self.sql.swap,
                &[
                    (&keys, Type::TEXT_ARRAY),
                    (&versions, Type::XID_ARRAY),
                    (&jsons, Type::TEXT_ARRAY),
                    (&ends, Type::TIMESTAMP_ARRAY),
                    (&Moment(now), Type::TIMESTAMP),
                    (&users, Type::TEXT_ARRAY),
                ],
            )
            .await?;
        let outcome = |key: &String| match done.get(key) {
            Some(version) => Swapped::Done(Version((*version).into())),
            None => Swapped::Stale,
        };
        Ok(keys.iter().map(outcome).collect())
    }

    async fn extend(
        &self,
        touches: &[(LoginId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<Extended>, StoreError> {
        let keys: Vec<String> = touches.iter().map(|(id, _)| self.key(id)).collect();
        let ends: Vec<Moment> = touches.iter().map(|(_, end)| Moment(*end)).collect();
        let rows = self
            .query(
                &self.sql.extend,
                &[(&keys, Type::TEXT_ARRAY), (&ends, Type::TIMESTAMP_ARRAY), (&Moment(now), Type::TIMESTAMP)],
            )
            .await?;
        if rows.len() == keys.len() {
            return Ok(vec![Extended::Done; keys.len()]);
        }
        let done: Vec<&str> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
        let outcome =
            |key: &String| if done.contains(&key.as_str()) { Extended::Done } else { Extended::Gone };
        Ok(keys.iter().map(outcome).collect())
    }

    async fn insert(&self, inserts: &[Insert<'_>], now: Timestamp) -> Result<Vec<Inserted>, StoreError> {
        let keys: Vec<String> = inserts.iter().map(|insert| self.key(&insert.login.id)).collect();
        let jsons: Vec<&str> = inserts.iter().map(|insert| insert.json).collect();
        let ends: Vec<Moment> = inserts.iter().map(|insert| Moment(insert.login.expires_at)).collect();
        let users: Vec<Option<&str>> = inserts.iter().map(|i| i.user.as_ref().map(UserId::as_str)).collect();
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&keys, Type::TEXT_ARRAY),
            (&jsons, Type::TEXT_ARRAY),
            (&ends, Type::TIMESTAMP_ARRAY),
            (&users, Type::TEXT_ARRAY),
        ];
        let (kind, at) = (LoginEventKind::Created.name(), Moment(now));
        let handles: Vec<String> = inserts.iter().map(|i| i.login.id.handle().to_string()).collect();
        if self.events == Choice::Yes {
            parameters.extend([
                (&kind as &(dyn ToSql + Sync), Type::TEXT),
                (&at, Type::TIMESTAMP),
                (&handles, Type::TEXT_ARRAY),
            ]);
        }
        let made = self.by_key(&self.sql.insert, &parameters).await?;
        let outcome = |key: &String| match made.get(key) {
            Some(version) => Inserted::Done(Version((*version).into())),
            None => Inserted::Taken,
        };
        Ok(keys.iter().map(outcome).collect())
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        insert: &Insert<'_>,
        now: Timestamp,
    ) -> Result<Inserted, StoreError> {
        let (key, old_key) = (self.key(&insert.login.id), self.key(old));
        let (ends, retires, at) = (Moment(insert.login.expires_at), Moment(retires_at), Moment(now));
        let forget = Moment(insert.login.expires_at.max(retires_at).plus(REMEMBER));
        let user = insert.user.as_ref().map(UserId::as_str);
        let mut parameters: Vec<Parameter<'_>> = vec![
            (&key, Type::TEXT),
            (&insert.json, Type::TEXT),
            (&ends, Type::TIMESTAMP),
            (&old_key, Type::TEXT),
            (&retires, Type::TIMESTAMP),
            (&forget, Type::TIMESTAMP),
            (&user, Type::TEXT),
        ];
        let (kind, handle) = (LoginEventKind::Regenerated.name(), insert.login.id.handle().to_string());
        if self.events == Choice::Yes {
            parameters.extend([
                (&kind as &(dyn ToSql + Sync), Type::TEXT),
                (&handle, Type::TEXT),
                (&at, Type::TIMESTAMP),
            ]);
        }
        let made = self.by_key(&self.sql.replace, &parameters).await?;
        if let Some(version) = made.get(&key) {
            return Ok(Inserted::Done(Version((*version).into())));
        }
        // Nothing was made: either the new id is there already, or the old one is not.
        match self.read(std::slice::from_ref(&insert.login.id)).await?.pop() {
            Some(Found::Row(_) | Found::Ended) => Ok(Inserted::Taken),
            Some(Found::Nothing) | None => Err(StoreError::Gone),
        }
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        let key = self.key(id);
        let (at, forget) = (Moment(now), Moment(now.plus(REMEMBER)));
        let mut parameters: Vec<Parameter<'_>> =
            vec![(&key, Type::TEXT), (&at, Type::TIMESTAMP), (&forget, Type::TIMESTAMP)];
        let (kind, handle) = (LoginEventKind::from(reason).name(), id.handle().to_string());
        if self.events == Choice::Yes {
            parameters.extend([(&kind as &(dyn ToSql + Sync), Type::TEXT), (&handle, Type::TEXT)]);
        }
        self.query(&self.sql.destroy, &parameters).await.map(drop)
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        people::list(self, user, now).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        people::revoke(self, user, handle, now).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        people::revoke_all(self, user, except, now).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        people::sweep(self, now, batch).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        people::count(self, now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        people::events(self, limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        people::settle(self, events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.query("select 1", &[]).await.map(drop)
    }

    fn user_key(&self) -> &str {
        &self.user_key
    }

    fn place_of(&self, id: &LoginId) -> String {
        format!("postgres table {}, session {}", self.names.sessions, id.fingerprint())
    }

    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "postgres",
            place: format!("{} {} ({})", self.database.place, self.names.sessions, self.layout),
            persistence: Persistence::Durable,
            degraded: None,
        }
    }
}
