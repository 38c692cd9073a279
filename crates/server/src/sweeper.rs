//! Removing expired sessions: in batches, with jitter so that many processes spread out, and on after an error.

use crate::telemetry;
use sessile::LoginStore;
use sessile_core::{Clock, Entropy, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Sessions that one statement removes at most.
pub(crate) const BATCH: u32 = 1000;
/// How long one batch may take.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Sweeps until nothing is left, and says how many sessions went.
///
/// # Errors
/// As the store says; what was removed before stays removed.
pub(crate) async fn sweep(store: &dyn LoginStore, clock: &dyn Clock, batch: u32) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        let one = store.sweep(clock.now(), batch as usize);
        let swept = tokio::time::timeout(BATCH_TIMEOUT, one).await.map_err(StoreError::unavailable)??;
        removed += swept.removed;
        metrics::counter!(telemetry::SWEPT).increment(swept.removed);
        if !swept.more {
            return Ok(removed);
        }
        // Requests come first.
        tokio::task::yield_now().await;
    }
}

/// Sweeps again and again until the future is dropped.
pub(crate) async fn run(
    store: Arc<dyn LoginStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    every: Duration,
) {
    loop {
        tokio::time::sleep(jittered(every, &*entropy)).await;
        match sweep(&*store, &*clock, BATCH).await {
            Ok(0) => tracing::debug!("swept: nothing had expired"),
            Ok(removed) => tracing::info!(removed, "swept"),
            Err(error) => {
                metrics::counter!(telemetry::SWEEP_ERRORS).increment(1);
                tracing::warn!(%error, "a sweep failed; the next one comes");
            }
        }
    }
}

/// Half to one and a half times as long.
fn jittered(every: Duration, entropy: &dyn Entropy) -> Duration {
    let mut byte = [128_u8];
    // Without chance all processes sweep at once; that is slower, not wrong.
    let _ = entropy.fill(&mut byte);
    every.mul_f64(0.5 + f64::from(byte[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sessile_core::OsEntropy;

    #[test]
    fn the_pause_stays_between_half_and_one_and_a_half() {
        let every = Duration::from_secs(900);
        for _ in 0..1000 {
            let pause = jittered(every, &OsEntropy);
            assert!((450.0..=1350.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
