//! The real client against the stand-in, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod control;
mod device;
mod linking;
mod messages;
mod misbehaviour;
