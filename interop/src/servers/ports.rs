//! Free loopback ports for servers.
//!
//! Ports come from below the range that the kernel gives to outgoing connections, so a server that is killed
//! and restarted on its port does not find a client's socket there. Each port is handed out once per process.

use std::{collections::BTreeSet, net::TcpListener, sync::LazyLock};

use crate::servers::error::ServerError;

/// First port handed out.
const FIRST: u16 = 12_000;
/// How many ports there are to choose from; with [`CLUSTER_BUS`] on top they end below 32768.
const COUNT: u16 = 10_000;
/// Redis Cluster nodes talk to each other on their port plus this.
const CLUSTER_BUS: u16 = 10_000;

static HANDED_OUT: LazyLock<std::sync::Mutex<BTreeSet<u16>>> = LazyLock::new(Default::default);

/// A port that nothing listens on.
///
/// # Errors
/// When every one of the range is taken.
pub fn free_port() -> Result<u16, ServerError> {
    choose(is_free)
}

/// A port that nothing listens on, and whose cluster bus port is free too.
pub(crate) fn free_cluster_port() -> Result<u16, ServerError> {
    choose(|port| is_free(port) && is_free(port + CLUSTER_BUS))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Walks the whole range once from a random start, so that test processes side by side rarely meet.
fn choose(fits: impl Fn(u16) -> bool) -> Result<u16, ServerError> {
    let mut seed = [0; 2];
    getrandom::fill(&mut seed).map_err(|error| ServerError::Setup(format!("no randomness: {error}")))?;
    let start = u16::from_le_bytes(seed) % COUNT;
    let mut handed_out = HANDED_OUT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !handed_out.contains(port) && fits(*port))
        .inspect(|port| {
            handed_out.insert(*port);
        })
        .ok_or_else(|| ServerError::Setup(format!("no free port from {FIRST} to {}", FIRST + COUNT)))
}
