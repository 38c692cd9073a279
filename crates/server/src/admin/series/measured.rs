//! The stores, with a stop-watch: every call goes through unchanged; how long loads and commits took, and what became of
//! sessions, is noted on the way. A change is counted only when the store says that it is stored.

use super::{Call, Mark, Subject, Watch};
use crate::telemetry;
use async_trait::async_trait;
use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, Owner};
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, Mark as JobMark, Status,
    StripeSessionId, Tally, Tidied,
};
use sessile_core::ledger::{
    AuditHead, AuditRow, Books, Census, Cursor, Due, EffectRow, EffectState, Kind, LedgerStore, Page,
    PaymentFilter, PaymentKey, Plan, Reads, Record, RecordKey, Retry, Work, Write,
};
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId, LoginStore, Lookup,
    NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::payment::{Payment, PaymentState};
use sessile_core::{StoreError, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// The stop-watches of one store.
pub(super) struct Meter {
    watch: Arc<Watch>,
    seconds: [metrics::Histogram; 2],
}

impl Meter {
    pub(super) fn new(watch: Arc<Watch>, store: &'static str) -> Self {
        let of = |call| metrics::histogram!(telemetry::STORE_SECONDS, "store" => store, "call" => call);
        Self { watch, seconds: [of("load"), of("commit")] }
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(super) async fn time<T>(&self, call: Call, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = work.await;
        let took = began.elapsed();
        self.watch.called(call, took);
        self.seconds[call as usize].record(took.as_secs_f64());
        answer
    }
}

/// Login sessions, measured.
pub(crate) struct MeasuredLogins {
    inner: Arc<dyn LoginStore>,
    meter: Meter,
}

impl MeasuredLogins {
    pub(crate) fn new(inner: Arc<dyn LoginStore>, watch: Arc<Watch>) -> Self {
        Self { inner, meter: Meter::new(watch, "login") }
    }

    fn mark(&self, mark: Mark, count: u64) {
        self.meter.watch.marked(Subject::Login, mark, count);
    }
}

#[async_trait]
impl LoginStore for MeasuredLogins {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        let made = self.meter.time(Call::Commit, self.inner.create(login, now)).await?;
        self.mark(Mark::Created, 1);
        Ok(made)
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.meter.time(Call::Load, self.inner.load(id, now)).await
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.meter.time(Call::Commit, self.inner.commit(change, now)).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.meter.time(Call::Commit, self.inner.touch(id, expires_at, now)).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.meter.time(Call::Commit, self.inner.replace(old, retires_at, login, now)).await
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.meter.time(Call::Commit, self.inner.destroy(id, reason, now)).await?;
        self.mark(Mark::Completed, 1);
        Ok(())
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.inner.list(user, now).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let revoked = self.meter.time(Call::Commit, self.inner.revoke(user, handle, now)).await?;
        self.mark(Mark::Completed, u64::from(revoked == Revoked::Yes));
        Ok(revoked)
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let ended = self.meter.time(Call::Commit, self.inner.revoke_all(user, except, now)).await?;
        self.mark(Mark::Completed, ended);
        Ok(ended)
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        let swept = self.inner.sweep(now, batch).await?;
        self.mark(Mark::Expired, swept.removed);
        Ok(swept)
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.inner.count(now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.inner.events(limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.inner.settle(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn info(&self) -> StoreInfo {
        self.inner.info()
    }
}

/// The ledger, measured.
pub(crate) struct MeasuredLedger {
    inner: Arc<dyn LedgerStore>,
    meter: Meter,
}

impl MeasuredLedger {
    pub(crate) fn new(inner: Arc<dyn LedgerStore>, watch: Arc<Watch>) -> Self {
        Self { inner, meter: Meter::new(watch, "ledger") }
    }
}

type Marked = Vec<(Subject, Mark)>;

/// What a plan makes of the rows that it was decided on.
fn marked(plan: &Plan, books: &Books) -> Marked {
    let mut last: BTreeMap<RecordKey, &Record> = BTreeMap::new();
    for write in &plan.writes {
        if let Write::Create(record) | Write::Update(record) = write {
            last.insert(record.key(), record);
        }
    }
    let mut marks = Vec::new();
    for (key, record) in last {
        match (books.record(&key), record) {
            (before, Record::Checkout(row)) => {
                let before = match before {
                    Some(Record::Checkout(before)) => Some(before),
                    _ => None,
                };
                marks.extend(checkout(before, row).into_iter().map(|mark| (Subject::Checkout, mark)));
            }
            (before, Record::Payment(row)) => {
                let before = match before {
                    Some(Record::Payment(before)) => Some(before),
                    _ => None,
                };
                marks.extend(payment(before, row).into_iter().map(|mark| (Subject::Payment, mark)));
            }
            (_, Record::Coupon(_) | Record::Grant(_) | Record::Refund(_)) => {}
        }
    }
    marks
}

/// A row that continues an expired one is a recovery too.
fn checkout(before: Option<&Checkout>, row: &Checkout) -> Vec<Mark> {
    let mut marks = Vec::new();
    if before.is_none() {
        marks.push(Mark::Created);
        marks.extend(row.renewed_from.is_some().then_some(Mark::Recovered));
    }
    if before.map(|row| row.state.name()) != Some(row.state.name()) {
        marks.extend(match row.state {
            CheckoutState::Active => None,
            CheckoutState::Completed { .. } => Some(Mark::Completed),
            CheckoutState::Expired { .. } => Some(Mark::Expired),
            CheckoutState::Invalidated { .. } => Some(Mark::Failed),
        });
    }
    marks
}

fn payment(before: Option<&Payment>, row: &Payment) -> Vec<Mark> {
    let mut marks: Vec<Mark> = before.is_none().then_some(Mark::Created).into_iter().collect();
    if before.map(|row| row.state.name()) != Some(row.state.name()) {
        marks.extend(match row.state {
            PaymentState::Pending | PaymentState::Processing { .. } => None,
            PaymentState::Completed { .. } => Some(Mark::Completed),
            PaymentState::Failed { .. } => Some(Mark::Failed),
            PaymentState::Expired { .. } => Some(Mark::Expired),
        });
    }
    marks
}

#[async_trait]
impl LedgerStore for MeasuredLedger {
    /// The last run of a decision counts, as for whoever asked for it.
    async fn transact(&self, work: Work) -> Result<(), StoreError> {
        let slot: Arc<Mutex<Marked>> = Arc::default();
        let (told, now) = (slot.clone(), work.now());
        let noted = Work::new(work.reads().clone(), now, move |books| {
            let plan = work.decide(books);
            *told.lock().unwrap_or_else(PoisonError::into_inner) = marked(&plan, books);
            plan
        });
        self.meter.time(Call::Commit, self.inner.transact(noted)).await?;
        let marks = std::mem::take(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner));
        marks.into_iter().for_each(|(subject, mark)| self.meter.watch.marked(subject, mark, 1));
        Ok(())
    }

    async fn look(&self, reads: &Reads) -> Result<Books, StoreError> {
        self.meter.time(Call::Load, self.inner.look(reads)).await
    }

    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError> {
        self.meter.time(Call::Load, self.inner.owner_of(checkout)).await
    }

    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError> {
        self.inner.payer_of(payment).await
    }

    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError> {
        self.inner.due(due, now, limit).await
    }

    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError> {
        self.inner.page(kind, filter, after, limit).await
    }

    async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        self.inner.census(now).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        self.inner.claim(now, lease_until, limit).await
    }

    async fn done(&self, id: &str) -> Result<(), StoreError> {
        self.inner.done(id).await
    }

    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError> {
        self.inner.undone(id, retry, error).await
    }

    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.inner.effects(state, limit).await
    }

    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.requeue(id, now).await
    }

    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.inner.audit(after, limit).await
    }

    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.inner.audit_head().await
    }

    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
        self.inner.history(about, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

/// Paid jobs, measured.
pub(crate) struct MeasuredGenerations {
    inner: Arc<dyn GenerationStore>,
    meter: Meter,
}

impl MeasuredGenerations {
    pub(crate) fn new(inner: Arc<dyn GenerationStore>, watch: Arc<Watch>) -> Self {
        Self { inner, meter: Meter::new(watch, "generation") }
    }

    fn mark(&self, mark: Mark, count: u64) {
        self.meter.watch.marked(Subject::Generation, mark, count);
    }
}

/// The change that ended a job wrote so into its timeline, at that very moment.
fn ended(job: &Generation) -> Option<Mark> {
    let last = job.own().timeline.last()?;
    let now = last.at == job.own().updated_at;
    match (job.status, last.what.as_str()) {
        (Status::Completed, "completed") if now => Some(Mark::Completed),
        (Status::Error, "failed") if now => Some(Mark::Failed),
        _ => None,
    }
}

#[async_trait]
impl GenerationStore for MeasuredGenerations {
    async fn create(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.meter.time(Call::Commit, self.inner.create(job, now)).await?;
        self.mark(Mark::Created, 1);
        Ok(())
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.meter.time(Call::Load, self.inner.load(key, now)).await
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.meter.time(Call::Commit, self.inner.commit(job, now)).await?;
        if let Some(mark) = ended(job) {
            self.mark(mark, 1);
        }
        Ok(())
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        self.meter.time(Call::Commit, self.inner.bind(own, stripe, now)).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        self.inner.claim(now, lease_until, limit).await
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.meter.time(Call::Commit, self.inner.keep(event)).await
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        self.inner.kept(now, lease_until, limit).await
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.inner.applied(id, now).await
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        self.inner.postponed(id, next_at).await
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        self.inner.waiting(limit).await
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        self.inner.recent(status, limit).await
    }

    async fn marked(
        &self,
        mark: &JobMark,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        self.inner.marked(mark, now, limit).await
    }

    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError> {
        self.inner.tally(now).await
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        let tidied = self.inner.tidy(now, batch).await?;
        self.mark(Mark::Expired, tidied.removed);
        Ok(tidied)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::series::Span;
    use sessile_core::checkout::{CHECKOUT_LIFETIME, Caller, Checkouts, Choice, NewCheckout};
    use sessile_core::payment::Terms;
    use sessile_core::{Clock as _, ManualClock, OsEntropy};
    use sessile_store::ledger::{LedgerOptions, open_ledger};

    #[tokio::test]
    async fn what_became_of_a_checkout_is_counted_when_it_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("ledger.db").display());
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_800_000_000_000)));
        let watch = Arc::new(Watch::new(clock.clone()));
        let inner = open_ledger(&url, &LedgerOptions::default()).await.unwrap();
        let ledger = Arc::new(MeasuredLedger::new(inner, watch.clone()));
        let checkouts =
            Checkouts::new(ledger, Arc::new(Terms::default()), clock.clone(), Arc::new(OsEntropy));
        let ada = Caller::Browser(Owner::user(UserId::parse("ada").unwrap()));
        let packages = serde_json::json!({ "0": "basic" });
        let wants = |tracks: &str| NewCheckout {
            choice: Choice::new(&serde_json::json!([tracks]), &packages).unwrap(),
            packages: packages.clone(),
            user: None,
            existing: None,
            coupon: None,
        };
        // The same choice again is the same row; another one takes its place.
        for tracks in ["one", "one", "two"] {
            checkouts.open(&ada, wants(tracks)).await.unwrap();
        }
        clock.advance(CHECKOUT_LIFETIME);
        assert_eq!(checkouts.sweep(10).await.unwrap().expired, 1);
        checkouts.recover(&ada, None, None).await.unwrap();
        watch.sample();
        let samples = watch.samples(Span::Hour);
        let seen = |mark| samples.iter().map(|sample| sample.marked(Subject::Checkout, mark)).sum::<u64>();
        let marks = [Mark::Created, Mark::Failed, Mark::Expired, Mark::Recovered, Mark::Completed].map(seen);
        assert_eq!(marks, [3, 1, 1, 1, 0]);
        assert!(samples[0].commits.count >= 4, "{:?}", samples[0]);
        assert!(clock.now() > watch.began());
    }
}
