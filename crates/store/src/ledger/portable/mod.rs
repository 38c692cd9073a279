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
use sessile_core::portable::{Batch, Mark, Porter};
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

    /// The rows of a page of `limit` at most, of which `None` cannot be read, and what follows them.
    ///
    /// # Errors
    /// [`StoreError::Undecodable`] when none of a full page can be read: nothing says where the next one begins, and no row
    /// of money is passed over.
    fn batch(&self, met: Vec<Option<LedgerRow>>, limit: usize) -> Result<Batch<LedgerRow>, StoreError> {
        let (all, rows) = (met.len(), met.into_iter().flatten().collect::<Vec<_>>());
        let unreadable = (all - rows.len()) as u64;
        let next = match rows.last() {
            Some(last) if all >= limit => Some(self.after(last)),
            None if all >= limit => {
                let place = format!("table {:?}: {all} rows after each other", self.table());
                return Err(StoreError::Undecodable { place });
            }
            _ => Some(self.table + 1).filter(|next| *next < Table::ALL.len()).map(|next| format!("{next} ")),
        };
        Ok(Batch { rows, next: next.map(Mark::new), unreadable })
    }

    fn after(&self, row: &LedgerRow) -> String {
        let key: Vec<String> = row.key().iter().map(as_text).collect();
        format!("{} {}", self.table, serde_json::json!(key))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(id: &str) -> Option<LedgerRow> {
        let table = Table::Tombstones;
        let fields = table.columns().iter().map(|column| match column.holds.is_number() {
            true => Field::Number(1),
            false => Field::Text(id.to_owned()),
        });
        Some(LedgerRow { table, fields: fields.collect() })
    }

    #[test]
    fn no_row_is_passed_over_because_those_before_it_cannot_be_read() {
        let table = Table::ALL.iter().position(|table| *table == Table::Tombstones).unwrap();
        let place = Place { table, after: None };
        let batch = place.batch(vec![None, tombstone("b"), None], 3).unwrap();
        assert_eq!((batch.rows.len(), batch.unreadable), (1, 2));
        let next = Place::of(batch.next.as_ref());
        assert_eq!(
            (next.table, next.after),
            (table, Some(vec!["b".to_owned()])),
            "it goes on in the same table"
        );
        assert!(matches!(place.batch(vec![None, None], 2), Err(StoreError::Undecodable { .. })));
        let last = place.batch(vec![None], 2).unwrap();
        assert_ne!(Place::of(last.next.as_ref()).table, table, "the table's end");
    }
}
