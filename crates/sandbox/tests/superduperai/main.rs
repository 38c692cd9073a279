//! The stand-in SuperDuperAI over real sockets.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

mod api;
mod events;
mod misbehaviour;
mod video;
mod world;
