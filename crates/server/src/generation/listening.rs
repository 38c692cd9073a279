//! How far the generator's videos are, as its own event streams tell. A help for the bars on the page, nothing more:
//! what became of a video is always asked for.

use sessile_providers::superduperai::Client;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Streams that one process reads at once.
const STREAMS_MAX: usize = 256;
/// A stream of a video that nobody has looked at for so long is let go: another process works on it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// The streams that are read.
pub(super) struct Listening {
    client: Client,
    files: Mutex<HashMap<String, Ear>>,
}

struct Ear {
    percent: Arc<AtomicU8>,
    task: AbortHandle,
    looked_at: Instant,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    pub(super) fn to(client: Client) -> Self {
        Self { client, files: Mutex::new(HashMap::new()) }
    }

    /// What was heard last; begins to listen when nobody does.
    pub(super) fn progress(&self, file_id: &str) -> Option<u8> {
        let now = Instant::now();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ear) = files.get_mut(file_id).filter(|ear| !ear.task.is_finished()) {
            ear.looked_at = now;
            return Some(ear.percent.load(Ordering::Relaxed));
        }
        let heard = files.remove(file_id).map_or(0, |ear| ear.percent.load(Ordering::Relaxed));
        if files.len() >= STREAMS_MAX {
            files.retain(|_, ear| now.duration_since(ear.looked_at) < FORGOTTEN_AFTER);
        }
        if files.len() < STREAMS_MAX {
            let percent = Arc::new(AtomicU8::new(heard));
            let task = tokio::spawn(listen(self.client.clone(), file_id.to_owned(), percent.clone()));
            let ear = Ear { percent, task: task.abort_handle(), looked_at: now };
            files.insert(file_id.to_owned(), ear);
        }
        Some(heard)
    }

    /// Nothing more is of interest.
    pub(super) fn over(&self, file_id: &str) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(file_id);
    }
}

async fn listen(client: Client, file_id: String, percent: Arc<AtomicU8>) {
    let Ok(mut events) = client.events(&file_id).await else { return };
    while let Ok(Some(event)) = events.next().await {
        if let Some(progress) = event.progress() {
            percent.fetch_max(progress.percent, Ordering::Relaxed);
        }
    }
}
