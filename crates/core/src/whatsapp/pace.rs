//! A clock that only moves forward, and waiting by it: what a lease is measured with, and what needs a runtime.

use async_trait::async_trait;
use std::time::Duration;

/// The monotonic clock of this process. The machine's time of day may jump; this one does not.
#[async_trait]
pub trait Pace: Send + Sync + 'static {
    /// Time since some moment before anything was asked.
    fn elapsed(&self) -> Duration;

    /// Waits.
    async fn pause(&self, span: Duration);
}
