//! Removing expired sessions: in batches, with jitter so that many processes spread out, and on after an error.

use crate::admin::SweepRun;
use crate::app::App;
use crate::cli::SweepArgs;
use crate::config::Config;
use crate::exit::Stop;
use crate::money::MoneyParts;
use crate::stores::{Stores, reason_of};
use crate::telemetry;
use crate::worker;
use serde_json::json;
use sessile::LoginStore;
use sessile_core::{Clock, Entropy, OsEntropy, StoreError, SystemClock};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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

/// `sessile sweep --once`: everything that has expired, of every kind.
///
/// # Errors
/// [`Stop`]; what was removed before stays removed.
pub(crate) async fn once(config: &Config, stores: Stores, args: &SweepArgs) -> Result<(), Stop> {
    let failed = |error: StoreError| Stop::failed(format!("sweeping: {}; run it again", reason_of(&error)));
    let removed = sweep(&*stores.logins, &SystemClock, args.batch).await.map_err(failed)?;
    if !args.json {
        println!("removed {removed} expired sessions");
    }
    let mut told = json!({ "sessions_removed": removed });
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    if let Ok(money) = MoneyParts::new(config, stores.ledger.clone(), &clock, &entropy)?.kinds {
        let swept = worker::sweep(&money).await.map_err(failed)?;
        if !args.json {
            println!(
                "expired {} checkouts and {} payments, removed {} checkouts",
                swept.checkouts_expired, swept.payments_expired, swept.checkouts_removed
            );
        }
        told["checkouts_expired"] = swept.checkouts_expired.into();
        told["payments_expired"] = swept.payments_expired.into();
        told["checkouts_removed"] = swept.checkouts_removed.into();
    }
    if args.json {
        println!("{told}");
    }
    Ok(())
}

/// Sweeps again and again until the future is dropped.
pub(crate) async fn run(app: App, entropy: Arc<dyn Entropy>, every: Duration) {
    let store = app.sessions.logins().store();
    loop {
        tokio::time::sleep(jittered(every, &*entropy)).await;
        let began = Instant::now();
        let swept = sweep(&**store, &*app.clock, BATCH).await;
        app.watch.swept(SweepRun {
            what: "Login sessions",
            at: app.clock.now(),
            took: began.elapsed(),
            outcome: swept.as_ref().map(|removed| vec![("removed", *removed)]).map_err(reason_of),
        });
        match swept {
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
pub(crate) fn jittered(every: Duration, entropy: &dyn Entropy) -> Duration {
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
