//! Reading the audit log. It is written with each change, in `sheet`.

use super::desk::Desk;
use super::rows::{Refunds, time};
use rusqlite::{Params, Row, params};
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::{AuditRow, RecordKey};
use sessile_core::payment::PaymentId;

/// Rows that one call gives at most.
const AUDIT_MAX: usize = 1_000;

pub(super) fn after(desk: Desk<'_>, seq: i64, limit: usize) -> rusqlite::Result<Vec<AuditRow>> {
    rows(desk, "seq > ?1 ORDER BY seq LIMIT ?2", params![seq, limit.min(AUDIT_MAX) as i64])
}

/// What is told of a payment or a checkout; of a grant or a refund, what is told of its payment.
pub(super) fn history(desk: Desk<'_>, about: &RecordKey, limit: usize) -> rusqlite::Result<Vec<AuditRow>> {
    let limit = limit.min(AUDIT_MAX) as i64;
    let of_payment =
        |id: &PaymentId| rows(desk, "payment_id = ?1 ORDER BY seq LIMIT ?2", params![id.as_str(), limit]);
    match about {
        RecordKey::Payment(id) | RecordKey::Grant(id) => of_payment(id),
        RecordKey::Checkout(id) => {
            rows(desk, "checkout_id = ?1 ORDER BY seq LIMIT ?2", params![id.as_str(), limit])
        }
        RecordKey::Refund(id) => match desk.row::<Refunds>("id = ?1", [id.as_str()])? {
            Some(refund) => of_payment(&refund.payment),
            None => Ok(Vec::new()),
        },
        RecordKey::Coupon(_) => Ok(Vec::new()),
    }
}

fn rows(desk: Desk<'_>, condition: &'static str, values: impl Params) -> rusqlite::Result<Vec<AuditRow>> {
    let sql = format!(
        "SELECT seq, at, event, actor, payment_id, checkout_id, facts, previous, hash FROM audit_log WHERE {condition}"
    );
    let mut select = desk.db.prepare_cached(&sql)?;
    select.query_map(values, row)?.collect()
}

/// A name that is none is left out: the row's hash then tells that it was changed.
fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let text = |column| row.get_ref(column).map(|value| value.as_str_or_null().unwrap_or_default());
    Ok(AuditRow {
        seq: row.get(0)?,
        at: time(row, 1)?,
        event: row.get(2)?,
        actor: row.get(3)?,
        payment: text(4)?.and_then(PaymentId::parse),
        checkout: text(5)?.and_then(CheckoutId::parse),
        facts: row.get(6)?,
        previous: row.get(7)?,
        hash: row.get(8)?,
    })
}
