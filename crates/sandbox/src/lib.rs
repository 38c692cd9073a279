//! Stand-in providers on loopback: what `sessile dev` and the tests sign in against.
//!
//! They check what the real providers check and answer as those are documented to, so that a mistake shows here
//! and not in production. They can be told to misbehave. They keep everything in memory, hold demo people only,
//! and must never be reachable from anywhere but this machine.

mod server;
pub mod whop;

pub use server::{STOP_GRACE, Sandbox, SandboxError, serve};
