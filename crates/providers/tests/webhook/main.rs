//! The webhook's sender and Supabase's client against real sockets.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

mod receiver;
mod sender;
mod supabase;
