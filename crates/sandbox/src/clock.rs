//! The stand-ins' clock: unix milliseconds, replaceable in tests so that nothing has to wait.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's own clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the edge: the one place where the stand-in reads time"
        )]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
    })
}
