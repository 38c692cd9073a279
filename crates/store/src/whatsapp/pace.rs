//! The runtime's monotonic clock, for whoever holds a lease. Tests that pause the runtime's time pause this one too.

use async_trait::async_trait;
use sessile_core::whatsapp::Pace;
use std::time::Duration;
use tokio::time::Instant;

/// Time since it was made, by the runtime.
#[derive(Debug, Clone, Copy)]
pub struct TokioPace(Instant);

impl TokioPace {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Pace for TokioPace {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
