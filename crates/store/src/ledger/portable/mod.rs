//! The ledger that moves from one engine to another: one list of tables and columns ([`Table`]) for both, read and written as
//! they stand. Only the audit log is more than rows: it is continued where it ends, under its head's lock, or refused.

mod postgres;
mod sqlite;

use super::{LedgerOptions, PostgresLedger, SqliteLedger};
use crate::ends::nowhere;
use crate::open::{OpenError, StoreUrl};
use sessile_core::StoreError;
use sessile_core::ledger::LedgerStore;
use sessile_core::ledger::portable::{Column, Field, LedgerRow, Table};
use sessile_core::portable::{Mark, Porter};
use std::sync::Arc;

/// A ledger that gives and takes rows.
pub trait LedgerEnd: LedgerStore + Porter<LedgerRow> {
    /// Where it is; no credentials.
    fn place(&self) -> String;
}

impl LedgerEnd for SqliteLedger {
    fn place(&self) -> String {
        self.file.path().display().to_string()
    }
}

impl LedgerEnd for PostgresLedger {
    fn place(&self) -> String {
        self.database().place.clone()
    }
}

/// Opens the ledger at an address as one end of a move.
///
/// # Errors
/// [`OpenError`] says what to do; only SQLite and Postgres hold one.
pub async fn open_ledger_end(url: &str, options: &LedgerOptions) -> Result<Arc<dyn LedgerEnd>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Sqlite(path) => Arc::new(SqliteLedger::open_shared(&path, options)?),
        StoreUrl::Postgres(url) => Arc::new(PostgresLedger::open(&url, options).await?),
        StoreUrl::Memory => return Err(nowhere()),
        StoreUrl::Redis(_) => {
            let what = "checkouts and payments are not kept in Redis; name sqlite: or postgres://".to_owned();
            return Err(OpenError::Unusable { what });
        }
    })
}

/// A place on the way through the tables: after the row of that name, or at a table's beginning.
struct Place {
    table: usize,
    after: Option<Vec<String>>,
}

impl Place {
    /// One that cannot be read is the beginning.
    fn of(mark: Option<&Mark>) -> Self {
        let read = |mark: &Mark| {
            let (table, after) = mark.as_str().split_once(' ')?;
            let table: usize = table.parse().ok().filter(|table| *table < Table::ALL.len())?;
            Some(Self { table, after: serde_json::from_str(after).ok() })
        };
        mark.and_then(read).unwrap_or(Self { table: 0, after: None })
    }

    const fn table(&self) -> Table {
        Table::ALL[self.table]
    }

    /// What follows a batch of `limit` at most that ended with `last`.
    fn next(&self, met: usize, limit: usize, last: Option<&LedgerRow>) -> Option<Mark> {
        if let Some(last) = last.filter(|_| met >= limit) {
            let key: Vec<String> = last.key().iter().map(as_text).collect();
            return Some(Mark::new(format!("{} {}", self.table, serde_json::to_string(&key).ok()?)));
        }
        let next = self.table + 1;
        (next < Table::ALL.len()).then(|| Mark::new(format!("{next} ")))
    }
}

/// A field as both engines take a parameter of any column; an empty one is not asked for.
fn as_text(field: &Field) -> String {
    match field {
        Field::Empty => String::new(),
        Field::Text(text) => text.clone(),
        Field::Number(number) => number.to_string(),
    }
}

/// An empty field of a column that we never leave empty.
fn or_usual(column: &Column, field: Field) -> Field {
    match (&field, column.usual) {
        (Field::Empty, Some(usual)) => Field::Number(usual),
        _ => field,
    }
}

/// What the audit log's rows must be to continue it at `seq` and `hash`: each the next one, each chained to the one before.
fn continues(mut seq: i64, mut hash: String, rows: &[&LedgerRow]) -> bool {
    for row in rows {
        let (Some(Field::Number(number)), Some(Field::Text(previous)), Some(Field::Text(own))) =
            (row.field("seq"), row.field("previous"), row.field("hash"))
        else {
            return false;
        };
        if *number != seq + 1 || *previous != hash {
            return false;
        }
        (seq, hash) = (*number, own.clone());
    }
    true
}

/// The destination has an audit log of its own: nothing of the source fits behind it.
fn another_chain() -> StoreError {
    StoreError::Conflict
}
