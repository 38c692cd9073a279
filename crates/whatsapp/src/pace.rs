//! Tokio's clock as the pace of leases and retries.

use async_trait::async_trait;
use sessile_core::whatsapp::Pace;
use std::time::Duration;
use tokio::time::Instant;

/// Time since it was made. Tests pause and advance it with the runtime's clock.
#[derive(Debug, Clone, Copy)]
pub struct RuntimePace(Instant);

impl RuntimePace {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Pace for RuntimePace {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
