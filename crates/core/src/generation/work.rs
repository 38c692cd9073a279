//! The worker: takes jobs whose work is due, records what it is about to do, does it, and records what came of it.
//!
//! A lease keeps two workers from one job, the fence keeps a worker that slept through its lease from writing. A call
//! to the generator is recorded before it is made: whoever finds such a record afterwards asks before it calls again.

use super::service::Generations;
use super::session::{Generation, Refund, Status};
use super::video::{Asked, Called, Seen, Task};
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::time::Duration;

/// How long a worker holds a job without a word, unless told otherwise.
pub const WORK_LEASE: Duration = Duration::from_secs(45);
/// The longest that one call to the generator may take; less than the lease.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Tries of one record against others of the same job.
const TRIES_MAX: usize = 32;

/// What a call is about.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is to be seen.
    pub prompt: String,
    /// Seconds.
    pub duration: u32,
    /// Width and height.
    pub resolution: String,
    /// The look.
    pub style: String,
    /// Names the request.
    pub request_id: String,
    /// Echoed by the generator.
    pub seed: u32,
    /// When it was sent last: the generator's word that it does not have it counts only some time afterwards.
    pub called_at: Option<Timestamp>,
}

/// Whoever makes videos.
#[async_trait]
pub trait Generator: Send + Sync {
    /// Makes one; never repeats the call by itself.
    async fn call(&self, order: &Order) -> Called;
    /// Whether an earlier call arrived.
    async fn ask(&self, order: &Order) -> Asked;
    /// How it goes.
    async fn look(&self, file_id: &str) -> Seen;
}

/// Whoever gives money back.
#[async_trait]
pub trait Refunder: Send + Sync {
    /// Gives all of a payment back; repeating the same key is safe. `false`: not now.
    async fn refund(&self, payment_intent: &str, key: &str) -> bool;
}

/// Why a job was put down.
enum Lost {
    /// Somebody else has it now.
    Fence,
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Generations {
    /// Takes up to `limit` jobs and does what is due; answers how many there were.
    ///
    /// # Errors
    /// As the store says; whatever was not done stays due.
    pub async fn work(
        &self,
        generator: &dyn Generator,
        refunder: &dyn Refunder,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let now = self.now();
        let jobs = self.store.claim(now, now.plus(self.lease), limit).await?;
        let count = jobs.len();
        let done = join_all(jobs.into_iter().map(|job| self.work_on(job, generator, refunder))).await;
        for lost in done.into_iter().filter_map(Result::err) {
            if let Lost::Store(error) = lost {
                return Err(error);
            }
        }
        Ok(count)
    }

    async fn work_on(
        &self,
        job: Generation,
        generator: &dyn Generator,
        refunder: &dyn Refunder,
    ) -> Result<(), Lost> {
        let mut job = job;
        if job.own().refund == Refund::Ordered {
            job = self.give_back(job, refunder).await?;
        }
        if job.status == Status::Processing {
            job = self.record_calls(job).await?;
            let now = self.now();
            let outcomes =
                join_all((0..job.own().files.len()).map(|at| self.outcome(&job, at, generator))).await;
            job = self
                .record(job, |job| {
                    for (at, outcome) in outcomes.iter().enumerate() {
                        let Some(outcome) = outcome else { continue };
                        let Some(video) = job.own_mut().files.get_mut(at) else { continue };
                        let before = video.status;
                        match outcome.clone() {
                            Outcome::Called(called) => video.called(called, now),
                            Outcome::Asked(asked) => video.asked(asked, now),
                            Outcome::Seen(seen) => video.seen(seen, now),
                        }
                        if before != video.status {
                            let what = format!("video {}: {:?} after {before:?}", at + 1, video.status);
                            job.note(what.to_lowercase(), now);
                        }
                    }
                    job.conclude(now);
                })
                .await?;
        }
        // The lease ends with the work.
        self.record(job, |job| job.own_mut().lease_until = None).await.map(drop)
    }

    /// What is about to be called is recorded first.
    async fn record_calls(&self, job: Generation) -> Result<Generation, Lost> {
        let now = self.now();
        let calls = |job: &Generation| {
            let due = job.own().files.iter().enumerate();
            due.filter(|(_, video)| video.task(now) == Some(Task::Call)).map(|(at, _)| at).collect::<Vec<_>>()
        };
        if calls(&job).is_empty() {
            return Ok(job);
        }
        let lost_at = now.plus(self.lease);
        self.record(job, |job| {
            for at in calls(job) {
                if let Some(video) = job.own_mut().files.get_mut(at) {
                    video.calling(now, lost_at);
                }
                job.note(format!("video {}: calling the generator", at + 1), now);
            }
        })
        .await
    }

    async fn outcome(&self, job: &Generation, at: usize, generator: &dyn Generator) -> Option<Outcome> {
        let video = job.own().files.get(at)?;
        let order = Order {
            prompt: job.prompt.clone(),
            duration: job.duration,
            resolution: job.resolution.clone(),
            style: job.style.clone(),
            request_id: video.request_id.clone(),
            seed: video.seed,
            called_at: video.called_at,
        };
        let now = self.now();
        let just_recorded =
            video.status == super::VideoStatus::Calling && video.next_at.is_some_and(|at| at > now);
        if just_recorded {
            return Some(Outcome::Called(generator.call(&order).await));
        }
        match video.task(now)? {
            // A call is made only after it was recorded.
            Task::Call => None,
            Task::Ask => Some(Outcome::Asked(generator.ask(&order).await)),
            Task::Watch => {
                let file = video.file_id.as_deref()?;
                Some(Outcome::Seen(generator.look(file).await))
            }
        }
    }

    async fn give_back(&self, job: Generation, refunder: &dyn Refunder) -> Result<Generation, Lost> {
        let now = self.now();
        let Some(intent) = job.own().payment_intent.clone() else {
            return self.record(job, |job| job.note("there is no payment to give back", now)).await;
        };
        let key = format!("refund-{}", job.own().id.as_str());
        if !refunder.refund(&intent, &key).await {
            return Ok(job);
        }
        self.record(job, |job| {
            job.own_mut().refund = Refund::Done;
            job.note("money given back", now);
        })
        .await
    }

    /// Records a change under our fence. What others changed meanwhile (news from Stripe) is kept: the change is made
    /// again on what is there.
    async fn record(
        &self,
        job: Generation,
        change: impl Fn(&mut Generation) + Send + Sync,
    ) -> Result<Generation, Lost> {
        let fence = job.own().fence;
        let mut current = job;
        for _ in 0..TRIES_MAX {
            let now = self.now();
            let mut next = current.clone();
            change(&mut next);
            next.own_mut().lease_until = next.own().lease_until.map(|_| now.plus(self.lease));
            let next = next.next_revision(now);
            match self.store.commit(&next, now).await {
                Ok(()) => return Ok(next),
                Err(StoreError::Conflict) => {
                    let there = self.store.load(&current.key(), now).await?.ok_or(StoreError::Gone)?;
                    if there.own().fence != fence {
                        return Err(Lost::Fence);
                    }
                    current = there;
                }
                Err(other) => return Err(Lost::Store(other)),
            }
        }
        Err(Lost::Store(StoreError::Conflict))
    }
}

/// What came of one thing that was done.
#[derive(Debug, Clone)]
enum Outcome {
    Called(Called),
    Asked(Asked),
    Seen(Seen),
}
