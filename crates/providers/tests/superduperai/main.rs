//! SuperDuperAI's client over real sockets.

mod events;
mod generate;
mod read;
#[path = "../stub/mod.rs"]
mod stub;
