//! When each open request was sent to the generator, as the stored jobs say it.
//!
//! The generator's word "I do not have it" counts only some time after the call, and whoever asks is told the request,
//! not the time. So the store is watched: every job that a worker takes or writes passes here, with the time of its
//! calls. What is not known here is unknown, never long ago.

use async_trait::async_trait;
use sessile_core::generation::{
    Generation, GenerationId, GenerationKey, GenerationStore, Kept, KeptEvent, StripeSessionId, Tidied,
    VideoStatus,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Requests that are remembered; the oldest half goes when there are more.
const CALLS_MAX: usize = 100_000;

/// The times of calls whose outcome is open; shared by clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<HashMap<String, Timestamp>>>);

impl Calls {
    /// When a request was sent last, as far as this process has seen it.
    pub(crate) fn sent_at(&self, request_id: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(request_id).copied()
    }

    /// The same store, watched.
    pub(crate) fn watching(&self, store: Arc<dyn GenerationStore>) -> Arc<dyn GenerationStore> {
        Arc::new(Watched { store, calls: self.clone() })
    }

    fn note(&self, job: &Generation) {
        let files = &job.own().files;
        if files.is_empty() {
            return;
        }
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for video in files {
            match (video.status, video.called_at) {
                (VideoStatus::Calling | VideoStatus::Asking, Some(at)) => {
                    calls.insert(video.request_id.clone(), at);
                }
                _ => {
                    calls.remove(&video.request_id);
                }
            }
        }
        if calls.len() > CALLS_MAX {
            let mut times: Vec<Timestamp> = calls.values().copied().collect();
            let middle = times.len() / 2;
            let (_, middle, _) = times.select_nth_unstable(middle);
            let middle = *middle;
            calls.retain(|_, at| *at >= middle);
        }
    }
}

struct Watched {
    store: Arc<dyn GenerationStore>,
    calls: Calls,
}

#[async_trait]
impl GenerationStore for Watched {
    async fn create(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.store.create(job, now).await
    }

    async fn load(&self, key: &GenerationKey, now: Timestamp) -> Result<Option<Generation>, StoreError> {
        self.store.load(key, now).await
    }

    async fn commit(&self, job: &Generation, now: Timestamp) -> Result<(), StoreError> {
        self.store.commit(job, now).await?;
        self.calls.note(job);
        Ok(())
    }

    async fn bind(
        &self,
        own: &GenerationId,
        stripe: &StripeSessionId,
        now: Timestamp,
    ) -> Result<Option<Generation>, StoreError> {
        self.store.bind(own, stripe, now).await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Generation>, StoreError> {
        let jobs = self.store.claim(now, lease_until, limit).await?;
        jobs.iter().for_each(|job| self.calls.note(job));
        Ok(jobs)
    }

    async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        self.store.keep(event).await
    }

    async fn kept(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        self.store.kept(now, lease_until, limit).await
    }

    async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.store.applied(id, now).await
    }

    async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        self.store.postponed(id, next_at).await
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        self.store.waiting(limit).await
    }

    async fn recent(&self, status: Option<&str>, limit: usize) -> Result<Vec<Generation>, StoreError> {
        self.store.recent(status, limit).await
    }

    async fn tidy(&self, now: Timestamp, batch: usize) -> Result<Tidied, StoreError> {
        self.store.tidy(now, batch).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
