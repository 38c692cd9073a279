//! Places where a test lets the process die: before, within and after everything that makes a step durable.
//!
//! A debug build started with `SESSILE_TEST_ABORT_AT=K` aborts when it comes to a failpoint for the K-th time, as if killed
//! by `kill -9`: no destructor runs, no buffer is flushed. A release has neither the variable nor the counter: there
//! [`reach`] is empty.

/// What a test sets to K.
#[cfg(debug_assertions)]
const VARIABLE: &str = "SESSILE_TEST_ABORT_AT";

/// Comes to a failpoint. `name` is printed when the process dies here, so that a test can say where.
#[cfg(debug_assertions)]
pub(crate) fn reach(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static ABORT_AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()));
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let Some(abort_at) = *ABORT_AT else { return };
    if REACHED.fetch_add(1, Ordering::SeqCst) + 1 == abort_at {
        eprintln!("failpoint {abort_at}: {name}");
        std::process::abort();
    }
}

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn reach(_name: &str) {}
