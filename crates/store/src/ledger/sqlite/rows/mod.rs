//! Rows and records: how each kind is written, and how a row is understood, an older application's too.
//!
//! A row that cannot be understood is treated as not there: it is reported once, and never changed.

mod checkout;
mod coupon;
mod grant;
mod payment;
mod refund;

pub(super) use checkout::Checkouts;
pub(super) use coupon::Coupons;
pub(super) use grant::Grants;
pub(super) use payment::Payments;
pub(super) use refund::Refunds;

use parking_lot::Mutex;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use sessile_core::Timestamp;
use sessile_core::ledger::Record;
use sessile_core::money::Minor;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Unreadable rows that are remembered as reported.
const REPORTED_MAX: usize = 10_000;

/// One kind's table.
pub(super) trait Table {
    /// What the kind is in memory.
    type Entry;
    /// Its name.
    const NAME: &'static str;
    /// Every column that is read, in the order in which [`Table::read`] expects them; the first is the key.
    const COLUMNS: &'static str;

    /// The entry as a row of any kind.
    fn record(entry: Self::Entry) -> Record;
    /// Understands a row.
    fn read(row: &Row<'_>) -> Result<Self::Entry, Unreadable>;
    /// Writes a new row: how many were written. Its base is 0, so that both statements take the same values.
    fn insert(db: &Connection, entry: &Self::Entry) -> rusqlite::Result<usize>;
    /// Writes the next version of a row that has the version it had before: how many were written. SQLite writes every
    /// index anew of which an update names a column, changed or not, so columns that stay are not named.
    fn update(db: &Connection, before: &Self::Entry, after: &Self::Entry) -> rusqlite::Result<usize>;
}

/// Why a row cannot be understood.
#[derive(Debug)]
pub(super) struct Unreadable(String);

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A value that has to be what it says it is.
pub(super) fn read_as<T>(column: &str, value: Option<T>) -> Result<T, Unreadable> {
    value.ok_or_else(|| Unreadable(format!("{column} cannot be read")))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_ms)
}

pub(super) fn time_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_unix_ms))
}

/// A text that is parsed, or NULL.
pub(super) fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Unreadable> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|_| Unreadable(format!("{name} is no text")))?;
    text.map(|text| read_as(name, parse(text))).transpose()
}

/// A value, or what stands for it where the column is NULL.
pub(super) fn or<T: FromSql>(row: &Row<'_>, column: usize, default: T) -> rusqlite::Result<T> {
    Ok(row.get::<_, Option<T>>(column)?.unwrap_or(default))
}

pub(super) fn minor(name: &str, units: i64) -> Result<Minor, Unreadable> {
    read_as(name, Minor::new(units))
}

pub(super) const fn ms(time: Timestamp) -> i64 {
    time.unix_ms()
}

/// The rows that were reported as unreadable.
#[derive(Debug, Default)]
pub(super) struct Reported(Mutex<BTreeSet<(&'static str, String)>>);

impl Reported {
    /// Understands a row, or reports that it cannot.
    pub(super) fn read<T: Table>(&self, row: &Row<'_>) -> rusqlite::Result<Option<T::Entry>> {
        match T::read(row) {
            Ok(entry) => Ok(Some(entry)),
            Err(Unreadable(why)) => {
                let key = format!("{:?}", row.get_ref(0)?);
                let fingerprint: String =
                    Sha256::digest(key.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect();
                self.report(T::NAME, fingerprint, &why);
                Ok(None)
            }
        }
    }

    fn report(&self, table: &'static str, fingerprint: String, why: &str) {
        let mut reported = self.0.lock();
        if reported.len() < REPORTED_MAX && reported.insert((table, fingerprint.clone())) {
            tracing::error!(table, row = fingerprint, why, "a row cannot be read; it is left alone");
        }
    }
}
