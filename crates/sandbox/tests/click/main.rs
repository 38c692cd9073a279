//! The stand-in Click over real sockets, against a tiny merchant that records what it is sent.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

mod bulk;
mod matrix;
mod merchant;
mod merchant_api;
mod misbehaviour;
mod page;
mod payment;
mod world;
