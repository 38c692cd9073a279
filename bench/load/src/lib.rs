//! A closed-loop HTTP/1.1 load generator that shares the machine with the servers it measures.
//!
//! Every microsecond it spends is taken from the server, from all contenders alike, so it is one thread on epoll that
//! sends requests prepared beforehand, reads no more of an answer than it must, and allocates nothing per request.
//! Each connection has one request under way: no pipelining. Every answer is checked: a status other than 200 or a
//! body that belongs to another session fails the measurement.

mod answer;
mod connection;
mod drive;
mod latency;
mod requests;
mod seed;
mod shuffle;

use std::net::SocketAddr;
use std::time::Duration;

pub use answer::Answer;
pub use drive::{LoadError, Measurement, Work};
pub use requests::{Kind, Requests};
pub use seed::{Session, seed};

/// How one measurement is taken.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server under measurement.
    pub server: SocketAddr,
    /// How many keep-alive connections, each with one request under way.
    pub connections: usize,
    /// How long requests are sent before counting starts.
    pub warmup: Duration,
    /// How long answers are counted.
    pub duration: Duration,
}

/// Sends `requests`, one after the other as connections get free, and counts the answers. [`Requests`] go round and
/// round in their shuffled order.
///
/// # Errors
/// When the server cannot be reached, closes a connection, stops answering, or gives any wrong answer.
pub fn measure(load: &Load, requests: &mut impl Work) -> Result<Measurement, LoadError> {
    drive::drive(load, requests)
}
