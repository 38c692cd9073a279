//! Stand-in providers on loopback: what `sessile dev` and the tests sign in and pay against.
//!
//! They check what the real providers check and answer as those are documented to, so that a mistake shows here
//! and not in production. They can be told to misbehave. They keep everything in memory, hold demo people and demo
//! money only, and must never be reachable from anywhere but this machine.

pub mod click;
mod clock;
mod config;
mod loopback;
mod page;
mod random;
mod reply;
mod server;
mod shelf;
pub mod stripe;
pub mod superduperai;
pub mod switch;
mod switch_form;
pub mod whop;

pub use clock::{Clock, system_clock};
pub use config::SandboxConfig;
pub use server::{STOP_GRACE, Sandbox, SandboxError, serve};
