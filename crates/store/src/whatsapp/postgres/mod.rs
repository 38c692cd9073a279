//! WhatsApp devices in Postgres, in the table that operators know: `whatsapp_sessions`, and the keys beside it.
//!
//! A step is one statement with its condition inside, so it works behind a transaction-mode pooler, costs one round trip
//! however many rows it has, and is applied whole or not at all. The lease runs by the database's clock; there is no
//! advisory lock, because a pooler would grant it twice. Row-level security that hides rows is refused, never "no device".

mod schema;
mod statements;

pub use schema::TABLES;

use super::failpoint;
use super::rules::{self, Verdict};
use crate::open::OpenError;
use crate::options::Choice;
use crate::postgres::connect::{Database, Parameter};
use async_trait::async_trait;
use sessile_core::whatsapp::{
    Acquired, Committed, DEVICE_BYTES_MAX, DeviceHead, DeviceId, DeviceRow, DeviceState, DeviceStore,
    DeviceStoreError, Epoch, KeyHash, KeyKind, OwnerId, RowKey, Step, StepId, StoreInfo, StoreMode, Version,
    Wanted,
};
use sessile_core::{StoreError, Timestamp};
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// Attempts at a statement whose refusal the row, as it stands afterwards, does not explain: somebody was faster.
const ROUNDS_MAX: usize = 8;
/// Columns of a head.
const HEAD_COLUMNS: usize = 11;

/// WhatsApp devices in a Postgres database.
pub struct PostgresDevices {
    database: Database,
}

impl PostgresDevices {
    /// Connects and, unless told otherwise, creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, create: Choice) -> Result<Self, OpenError> {
        let database = Database::new(url)?;
        schema::ensure(&database, create).await?;
        Ok(Self { database })
    }

    /// The SQL of the tables.
    #[must_use]
    pub const fn sql() -> &'static str {
        TABLES
    }

    async fn query(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, DeviceStoreError> {
        self.database.query(sql, parameters).await.map_err(told)
    }

    /// Why a statement that names an owner's epoch found nothing to change.
    async fn refusal(&self, device: &DeviceId, epoch: Epoch) -> DeviceStoreError {
        match self.head(device).await {
            Err(error) => error,
            Ok(head) => match rules::fence(head.as_ref(), epoch) {
                Err(error) => error,
                Ok(()) => overtaken(),
            },
        }
    }

    /// Nothing was seen; whether that proves that there is nothing.
    async fn prove_absence(&self) -> Result<(), DeviceStoreError> {
        let rows = self.query(statements::HIDDEN, &[]).await?;
        if rows.first().is_none_or(|row| row.get(0)) { Err(hidden()) } else { Ok(()) }
    }
}

/// What the database refuses us, and what is unknown.
fn told(error: StoreError) -> DeviceStoreError {
    let cause = match error {
        StoreError::Unavailable(cause) | StoreError::Refused(cause) => cause,
        other => return DeviceStoreError::unavailable(other),
    };
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    let is_denied = code.is_some_and(|code| {
        [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ]
        .contains(code)
    });
    if is_denied {
        return DeviceStoreError::Denied(
            "this role may not use whatsapp_sessions and whatsapp_keys; connect as their owner or as service_role"
                .to_owned(),
        );
    }
    DeviceStoreError::Unavailable(cause)
}

fn hidden() -> DeviceStoreError {
    DeviceStoreError::Denied(
        "row-level security hides whatsapp_sessions from this role; connect as its owner or as service_role"
            .to_owned(),
    )
}

fn overtaken() -> DeviceStoreError {
    DeviceStoreError::unavailable("the device changed hands at each attempt")
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn ms_of(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

const fn wanted_text(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Running => "running",
        Wanted::Stopped => "stopped",
    }
}

/// The first columns of a row; `None`: there is no device, or one whose name cannot be ours.
fn head_of(row: &Row) -> Result<Option<DeviceHead>, DeviceStoreError> {
    let Some(device) = row.get::<_, Option<&str>>(0).and_then(DeviceId::parse) else { return Ok(None) };
    let last_step = row.get::<_, Option<&[u8]>>(3).map(<[u8; 16]>::try_from).transpose();
    let last_step = last_step.map_err(|_| damaged(&device, "its last step has no name"))?;
    let moment = |at: usize| Timestamp::from_unix_ms(row.get(at));
    Ok(Some(DeviceHead {
        epoch: Epoch(unsigned(row.get(1))),
        version: Version(unsigned(row.get(2))),
        last_step: last_step.map(StepId),
        held_until: row.get::<_, Option<i64>>(4).map(Timestamp::from_unix_ms),
        wanted: if row.get::<_, &str>(5) == "stopped" { Wanted::Stopped } else { Wanted::Running },
        wrapped_key: row.get(6),
        has_credentials: row.get(7),
        moved_to: row.get(8),
        created_at: moment(9),
        updated_at: moment(10),
        device,
    }))
}

fn damaged(device: &DeviceId, what: &str) -> DeviceStoreError {
    DeviceStoreError::Damaged(format!("the row of {device} in whatsapp_sessions: {what}"))
}

fn acquired_of(row: &Row) -> Result<Acquired, DeviceStoreError> {
    let head = head_of(row)?.ok_or_else(overtaken)?;
    Ok(Acquired { epoch: head.epoch, head })
}

/// Rows as arrays: kinds, hashes, values.
type Arrays<'a> = (Vec<&'static str>, Vec<&'a [u8]>, Vec<&'a [u8]>);

fn arrays_of(rows: &[DeviceRow]) -> Arrays<'_> {
    let kinds = rows.iter().map(|row| row.key.kind.as_str()).collect();
    let hashes = rows.iter().map(|row| row.key.hash.0.as_slice()).collect();
    (kinds, hashes, rows.iter().map(|row| &*row.value).collect())
}

fn rows_of(device: &DeviceId, row: &Row) -> Result<Vec<DeviceRow>, DeviceStoreError> {
    let column = |at: usize| row.get::<_, Option<Vec<&[u8]>>>(HEAD_COLUMNS + at).unwrap_or_default();
    let kinds: Vec<&str> = row.get::<_, Option<_>>(HEAD_COLUMNS + 1).unwrap_or_default();
    let (hashes, values) = (column(2), column(3));
    let read = |((kind, hash), value): ((&str, &[u8]), &[u8])| {
        let kind = KeyKind::parse(kind)?;
        let hash = KeyHash(<[u8; 32]>::try_from(hash).ok()?);
        Some(DeviceRow { key: RowKey { kind, hash }, value: value.into() })
    };
    let rows = kinds.into_iter().zip(hashes).zip(values).map(read);
    let unknown =
        || damaged(device, "it has a key of a kind that this program does not know; start the newer one");
    rows.collect::<Option<Vec<_>>>().ok_or_else(unknown)
}

/// What a step's statement answered: `None` when the row, as it stood, does not explain why nothing happened.
fn committed_of(row: &Row, step: &Step) -> Result<Option<Committed>, DeviceStoreError> {
    if row.get::<_, i64>(HEAD_COLUMNS) == 1 {
        return Ok(Some(Committed::Applied));
    }
    let head = head_of(row)?;
    if head.is_none() && row.get::<_, bool>(HEAD_COLUMNS + 2) {
        return Err(hidden());
    }
    if rules::judge(head.as_ref(), step)? == Verdict::Again {
        return Ok(Some(Committed::Again));
    }
    let size = usize::try_from(row.get::<_, Option<i64>>(HEAD_COLUMNS + 1).unwrap_or(0)).unwrap_or(0);
    rules::fits(size + rules::bytes_of(step))?;
    Ok(None)
}

#[async_trait]
impl DeviceStore for PostgresDevices {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "postgres",
            mode: StoreMode::Direct,
            place: format!("{}, whatsapp_sessions", self.database.place),
        }
    }

    async fn ping(&self) -> Result<(), DeviceStoreError> {
        self.prove_absence().await
    }

    async fn acquire(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        let ttl = ms_of(ttl);
        for _ in 0..ROUNDS_MAX {
            let parameters: [Parameter<'_>; 3] =
                [(&device.as_str(), Type::TEXT), (&owner.as_str(), Type::TEXT), (&ttl, Type::INT8)];
            let rows = self.query(statements::ACQUIRE, &parameters).await?;
            if let Some(row) = rows.first() {
                return acquired_of(row);
            }
            let Some(head) = self.head(device).await? else { continue };
            rules::here(&head)?;
            if let Some(until) = head.held_until {
                return Err(DeviceStoreError::Held { until });
            }
        }
        Err(overtaken())
    }

    async fn renew(&self, device: &DeviceId, epoch: Epoch, ttl: Duration) -> Result<(), DeviceStoreError> {
        let (number, ttl) = (signed(epoch.0), ms_of(ttl));
        let parameters: [Parameter<'_>; 3] =
            [(&device.as_str(), Type::TEXT), (&number, Type::INT8), (&ttl, Type::INT8)];
        let rows = self.query(statements::RENEW, &parameters).await?;
        if rows.is_empty() { Err(self.refusal(device, epoch).await) } else { Ok(()) }
    }

    async fn release(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        let number = signed(epoch.0);
        let parameters: [Parameter<'_>; 2] = [(&device.as_str(), Type::TEXT), (&number, Type::INT8)];
        let rows = self.query(statements::RELEASE, &parameters).await?;
        if rows.is_empty()
            && let Some(head) = self.head(device).await?
        {
            rules::here(&head)?;
        }
        Ok(())
    }

    async fn head(&self, device: &DeviceId) -> Result<Option<DeviceHead>, DeviceStoreError> {
        let rows = self.query(statements::HEAD, &[(&device.as_str(), Type::TEXT)]).await?;
        match rows.first() {
            Some(row) => head_of(row),
            None => self.prove_absence().await.map(|()| None),
        }
    }

    async fn load(&self, device: &DeviceId) -> Result<Option<DeviceState>, DeviceStoreError> {
        let rows = self.query(statements::LOAD, &[(&device.as_str(), Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return self.prove_absence().await.map(|()| None) };
        if row.get(HEAD_COLUMNS + 4) {
            return Err(hidden());
        }
        let Some(head) = head_of(row)? else { return Ok(None) };
        rules::here(&head)?;
        let credentials: Option<&[u8]> = row.get(HEAD_COLUMNS);
        if head.has_credentials && credentials.is_none() {
            return Err(damaged(
                device,
                "another application has written over session_data, and the credentials with it; stop that \
                 application and restore the row from a backup, or log the device out",
            ));
        }
        let rows = rows_of(device, row)?;
        Ok(Some(DeviceState { head, credentials: credentials.map(Into::into), rows }))
    }

    async fn commit_step(&self, device: &DeviceId, step: &Step) -> Result<Committed, DeviceStoreError> {
        rules::fits_a_step(step)?;
        let (epoch, version) = (signed(step.epoch.0), signed(step.version.0));
        let (name, at) = (step.id.0.as_slice(), step.at.unix_ms());
        let credentials = step.credentials.as_deref();
        let (bytes, limit) = (signed_size(rules::bytes_of(step)), signed_size(DEVICE_BYTES_MAX));
        let (kinds, hashes, values) = arrays_of(&step.puts);
        let gone: Vec<&str> = step.deletes.iter().map(|key| key.kind.as_str()).collect();
        let gone_hashes: Vec<&[u8]> = step.deletes.iter().map(|key| key.hash.0.as_slice()).collect();
        let parameters: [Parameter<'_>; 14] = [
            (&device.as_str(), Type::TEXT),
            (&epoch, Type::INT8),
            (&version, Type::INT8),
            (&name, Type::BYTEA),
            (&at, Type::INT8),
            (&step.wrapped_key, Type::TEXT),
            (&credentials, Type::BYTEA),
            (&bytes, Type::INT8),
            (&limit, Type::INT8),
            (&kinds, Type::TEXT_ARRAY),
            (&hashes, Type::BYTEA_ARRAY),
            (&values, Type::BYTEA_ARRAY),
            (&gone, Type::TEXT_ARRAY),
            (&gone_hashes, Type::BYTEA_ARRAY),
        ];
        for _ in 0..ROUNDS_MAX {
            failpoint::reach("a step, before Postgres has it");
            let rows = self.query(statements::COMMIT, &parameters).await?;
            failpoint::reach("a step, in Postgres, before it is acknowledged");
            let row = rows.first().ok_or_else(overtaken)?;
            if let Some(committed) = committed_of(row, step)? {
                return Ok(committed);
            }
        }
        Err(overtaken())
    }

    async fn want(&self, device: &DeviceId, wanted: Wanted) -> Result<(), DeviceStoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&device.as_str(), Type::TEXT), (&wanted_text(wanted), Type::TEXT)];
        let rows = self.query(statements::WANT, &parameters).await?;
        if rows.is_empty()
            && let Some(head) = self.head(device).await?
        {
            rules::here(&head)?;
        }
        Ok(())
    }

    async fn adopt(
        &self,
        state: &DeviceState,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Result<Acquired, DeviceStoreError> {
        let (head, bytes) = (&state.head, rules::bytes_of_state(state));
        rules::fits(bytes)?;
        let (epoch, version, ttl) = (signed(head.epoch.0), signed(head.version.0), ms_of(ttl));
        let (created, updated) = (head.created_at.unix_ms(), head.updated_at.unix_ms());
        let (credentials, bytes) = (state.credentials.as_deref(), signed_size(bytes));
        let step = head.last_step.as_ref().map(|step| step.0.as_slice());
        let (kinds, hashes, values) = arrays_of(&state.rows);
        let parameters: [Parameter<'_>; 15] = [
            (&head.device.as_str(), Type::TEXT),
            (&head.wrapped_key, Type::TEXT),
            (&credentials, Type::BYTEA),
            (&created, Type::INT8),
            (&updated, Type::INT8),
            (&owner.as_str(), Type::TEXT),
            (&epoch, Type::INT8),
            (&ttl, Type::INT8),
            (&version, Type::INT8),
            (&step, Type::BYTEA),
            (&wanted_text(head.wanted), Type::TEXT),
            (&bytes, Type::INT8),
            (&kinds, Type::TEXT_ARRAY),
            (&hashes, Type::BYTEA_ARRAY),
            (&values, Type::BYTEA_ARRAY),
        ];
        for _ in 0..ROUNDS_MAX {
            let rows = self.query(statements::ADOPT, &parameters).await?;
            if let Some(row) = rows.first() {
                return acquired_of(row);
            }
            let Some(found) = self.head(&head.device).await? else { continue };
            rules::may_adopt(&found, state)?;
            if let Some(until) = found.held_until {
                return Err(DeviceStoreError::Held { until });
            }
        }
        Err(overtaken())
    }

    async fn retire(&self, device: &DeviceId, epoch: Epoch, to: &str) -> Result<(), DeviceStoreError> {
        let number = signed(epoch.0);
        let parameters: [Parameter<'_>; 3] =
            [(&device.as_str(), Type::TEXT), (&number, Type::INT8), (&to, Type::TEXT)];
        let rows = self.query(statements::RETIRE, &parameters).await?;
        if rows.is_empty() { Err(self.refusal(device, epoch).await) } else { Ok(()) }
    }

    async fn destroy(&self, device: &DeviceId, epoch: Epoch) -> Result<(), DeviceStoreError> {
        let number = signed(epoch.0);
        let parameters: [Parameter<'_>; 2] = [(&device.as_str(), Type::TEXT), (&number, Type::INT8)];
        let rows = self.query(statements::DESTROY, &parameters).await?;
        if rows.is_empty() { Err(self.refusal(device, epoch).await) } else { Ok(()) }
    }

    async fn list(&self) -> Result<Vec<DeviceHead>, DeviceStoreError> {
        let rows = self.query(statements::LIST, &[]).await?;
        if rows.is_empty() {
            self.prove_absence().await?;
        }
        let heads: Vec<Option<DeviceHead>> = rows.iter().map(head_of).collect::<Result<_, _>>()?;
        Ok(heads.into_iter().flatten().collect())
    }

    async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceStoreError> {
        let before = before.unix_ms();
        Ok(self.query(statements::REMOVE, &[(&before, Type::INT8)]).await?.len() as u64)
    }
}

impl std::fmt::Debug for PostgresDevices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresDevices({})", self.database.place)
    }
}
