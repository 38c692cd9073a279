//! `grants`.

use super::{Table, Unreadable, ms, parsed, read_as, time, time_or_null};
use rusqlite::{Connection, Row, params};
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::Record;
use sessile_core::login::UserId;
use sessile_core::payment::{Grant, PaymentId};

/// The table of grants.
pub(in crate::ledger::sqlite) struct Grants;

impl Table for Grants {
    type Entry = Grant;
    const NAME: &'static str = "grants";
    const COLUMNS: &'static str = "payment_id, user_id, tier, checkout_id, granted_at, revoked_at, version";

    fn record(entry: Grant) -> Record {
        Record::Grant(entry)
    }

    fn read(row: &Row<'_>) -> Result<Grant, Unreadable> {
        Ok(Grant {
            payment: read_as("payment_id", parsed(row, 0, "payment_id", PaymentId::parse)?)?,
            user: read_as("user_id", parsed(row, 1, "user_id", |text| UserId::parse(text))?)?,
            tier: row.get(2)?,
            checkout: parsed(row, 3, "checkout_id", CheckoutId::parse)?,
            granted_at: time(row, 4)?,
            revoked_at: time_or_null(row, 5)?,
            version: row.get(6)?,
        })
    }

    fn insert(db: &Connection, entry: &Grant) -> rusqlite::Result<usize> {
        const SQL: &str = "INSERT INTO grants (payment_id, user_id, tier, checkout_id, granted_at, revoked_at, version) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?8 = 0";
        write(db, SQL, entry, 0)
    }

    fn update(db: &Connection, before: &Grant, after: &Grant) -> rusqlite::Result<usize> {
        const SQL: &str = "UPDATE grants SET user_id = ?2, tier = ?3, checkout_id = ?4, granted_at = ?5, \
             revoked_at = ?6, version = ?7 WHERE payment_id = ?1 AND version = ?8";
        write(db, SQL, after, before.version)
    }
}

fn write(db: &Connection, sql: &str, entry: &Grant, base: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params![
        entry.payment.as_str(),
        entry.user.as_str(),
        entry.tier,
        entry.checkout.as_ref().map(CheckoutId::as_str),
        ms(entry.granted_at),
        entry.revoked_at.map(ms),
        entry.version,
        base,
    ])
}
