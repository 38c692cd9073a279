//! The stand-in Stripe over real sockets, against a tiny application that records what it is told.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

mod api;
mod application;
mod idempotency;
mod misbehaviour;
mod page;
mod payment;
mod webhook;
mod world;
