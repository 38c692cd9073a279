//! The ledger's contract. An engine is a [`LedgerStore`] when it passes the contract suite.

use super::audit::{AuditHead, AuditRow};
use super::books::Books;
use super::outbox::{EffectRow, EffectState, Retry};
use super::plan::{Kind, Plan, Record, RecordKey};
use super::query::{Census, Cursor, Due, Page, PaymentFilter};
use super::reads::{PaymentKey, Reads};
use crate::checkout::{CheckoutId, Owner};
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What a decision answers beside its plan.
pub struct Decision<A> {
    /// What is to be written.
    pub plan: Plan,
    /// For whoever asked.
    pub answer: A,
}

impl<A> Decision<A> {
    /// Nothing is written.
    pub fn only(answer: A) -> Self {
        Self { plan: Plan::nothing(), answer }
    }

    /// This is written.
    pub const fn write(plan: Plan, answer: A) -> Self {
        Self { plan, answer }
    }
}

type Decide = dyn Fn(&Books) -> Plan + Send + Sync;

/// One request's share of a transaction: what it has to see, and what it decides then.
#[derive(Clone)]
pub struct Work {
    reads: Reads,
    now: Timestamp,
    decide: Arc<Decide>,
}

impl Work {
    /// `decide` is pure: it may run more than once, and only its last run counts.
    pub fn new(
        reads: Reads,
        now: Timestamp,
        decide: impl Fn(&Books) -> Plan + Send + Sync + 'static,
    ) -> Self {
        Self { reads, now, decide: Arc::new(decide) }
    }

    /// What it has to see.
    #[must_use]
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// When it was asked for.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets it decide.
    #[must_use]
    pub fn decide(&self, books: &Books) -> Plan {
        (self.decide)(books)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work at {}", self.now)
    }
}

/// Durable home of checkouts, payments, coupons, grants and refunds.
///
/// 1. `transact` is one transaction: every row, audit row, outbox row and inbox key of a plan, or nothing. Works of many
///    callers may share it; one that cannot be written does not fail its neighbours.
/// 2. A decision sees everything its [`Reads`] name, as it is at the commit: no other process changes it in between.
/// 3. `create` never overwrites, `update` never inserts, and a purged name is never used again.
/// 4. The audit is one chain over all processes, without a gap.
/// 5. `Unavailable` means *unknown*: the change may have landed. A decision is made so that repeating it is safe.
/// 6. Rows of an older application of the same shape are read as they are.
/// 7. No engine reads a clock: `now` is an argument.
#[async_trait]
pub trait LedgerStore: Send + Sync + 'static {
    /// Loads, lets decide, writes; answers after the commit.
    async fn transact(&self, work: Work) -> Result<(), StoreError>;

    /// Loads without locking, for showing only.
    async fn look(&self, reads: &Reads) -> Result<Books, StoreError>;

    /// Whose a checkout is, and nothing else: a stranger's question costs the same whether there is such a row or not.
    async fn owner_of(&self, checkout: &CheckoutId) -> Result<Option<Owner>, StoreError>;

    /// The same of a payment: who pays.
    async fn payer_of(&self, payment: &PaymentKey) -> Result<Option<Owner>, StoreError>;

    /// Rows that a timer has to look at, the longest due first.
    async fn due(&self, due: Due, now: Timestamp, limit: usize) -> Result<Vec<RecordKey>, StoreError>;

    /// Rows of a kind, newest first. `limit` is at most [`super::PAGE_MAX`].
    async fn page(
        &self,
        kind: Kind,
        filter: &PaymentFilter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page<Record>, StoreError>;

    /// How many of what there are.
    async fn census(&self, now: Timestamp) -> Result<Census, StoreError>;

    /// Effects that are due, held by the caller until `lease_until`: nobody else gets them before.
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError>;

    /// An effect was carried out: it goes.
    async fn done(&self, id: &str) -> Result<(), StoreError>;

    /// An effect could not be carried out.
    async fn undone(&self, id: &str, retry: Retry, error: &str) -> Result<(), StoreError>;

    /// Effects in a state, oldest first.
    async fn effects(&self, state: EffectState, limit: usize) -> Result<Vec<EffectRow>, StoreError>;

    /// Puts a dead effect back; `false` when it is not there or not dead.
    async fn requeue(&self, id: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// The audit's rows after `seq`, in order.
    async fn audit(&self, after: i64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// The audit's end.
    async fn audit_head(&self) -> Result<AuditHead, StoreError>;

    /// The audit's rows about one payment or checkout, oldest first.
    async fn history(&self, about: &RecordKey, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Runs a decision that has an answer.
///
/// # Errors
/// [`StoreError::Unavailable`] when the outcome is unknown.
pub async fn transact<A: Send + 'static>(
    store: &dyn LedgerStore,
    reads: Reads,
    now: Timestamp,
    decide: impl Fn(&Books) -> Decision<A> + Send + Sync + 'static,
) -> Result<A, StoreError> {
    let slot = Arc::new(Mutex::new(None));
    let answer = slot.clone();
    let work = Work::new(reads, now, move |books| {
        let decision = decide(books);
        *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(decision.answer);
        decision.plan
    });
    store.transact(work).await?;
    let answer = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    answer.ok_or_else(|| StoreError::unavailable("the transaction ended without a decision"))
}
