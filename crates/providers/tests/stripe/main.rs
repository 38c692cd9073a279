//! Stripe from the outside: signatures and events as bytes, and the client over real sockets.

mod client;
mod garbage;
mod repeats;
#[path = "../stub/mod.rs"]
mod stub;
