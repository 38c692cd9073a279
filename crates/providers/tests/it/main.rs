//! The real sign-in client against the stand-in provider, over real sockets.

mod misbehaviour;
mod sign_in;
mod world;
