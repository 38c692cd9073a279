//! `refunds`.

use super::{Table, Unreadable, minor, ms, parsed, read_as, time};
use rusqlite::{Connection, Row, params};
use sessile_core::ledger::Record;
use sessile_core::payment::{PaymentId, Refund, RefundId, RefundReason, RefundState};

/// The table of refunds.
pub(in crate::ledger::sqlite) struct Refunds;

impl Table for Refunds {
    type Entry = Refund;
    const NAME: &'static str = "refunds";
    const COLUMNS: &'static str =
        "id, payment_id, amount_minor, reason, status, note, created_at, updated_at, version";

    fn record(entry: Refund) -> Record {
        Record::Refund(entry)
    }

    fn read(row: &Row<'_>) -> Result<Refund, Unreadable> {
        Ok(Refund {
            id: read_as("id", parsed(row, 0, "id", RefundId::parse)?)?,
            payment: read_as("payment_id", parsed(row, 1, "payment_id", PaymentId::parse)?)?,
            amount: minor("amount_minor", row.get(2)?)?,
            reason: RefundReason::read(row.get_ref(3)?.as_str_or_null().unwrap_or_default()),
            state: read_as("status", parsed(row, 4, "status", RefundState::read)?)?,
            note: row.get(5)?,
            created_at: time(row, 6)?,
            updated_at: time(row, 7)?,
            version: row.get(8)?,
        })
    }

    fn insert(db: &Connection, entry: &Refund) -> rusqlite::Result<usize> {
        // In the currency of what was paid.
        const SQL: &str = "INSERT INTO refunds (id, payment_id, amount_minor, currency, reason, status, note, \
             created_at, updated_at, version) \
             SELECT ?1, ?2, ?3, coalesce((SELECT currency FROM payment_sessions WHERE id = ?2), 'UZS'), \
             ?4, ?5, ?6, ?7, ?8, ?9 WHERE ?10 = 0";
        write(db, SQL, entry, 0)
    }

    fn update(db: &Connection, before: &Refund, after: &Refund) -> rusqlite::Result<usize> {
        const SQL: &str = "UPDATE refunds SET payment_id = ?2, amount_minor = ?3, reason = ?4, status = ?5, note = ?6, \
             created_at = ?7, updated_at = ?8, version = ?9 WHERE id = ?1 AND version = ?10";
        write(db, SQL, after, before.version)
    }
}

fn write(db: &Connection, sql: &str, entry: &Refund, base: i64) -> rusqlite::Result<usize> {
    db.prepare_cached(sql)?.execute(params![
        entry.id.as_str(),
        entry.payment.as_str(),
        entry.amount.get(),
        entry.reason.name(),
        entry.state.name(),
        entry.note,
        ms(entry.created_at),
        ms(entry.updated_at),
        entry.version,
        base,
    ])
}
