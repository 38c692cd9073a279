//! The audit log, read. Only a transaction of the ledger writes it.

use super::engine::Engine;
use super::loads::{head_of, query};
use crate::postgres::connect::Query;
use crate::postgres::wire::Moment;
use sessile_core::StoreError;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::{AuditHead, AuditRow, RecordKey};
use sessile_core::payment::PaymentId;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Rows that one question may be answered with.
const ROWS_MAX: usize = 10_000;
const COLUMNS: &str = "seq, at, event, actor, payment_id, checkout_id, facts, previous, hash";

/// The statements.
#[derive(Debug)]
pub(super) struct Journal {
    head: Query,
    after: Query,
    of_payment: Query,
    of_checkout: Query,
    of_refund: Query,
}

impl Journal {
    pub(super) fn new(s: &str) -> Self {
        let about = |condition: &str| {
            let sql = format!("select {COLUMNS} from {s}.audit_log where {condition} order by seq limit $2");
            query(sql, vec![Type::TEXT, Type::INT8])
        };
        Self {
            head: query(format!("select seq, hash from {s}.audit_head where id = 1"), vec![]),
            after: query(
                format!("select {COLUMNS} from {s}.audit_log where seq > $1 order by seq limit $2"),
                vec![Type::INT8, Type::INT8],
            ),
            of_payment: about("payment_id = $1"),
            of_checkout: about("checkout_id = $1"),
            of_refund: about(&format!(
                "payment_id = (select r.payment_id from {s}.refunds r where r.id = $1)"
            )),
        }
    }

    pub(super) async fn head(&self, engine: &Engine) -> Result<AuditHead, StoreError> {
        head_of(&engine.ask(&self.head, vec![]).await?)
    }

    pub(super) async fn after(
        &self,
        engine: &Engine,
        after: i64,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows = engine.ask(&self.after, vec![Box::new(after), Box::new(bounded(limit))]).await?;
        rows.iter().map(audit_row).collect()
    }

    /// A grant's changes are its payment's; a coupon has no history of its own.
    pub(super) async fn about(
        &self,
        engine: &Engine,
        about: &RecordKey,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let (query, id) = match about {
            RecordKey::Checkout(id) => (&self.of_checkout, id.as_str()),
            RecordKey::Payment(id) | RecordKey::Grant(id) => (&self.of_payment, id.as_str()),
            RecordKey::Refund(id) => (&self.of_refund, id.as_str()),
            RecordKey::Coupon(_) => return Ok(Vec::new()),
        };
        let rows = engine.ask(query, vec![Box::new(id), Box::new(bounded(limit))]).await?;
        rows.iter().map(audit_row).collect()
    }
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit.min(ROWS_MAX)).unwrap_or(0)
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    let read = || -> Result<AuditRow, tokio_postgres::Error> {
        Ok(AuditRow {
            seq: row.try_get(0)?,
            at: row.try_get::<_, Moment>(1)?.0,
            event: row.try_get(2)?,
            actor: row.try_get(3)?,
            payment: row.try_get::<_, Option<&str>>(4)?.and_then(PaymentId::parse),
            checkout: row.try_get::<_, Option<&str>>(5)?.and_then(CheckoutId::parse),
            facts: row.try_get(6)?,
            previous: row.try_get(7)?,
            hash: row.try_get(8)?,
        })
    };
    read().map_err(StoreError::unavailable)
}
