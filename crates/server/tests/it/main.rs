//! The program from outside: its routes over real sockets, and the binary as a process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod devices;
mod engines;
mod process;
mod routes;
mod sign_in;
mod world;
