//! The contract of generation sessions. An engine is a [`GenerationStore`] when it passes the contract suite.

use super::id::{GenerationId, GenerationKey, StripeSessionId};
use super::session::{Generation, Status};
use crate::checkout::GuestHash;
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;

/// A message of Stripe that waits for its job, or for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Stripe's id of it.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The job it names: Stripe's name, or ours from `client_reference_id`.
    pub key: Option<GenerationKey>,
    /// The whole message, as it came.
    pub body: String,
    /// When it came.
    pub received_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Timestamp,
}

/// Whether a message came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// It was kept before, or was done with.
    Known,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tidied {
    /// Sessions that nobody had changed for 30 days.
    pub removed: u64,
    /// Sessions with work that no index knew of.
    pub found: u64,
    /// Whether this way round is not over: the next step belongs to it.
    pub more: bool,
}

/// By what else than its names a job is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// A guest's who has not signed in since.
    Guest(GuestHash),
    /// Stripe's name of the payment.
    Payment(String),
}

/// What there is, for operators.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Jobs by status.
    pub jobs: Vec<(Status, u64)>,
    /// Jobs that failed after they were paid: an operator retries or refunds.
    pub refunds_due: u64,
    /// Refunds that an operator ordered and Stripe has not made.
    pub refunds_ordered: u64,
    /// Since when the oldest due work waits for a worker.
    pub work_since: Option<Timestamp>,
    /// Stripe's messages that are not applied.
    pub waiting: u64,
    /// When the oldest of them came.
    pub waiting_since: Option<Timestamp>,
}

/// Durable home of generation sessions.
///
/// 1. `create` never overwrites: `Taken`.
/// 2. `commit` applies only at the revision before the value's own (`own().revision - 1`); stale or gone is `Conflict` or
///    `Gone`, and nothing changed. It never inserts.
/// 3. `bind` moves a job from our name to Stripe's in steps that any process can finish: whatever dies in between, the job
///    is found under one of the names, and never worked on under both. Binding again is a success.
/// 4. `claim` gives each job whose `due_at` is not after `now` to one caller: it stores lease, fence + 1 and revision + 1
///    in the value and answers that. An index is a hint that
///    `tidy` rebuilds from the values; on SQL it is the row's own column.
/// 5. A session is forgotten 30 days after its last change, never earlier.
/// 6. `Unavailable` means unknown; repeating is safe. A value that cannot be read is `Undecodable`, and kept.
/// 7. No engine reads a clock: `now` is an argument.
#[async_trait]
pub trait GenerationStore: Send + Sync + 'static {
    /// Stores a new job under our name for it.
    async fn create(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError>;

    /// Finds a job by either name.
    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError>;

    /// Stores the next revision of a job.
    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError>;

    /// Gives a job Stripe's name; answers the job as it is now. `None`: there is no such job.
    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError>;

    /// Jobs whose work is due, held by the caller until `lease_until`.
    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError>;

    /// Keeps a message before anything is done about it.
    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError>;

    /// Messages that are due to be applied, the oldest first; held until `lease_until`.
    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError>;

    /// A message was applied: its id is remembered for 30 days, its body goes.
    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError>;

    /// A message could not be applied yet.
    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError>;

    /// Messages that nobody could apply so far, the oldest first, for the operator.
    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError>;

    /// Jobs, newest first, for the operator; a status may be asked for. Engines without an index look at a bounded
    /// number of values.
    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError>;

    /// Jobs that bear a mark, at most so many. Where an index is only a hint, a job may be missing until `tidy` has gone
    /// round.
    async fn marked(&self, mark: &Mark, now: Timestamp, limit: usize) -> Result<Vec<Generation>, StoreError>;

    /// Counts. Engines without an index count while `tidy` goes round: their numbers of jobs are those of the last way
    /// round, and nothing before the first one is over.
    async fn tally(&self, now: Timestamp) -> Result<Tally, StoreError>;

    /// Removes what is over and finds work that no index knows of; at most `batch` values in one go.
    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
