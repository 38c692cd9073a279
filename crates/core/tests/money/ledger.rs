//! A ledger in memory: the contract of `LedgerStore` on [`Tables`], with the audit and the outbox beside them, and a
//! switch that fails a call before its write, or after it, when the write has landed and only the reply is lost.

use crate::tables::Tables;
use async_trait::async_trait;
use sessile_core::StoreError;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, Owner};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Reads, Record, RecordKey, Retry, Sheet, Work, settle,
};
use sessile_core::payment::{Payment, RefundState};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was written.
    BeforeTheWrite,
    /// Everything was written, and nobody hears of it.
    AfterTheWrite,
}

/// The ledger.
#[derive(Debug)]
pub(crate) struct MemoryLedger {
    inner: Mutex<Inner>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { is_compared: true, ..Inner::default() }) }
    }
}

#[derive(Debug, Default)]
struct Inner {
    tables: Tables,
    audit: Vec<AuditRow>,
    head: AuditHead,
    effects: BTreeMap<String, EffectRow>,
    /// Calls until one fails, and how.
    fault: Option<(usize, Fault)>,
    /// What no engine must ever see.
    broken: Vec<String>,
    /// Whether each decision is made on all the rows too, and compared.
    is_compared: bool,
}

impl MemoryLedger {
    /// One that is used once, for a step of the model: as fast as can be.
    pub(crate) fn of(tables: Tables) -> Self {
        Self { inner: Mutex::new(Inner { tables, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows.
    pub(crate) fn tables(&self) -> Tables {
        self.inner().tables.clone()
    }

    /// Puts rows in that no decision made, as another application would.
    pub(crate) fn put(&self, record: Record) {
        self.inner().tables.records.insert(record.key(), record);
    }

    /// Every effect that was ever told and not yet done.
    pub(crate) fn told(&self) -> Vec<EffectRow> {
        self.inner().effects.values().cloned().collect()
    }

    /// The whole audit.
    pub(crate) fn audited(&self) -> (Vec<AuditRow>, AuditHead) {
        let inner = self.inner();
        (inner.audit.clone(), inner.head.clone())
    }

    /// What a decision did that no decision may.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.inner().broken.clone()
    }

    /// Lets the `call`-th call from now fail.
    pub(crate) fn fail(&self, call: usize, fault: Fault) {
        self.inner().fault = Some((call, fault));
    }

    /// Whether the fault has been met; none comes any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.inner().fault.take().is_none()
    }

    /// A call begins.
    fn called(&self) -> Result<(MutexGuard<'_, Inner>, Option<Fault>), StoreError> {
        let mut inner = self.inner();
        let met = match &mut inner.fault {
            Some((calls, fault)) if *calls == 1 => Some(*fault),
            Some((calls, _)) => {
                *calls -= 1;
                None
            }
            None => None,
        };
        if met.is_some() {
            inner.fault = None;
        }
        if met == Some(Fault::BeforeTheWrite) {
            return Err(StoreError::unavailable("failed before the write"));
        }
        Ok((inner, met))
    }
}

fn replied<T>(answer: T, fault: Option<Fault>) -> Result<T, StoreError> {
    match fault {
        Some(_) => Err(StoreError::unavailable("the reply was lost")),
        None => Ok(answer),
    }
}

impl Inner {
    fn transact(&mut self, work: &Work) -> Result<(), StoreError> {
        let mut seen = self.tables.seen_by(work.reads());
        let on_everything = self.is_compared.then(|| work.decide(&self.tables.all()));
        let plan = work.decide(&seen);
        if on_everything.is_some_and(|all| all != plan) {
            self.broken.push(format!("a decision looks for more than it reads: {:?}", plan.note));
        }
        if plan.is_nothing() {
            return Ok(());
        }
        let sheet = settle(&mut seen, &self.head, std::slice::from_ref(work));
        self.check(&sheet, &seen);
        let mut tables = self.tables.clone();
        if let Err(what) = tables.write(&sheet) {
            self.broken.push(what);
            return Err(StoreError::unavailable("a constraint is broken"));
        }
        self.tables = tables;
        for (new, at) in &sheet.effects {
            let row = EffectRow {
                id: new.id.clone(),
                effect: new.effect.clone(),
                created_at: *at,
                attempts: 0,
                state: EffectState::Pending,
                next_at: *at,
                error: None,
            };
            if self.effects.insert(new.id.clone(), row).is_some() {
                self.broken.push(format!("the effect {} was told before and is lost", new.id));
            }
        }
        if let Some(last) = sheet.audit.last() {
            self.head = last.head();
        }
        self.audit.extend(sheet.audit);
        sheet.outcomes.into_iter().collect()
    }

    /// One audit row per change, and no change without one.
    fn check(&mut self, sheet: &Sheet, books: &Books) {
        let changed = !(sheet.creates.is_empty() && sheet.updates.is_empty() && sheet.purges.is_empty());
        if changed != (sheet.audit.len() == 1) || (!changed && !sheet.effects.is_empty()) {
            self.broken.push(format!("{} audit rows for one decision", sheet.audit.len()));
        }
        for change in &sheet.updates {
            if books.record(&change.after.key()) != Some(&change.after) {
                self.broken.push("a sheet differs from its books".to_owned());
            }
        }
        for (effect, _) in &sheet.effects {
            if sheet.effects.iter().filter(|(other, _)| other.id == effect.id).count() != 1 {
                self.broken.push(format!("the effect {} is told twice at once", effect.id));
            }
        }
    }

    fn is_purgeable(&self, row: &Checkout, left_before: Timestamp) -> bool {
        let left = matches!(row.state, CheckoutState::Expired { .. } | CheckoutState::Invalidated { .. });
        let kept = |payment: &&Payment| {
            payment.checkout.as_ref() == Some(&row.id)
                && (payment.state.is_processing()
                    || payment.state.is_completed()
                    || self.tables.refunds().any(|r| r.payment == payment.id && r.state.is_open()))
        };
        left && row.state.left_active_at().is_some_and(|at| at <= left_before)
            && !self.tables.payments().any(|payment| kept(&payment))
    }

    fn due(&self, due: Due, now: Timestamp) -> Vec<(Timestamp, RecordKey)> {
        let checkouts = || self.tables.checkouts();
        let payments = || self.tables.payments();
        let processing = |row: &Checkout| {
            payments().any(|p| p.checkout.as_ref() == Some(&row.id) && p.state.is_processing())
        };
        let name = |row: &Payment| RecordKey::Payment(row.id.clone());
        match due {
            Due::Checkouts => checkouts()
                .filter(|row| row.state == CheckoutState::Active && now >= row.expires_at)
                .filter(|row| !processing(row))
                .map(|row| (row.expires_at, RecordKey::Checkout(row.id.clone())))
                .collect(),
            Due::Payments => {
                payments().filter(|row| row.is_overdue(now)).map(|row| (row.expires_at, name(row))).collect()
            }
            Due::Asks => payments()
                .filter_map(|row| row.ask.filter(|ask| now >= ask.at).map(|ask| (ask.at, name(row))))
                .collect(),
            Due::WithoutEmail => self
                .tables
                .payments()
                .filter(|row| row.email.trim().is_empty())
                .map(|row| (row.created_at, RecordKey::Payment(row.id.clone())))
                .collect(),
            Due::Refunds => self
                .tables
                .refunds()
                .filter(|row| row.state == RefundState::Requested)
                .map(|row| (row.created_at, RecordKey::Refund(row.id.clone())))
                .collect(),
            Due::Purges { left_before } => checkouts()
                .filter(|row| self.is_purgeable(row, left_before))
                .filter_map(|row| Some((row.state.left_active_at()?, RecordKey::Checkout(row.id.clone()))))
                .collect(),
        }
    }

    fn census(&self, now: Timestamp) -> Census {
        let mut counts: BTreeMap<(Kind, String), i64> = BTreeMap::new();
        for record in self.tables.records.values() {
            let state = match record {
                Record::Checkout(row) => row.state.name(),
                Record::Payment(row) => row.state.name(),
                Record::Refund(row) => row.state.name(),
                Record::Coupon(_) | Record::Grant(_) => continue,
            };
            *counts.entry((record.key().kind(), state.to_owned())).or_default() += 1;
        }
        let hour = Duration::from_secs(60 * 60);
        let count =
            |of: &dyn Fn(&&Payment) -> bool| self.tables.payments().filter(|row| of(row)).count() as i64;
        let effects = |state| self.effects.values().filter(|row| row.state == state).count() as i64;
        Census {
            counts: counts.into_iter().map(|((kind, state), n)| (kind, state, n)).collect(),
            overdue_payments: count(&|row| row.is_overdue(now)),
            stale_payments: count(&|row| row.state.is_processing() && now.since(row.updated_at) >= hour),
            without_email: count(&|row| row.email.is_empty()),
            manual_refunds: self.tables.refunds().filter(|r| r.state == RefundState::NeedsManual).count()
                as i64,
            effects_pending: effects(EffectState::Pending),
            effects_dead: effects(EffectState::Dead),
        }
    }
}

fn created(record: &Record) -> (Timestamp, String) {
    match record {
        Record::Checkout(row) => (row.created_at, row.id.as_str().to_owned()),
        Record::Payment(row) => (row.created_at, row.id.as_str().to_owned()),
        Record::Coupon(row) => (row.created_at, row.id.as_str().to_owned()),
        Record::Grant(row) => (row.granted_at, row.payment.as_str().to_owned()),
        Record::Refund(row) => (row.created_at, row.id.as_str().to_owned()),
    }
}

fn is_in(record: &Record, filter: &PaymentFilter) -> bool {
    let (status, user) = match record {
        Record::Payment(row) => (row.state.name(), Some(&row.user)),
        Record::Checkout(row) => (row.state.name(), row.owner.user.as_ref()),
        Record::Refund(row) => (row.state.name(), None),
        Record::Coupon(_) => ("", None),
        Record::Grant(row) => ("", Some(&row.user)),
    };
    filter.status.as_ref().is_none_or(|asked| asked == status)
        && filter.user.as_ref().is_none_or(|asked| Some(asked) == user)
}

#[async_trait]
impl LedgerStore for MemoryLedger {
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        let (mut inner, fault) = self.called()?;
        inner.transact(&work)?;
        replied((), fault)
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        let (inner, fault) = self.called()?;
        replied(inner.tables.seen_by(reads), fault)
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        let (inner, fault) = self.called()?;
        let found = inner.tables.checkouts().find(|row| row.id == *checkout).map(|row| row.owner.clone());
        replied(found, fault)
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        let (inner, fault) = self.called()?;
        let found = inner.tables.payment(payment).map(|row| Owner::user(row.user.clone()));
        replied(found, fault)
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        let (inner, fault) = self.called()?;
        let mut found = inner.due(due, now);
        found.sort();
        replied(found.into_iter().take(limit).map(|(_, key)| key).collect(), fault)
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        let (inner, fault) = self.called()?;
        let rows = inner.tables.records.values().filter(|record| record.key().kind() == kind);
        let mut rows: Vec<Record> = rows.filter(|record| is_in(record, filter)).cloned().collect();
        rows.sort_by_key(|record| std::cmp::Reverse(created(record)));
        if let Some(cursor) = after {
            rows.retain(|record| created(record) < (cursor.created_at, cursor.id.clone()));
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|record| {
            let (created_at, id) = created(record);
            Cursor { created_at, id }
        });
        replied(Page { rows, contradicting: Vec::new(), next }, fault)
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        let (inner, fault) = self.called()?;
        replied(inner.census(now), fault)
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        let (mut inner, fault) = self.called()?;
        let due = inner.effects.values_mut();
        let due = due.filter(|row| row.state == EffectState::Pending && now >= row.next_at).take(limit);
        let claimed = due.map(|row| {
            (row.next_at, row.attempts) = (lease_until, row.attempts + 1);
            row.clone()
        });
        let claimed = claimed.collect();
        replied(claimed, fault)
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        let (mut inner, fault) = self.called()?;
        inner.effects.remove(id);
        replied((), fault)
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        let (mut inner, fault) = self.called()?;
        if let Some(row) = inner.effects.get_mut(id) {
            row.error = Some(error.to_owned());
            match retry {
                Retry::At(at) => row.next_at = at,
                Retry::GiveUp => row.state = EffectState::Dead,
            }
        }
        replied((), fault)
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        let (inner, fault) = self.called()?;
        let rows = inner.effects.values().filter(|row| row.state == state);
        let mut rows: Vec<EffectRow> = rows.cloned().collect();
        rows.sort_by_key(|row| row.created_at);
        rows.truncate(limit);
        replied(rows, fault)
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let (mut inner, fault) = self.called()?;
        let dead = inner.effects.get_mut(id).filter(|row| row.state == EffectState::Dead);
        let found = dead.map(|row| (row.state, row.next_at) = (EffectState::Pending, now)).is_some();
        replied(found, fault)
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let (inner, fault) = self.called()?;
        replied(inner.audit.iter().filter(|row| row.seq > after).take(limit).cloned().collect(), fault)
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        let (inner, fault) = self.called()?;
        replied(inner.head.clone(), fault)
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        let (inner, fault) = self.called()?;
        let rows = inner.audit.iter().filter(|row| match about {
            RecordKey::Payment(id) => row.payment.as_ref() == Some(id),
            RecordKey::Checkout(id) => row.checkout.as_ref() == Some(id),
            _ => false,
        });
        replied(rows.take(limit).cloned().collect(), fault)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let (inner, fault) = self.called()?;
        drop(inner);
        replied((), fault)
    }
}
