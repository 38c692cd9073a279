//! The library as an application sees it: a real axum router, requests in, answers out, and the store beside it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step of a test is a failed test")]

mod cookies;
mod corpus;
mod devices;
mod faults;
mod lifetimes;
mod quiet;
mod same_origin;
mod scheme;
mod sign_in;
mod together;
mod watched;
mod world;
