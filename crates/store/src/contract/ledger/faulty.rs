//! A ledger whose calls fail on demand: before the write, or after it, when the write has landed and only the reply
//! is lost. Wraps any engine; tests of services loop over N = 1, 2, 3… until no fault fires.

use crate::contract::faulty::{Fault, Trouble, Way};
use async_trait::async_trait;
use sessile_core::checkout::{CheckoutId, Owner};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Work,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// Any engine, with one fault in it.
pub struct FaultyLedger {
    inner: Arc<dyn LedgerStore>,
    way: Way,
}

impl FaultyLedger {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn LedgerStore>, fault: Fault) -> Self {
        Self { inner, way: Way::with(Trouble::Once(fault)) }
    }

    /// Wraps `inner` and only counts.
    #[must_use]
    pub fn counting(inner: Arc<dyn LedgerStore>) -> Self {
        Self { inner, way: Way::with(Trouble::None) }
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.way.calls()
    }

    /// Whether there were calls enough for the fault to happen.
    #[must_use]
    pub fn has_fired(&self) -> bool {
        self.way.has_fired()
    }
}

#[async_trait]
impl LedgerStore for FaultyLedger {
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        self.way.pass(self.inner.transact(work)).await
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        self.way.pass(self.inner.look(reads)).await
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        self.way.pass(self.inner.owner_of(checkout)).await
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        self.way.pass(self.inner.payer_of(payment)).await
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.way.pass(self.inner.due(due, now, limit)).await
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        self.way.pass(self.inner.page(kind, filter, after, limit)).await
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        self.way.pass(self.inner.census(now)).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        self.way.pass(self.inner.claim(now, lease_until, limit)).await
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        self.way.pass(self.inner.done(id)).await
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        self.way.pass(self.inner.undone(id, retry, error)).await
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.way.pass(self.inner.effects(state, limit)).await
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.way.pass(self.inner.requeue(id, now)).await
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.way.pass(self.inner.audit(after, limit)).await
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.way.pass(self.inner.audit_head()).await
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.way.pass(self.inner.history(about, limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.way.pass(self.inner.ping()).await
    }
}
