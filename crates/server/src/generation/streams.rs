//! Room for pages that watch their job, and the word that ends all of them when the server stops.

use crate::limits::STATUS_STREAMS_MAX;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The room.
#[derive(Debug)]
pub(crate) struct Streams {
    room: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Streams {
    pub(crate) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(STATUS_STREAMS_MAX)), stopping: watch::channel(false).0 }
    }

    /// A place, as long as it is held; `None` when there is none.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Tells when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// The server stops: streams end now, and pages ask another process.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }
}
