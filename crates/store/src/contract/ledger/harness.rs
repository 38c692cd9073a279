//! What a case of the ledger is given: an engine, the moment that counts as the present, and a way behind the
//! engine's back. Used by the cases and by whoever makes a [`TestLedger`]; it knows no engine.

use crate::contract::harness::Must;
use futures_util::future::BoxFuture;
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Kind, LedgerStore, Note, PAGE_MAX, PaymentFilter, Plan, Reads, Record,
    Replay, Work, verify,
};
use sessile_core::{StoreError, Timestamp};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Runs one SQL statement behind the engine's back, as another program would: how many rows it changed, or what the
/// database said.
pub type Sql = Arc<dyn Fn(String) -> BoxFuture<'static, Result<u64, String>> + Send + Sync>;
/// Opens the same place again, as another process would.
pub type ReopenLedger = Arc<dyn Fn() -> BoxFuture<'static, Arc<dyn LedgerStore>> + Send + Sync>;

/// What a case may do that the contract does not offer.
#[derive(Clone)]
pub struct Backstage {
    /// Foreign SQL, in the schema or file of this case.
    pub sql: Sql,
    /// Another instance on the same database.
    pub reopen: ReopenLedger,
    /// Statements that take the guards of `audit_log` away.
    pub unguard: Vec<String>,
}

/// An engine under test, in a schema or file of its own.
pub struct TestLedger {
    /// The engine.
    pub ledger: Arc<dyn LedgerStore>,
    /// The moment that counts as the present.
    pub base: Timestamp,
    /// Behind its back.
    pub backstage: Backstage,
    guard: Box<dyn Any + Send + Sync>,
}

impl TestLedger {
    /// An engine at a fixed moment of 2030.
    #[must_use]
    pub fn new(ledger: Arc<dyn LedgerStore>, backstage: Backstage) -> Self {
        let base = Timestamp::from_unix_ms(1_900_000_000_123);
        Self { ledger, base, backstage, guard: Box::new(()) }
    }

    /// Keeps `guard` until the case is over; its drop cleans up.
    #[must_use]
    pub fn guarded_by(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Box::new(guard);
        self
    }

    pub(super) fn after(&self, seconds: u64) -> Timestamp {
        self.base.plus(Duration::from_secs(seconds))
    }

    pub(super) fn before(&self, seconds: u64) -> Timestamp {
        self.base.minus(Duration::from_secs(seconds))
    }

    /// Runs foreign SQL that has to work.
    pub(super) async fn sql(&self, statement: &str) -> u64 {
        (self.backstage.sql)(statement.to_owned()).await.must(statement)
    }

    /// Writes rows that are new.
    pub(super) async fn given(&self, records: impl IntoIterator<Item = Record>) {
        let records: Vec<Record> = records.into_iter().collect();
        let mut plan = noted("given");
        plan.writes = records.into_iter().map(sessile_core::ledger::Write::Create).collect();
        self.write(Reads::none(), plan).await.must("rows that are given");
    }

    /// Writes a plan that does not depend on what is read.
    pub(super) async fn write(&self, reads: Reads, plan: Plan) -> Result<(), StoreError> {
        self.ledger.transact(Work::new(reads, self.base, move |_| plan.clone())).await
    }

    pub(super) async fn look(&self, reads: Reads) -> Books {
        self.ledger.look(&reads).await.must("look")
    }

    /// Every row of every kind.
    pub(super) async fn rows(&self) -> Vec<Record> {
        let mut rows = Vec::new();
        for kind in KINDS {
            rows.extend(self.rows_of(kind, &PaymentFilter::default()).await);
        }
        rows
    }

    /// Every row of one kind, page by page.
    pub(super) async fn rows_of(&self, kind: Kind, filter: &PaymentFilter) -> Vec<Record> {
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = self.ledger.page(kind, filter, after.as_ref(), PAGE_MAX).await.must("page");
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    }

    /// The whole audit.
    pub(super) async fn audit(&self) -> Vec<AuditRow> {
        let mut rows: Vec<AuditRow> = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row| row.seq);
            let more = self.ledger.audit(after, 100).await.must("audit");
            if more.is_empty() {
                return rows;
            }
            rows.extend(more);
        }
    }

    /// The audit is one chain, ends where its head says, and tells the rows that are there.
    pub(super) async fn audit_holds(&self) -> Result<(), String> {
        let rows = self.audit().await;
        let end = verify(AuditHead::default(), &rows).map_err(|broken| broken.to_string())?;
        let head = self.ledger.audit_head().await.must("the head");
        if end != head {
            return Err(format!("the log ends at {} and its head says {}", end.seq, head.seq));
        }
        let mut replay = Replay::default();
        replay.read(&rows).map_err(|broken| broken.to_string())?;
        replay.compare(self.rows().await).map_err(|broken| broken.to_string())?;
        replay.finish().map_err(|broken| broken.to_string())
    }
}

/// Every kind of row.
pub(super) const KINDS: [Kind; 5] = [Kind::Checkout, Kind::Payment, Kind::Coupon, Kind::Grant, Kind::Refund];

/// A plan with a note and nothing else.
pub(super) fn noted(event: &'static str) -> Plan {
    let note = Note { event, actor: "the suite".to_owned(), payment: None, checkout: None };
    Plan { note: Some(note), ..Plan::nothing() }
}

impl fmt::Debug for TestLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestLedger(at {})", self.base)
    }
}
