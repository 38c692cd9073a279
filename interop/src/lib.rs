//! Real outside parties for Sessile's tests: the database servers it stores in, started privately, and the
//! clients it must stay compatible with (an Express application under `interop/express`).
//!
//! Used by integration tests and by the `servers` program that `./test` runs everything under. Nothing here is
//! ever a dependency of the product, and nothing here touches a server that the machine already runs.

pub mod peer;
pub mod servers;
