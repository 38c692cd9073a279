//! Webhooks to the application, signed as Standard Webhooks has it (standardwebhooks.com).
//!
//! The outbox hands an event to a [`Sender`], which posts it once and says what came of it; a receiver - a test, or an
//! application written in Rust - checks it with [`Secrets::verify`]. An event keeps its id over every attempt, so that
//! a receiver that has seen the id can let the message go.

mod sender;
mod signature;

pub use crate::outgoing::{TIMEOUTS, Unusable};
pub use crate::transport::Timeouts;
pub use sender::{Delivery, Event, Sender};
pub use signature::{
    BadSecret, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Refused, Secrets, TOLERANCE_S,
};
