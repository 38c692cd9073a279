//! How bytes become stanzas: WebSocket messages, frames, the Noise handshake and binary nodes, seen from the server.
//!
//! Nothing here knows what a stanza means.

pub(crate) mod certificate;
pub(crate) mod frames;
pub(crate) mod noise;
pub(crate) mod stanza;
