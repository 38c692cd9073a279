//! The service: what HTTP, the worker and an operator may do with paid jobs.

use super::id::{GenerationId, GenerationKey, StripeSessionId};
use super::news::StripeNews;
use super::session::{Entry, Generation, Money, NewGeneration, Refund, Status, VIDEOS_MAX};
use super::store::{GenerationStore, Kept, KeptEvent, Mark};
use super::video::SEED_MAX;
use super::work::{CALL_TIMEOUT, WORK_LEASE};
use crate::checkout::GuestHash;
use crate::entropy::Entropy;
use crate::id::random_text;
use crate::login::UserId;
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Tries of one change against others of the same job.
const TRIES_MAX: usize = 64;
/// Jobs of one guest that are taken over at once.
const ADOPTED_MAX: usize = 1000;

/// Generation sessions, on some store.
#[derive(Clone)]
pub struct Generations {
    pub(super) store: Arc<dyn GenerationStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) lease: Duration,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It changed the job.
    Changed,
    /// It was applied before.
    Again,
    /// There is no such job yet.
    NoJob,
}

impl Generations {
    /// On a store.
    pub fn new(store: Arc<dyn GenerationStore>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, entropy, lease: WORK_LEASE }
    }

    /// With another time for which a worker holds a job without a word: as long as the work of one that died lies.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// How long one call to the generator may take: less than the lease, with time left to record what came of it.
    #[must_use]
    pub fn call_timeout(&self) -> Duration {
        CALL_TIMEOUT.min(self.lease / 2)
    }

    /// The store, for lists.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn GenerationStore> {
        &self.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Stores a job that nobody has paid for, before money can move.
    ///
    /// # Errors
    /// [`StoreError`]; Stripe must not be asked then.
    pub async fn create(&self, new: NewGeneration) -> Result<Generation, StoreError> {
        let id = GenerationId::generate(&*self.entropy).map_err(StoreError::unavailable)?;
        let now = self.now();
        let job = Generation::new(id, new, now);
        self.store.create(&job, now).await?;
        Ok(job)
    }

    /// Stripe has named the job.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when there is no such job; else the outcome is unknown, and binding again is safe.
    pub async fn bind(&self, own: &GenerationId, stripe: &StripeSessionId) -> Result<Generation, StoreError> {
        self.store.bind(own, stripe, self.now()).await?.ok_or(StoreError::Gone)
    }

    /// A job by either name.
    ///
    /// # Errors
    /// As the store says.
    pub async fn find(&self, key: &GenerationKey) -> Result<Option<Generation>, StoreError> {
        self.store.load(key, self.now()).await
    }

    /// Keeps a message of Stripe, so that it may be answered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing is known to be recorded; Stripe is to send it again.
    pub async fn keep(&self, event: KeptEvent) -> Result<Kept, StoreError> {
        self.store.keep(&event).await
    }

    /// Applies an event to the job that it names. `also` is our own name of it, from `client_reference_id`: a webhook may
    /// be faster than the answer that named the job.
    ///
    /// # Errors
    /// As the store says; applying again is safe.
    pub async fn apply(
        &self,
        stripe: Option<&StripeSessionId>,
        also: Option<&GenerationId>,
        event: &StripeNews,
    ) -> Result<Applied, StoreError> {
        let requests = self.requests()?;
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let job = match (stripe, also) {
                (Some(stripe), Some(own)) => match self.store.bind(own, stripe, now).await? {
                    Some(job) => Some(job),
                    None => self.store.load(&GenerationKey::Stripe(stripe.clone()), now).await?,
                },
                (Some(stripe), None) => self.store.load(&GenerationKey::Stripe(stripe.clone()), now).await?,
                (None, Some(own)) => self.store.load(&GenerationKey::Own(own.clone()), now).await?,
                (None, None) => None,
            };
            let Some(job) = job else { return Ok(Applied::NoJob) };
            let Some(next) = job.on(event, &requests, now) else { return Ok(Applied::Again) };
            match self.store.commit(&next.next_revision(now), now).await {
                Ok(()) => return Ok(Applied::Changed),
                Err(StoreError::Conflict) => {}
                Err(StoreError::Gone) => return Ok(Applied::NoJob),
                Err(other) => return Err(other),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Applies an event that names a payment and no session.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn apply_to_payment(&self, intent: &str, event: &StripeNews) -> Result<Applied, StoreError> {
        let mark = Mark::Payment(intent.to_owned());
        let found = self.store.marked(&mark, self.now(), 1).await?;
        match found.first().map(Generation::key) {
            None => Ok(Applied::NoJob),
            Some(GenerationKey::Stripe(stripe)) => self.apply(Some(&stripe), None, event).await,
            Some(GenerationKey::Own(own)) => self.apply(None, Some(&own), event).await,
        }
    }

    /// Changes a job, again and again until nobody else did meanwhile. `change` answers `false` for nothing to do.
    ///
    /// # Errors
    /// [`StoreError::Gone`], or as the store says.
    pub async fn change(
        &self,
        key: &GenerationKey,
        change: impl Fn(&mut Generation, Timestamp) -> bool + Send + Sync,
    ) -> Result<(Generation, bool), StoreError> {
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let mut job = self.store.load(key, now).await?.ok_or(StoreError::Gone)?;
            if !change(&mut job, now) {
                return Ok((job, false));
            }
            let job = job.next_revision(now);
            match self.store.commit(&job, now).await {
                Ok(()) => return Ok((job, true)),
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
        Err(StoreError::Conflict)
    }

    /// A guest has signed in: the guest's jobs are the user's from now on. Answers how many there were; doing it again
    /// is safe.
    ///
    /// # Errors
    /// As the store says; whatever was not bound yet is still the guest's.
    pub async fn adopt(&self, guest: &GuestHash, user: &UserId) -> Result<usize, StoreError> {
        let jobs = self.store.marked(&Mark::Guest(guest.clone()), self.now(), ADOPTED_MAX).await?;
        let mut adopted = 0;
        for job in jobs {
            let taken = self
                .change(&job.key(), |job, now| {
                    let owner = &mut job.own_mut().owner;
                    let theirs = owner.user.is_none() && owner.guest.as_ref() == Some(guest);
                    if theirs {
                        owner.user = Some(user.clone());
                        job.note("the guest signed in", now);
                    }
                    theirs
                })
                .await;
            match taken {
                Ok((_, changed)) => adopted += usize::from(changed),
                // Its time was over meanwhile.
                Err(StoreError::Gone) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(adopted)
    }

    /// A backend reports how a job goes; only what could have happened is taken. `false`: it could not.
    ///
    /// # Errors
    /// [`StoreError::Gone`], or as the store says.
    pub async fn report(&self, key: &GenerationKey, report: Report) -> Result<bool, StoreError> {
        let done = self
            .change(key, move |job, now| {
                let same = job.status == report.status && report.file_id == job.file_id;
                if same || !may_follow(job, report.status) {
                    return false;
                }
                job.status = report.status;
                job.file_id = report.file_id.clone().or(job.file_id.take());
                job.error = report.error.clone().filter(|_| report.status == Status::Error);
                job.own_mut().timeline.push(Entry { at: now, what: "reported by a backend".to_owned() });
                true
            })
            .await?;
        let (job, changed) = done;
        Ok(changed || job.status == report.status)
    }

    /// Names and seeds for the videos of one job, should it be paid now.
    fn requests(&self) -> Result<Vec<(String, u32)>, StoreError> {
        let one = || {
            let name = random_text("req_", &*self.entropy)?;
            let mut seed = [0_u8; 4];
            self.entropy.fill(&mut seed)?;
            Ok((name, u32::from_be_bytes(seed) % SEED_MAX + 1))
        };
        (0..VIDEOS_MAX)
            .map(|_| one())
            .collect::<Result<_, _>>()
            .map_err(|error: crate::entropy::NoEntropy| StoreError::unavailable(error))
    }
}

/// What a backend reports.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where the job is.
    pub status: Status,
    /// The first video's file.
    pub file_id: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Forwards only; our own worker's jobs are not reported by others.
fn may_follow(job: &Generation, next: Status) -> bool {
    let ours =
        !job.own().files.is_empty() && job.own().money == Money::Paid && job.own().refund == Refund::None;
    match (job.status, next) {
        (Status::Pending, Status::Processing | Status::Error) => true,
        (Status::Processing, Status::Processing | Status::Completed | Status::Error) => !ours,
        _ => false,
    }
}
