//! WhatsApp's server: who is connected, who is linked, who is answered what.
//!
//! Everything it knows is in [`world::World`]; the modules beside it answer one kind of stanza each. The server cannot
//! read messages: it looks at their envelopes and passes them on, and the peers read.

pub(crate) mod account;
pub(crate) mod app_state;
pub(crate) mod connection;
pub(crate) mod delivery;
pub(crate) mod iq;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod party;
pub(crate) mod usync;
pub(crate) mod world;
