//! A stand-in for WhatsApp's server and for a phone, on loopback. Tests drive the real client against it.
//!
//! It speaks the protocol that the client speaks: the Noise handshake, linking by QR code, by a typed code and with a
//! passkey, keys, app state, messages and receipts. Phones and peers have real Signal sessions and watch that no device
//! ever encrypts two messages with one key. It can be told to misbehave.
//!
//! Only test programs depend on this crate: it turns on the client's `stand-in` feature.

mod address;
mod control;
mod error;
mod fake;
mod linking;
mod misbehaviour;
mod peer;
mod phone;
mod protocol;
mod ratchet;
mod record;
mod server;
mod signal;

pub use error::{FakeError, PhoneError};
pub use fake::{CHAT_PATH, FakeWhatsApp, PHONE_NUMBER};
pub use misbehaviour::{Lasts, Misbehaviour, Switch, SwitchError};
pub use peer::Peer;
pub use phone::{LinkedDevice, Phone};
pub use protocol::noise::Pattern;
pub use ratchet::{RatchetReuse, RatchetStep};
pub use record::{ConnectionRecord, MessageRecord, SentRecord};
pub use server::login::PAIRING_REFS;
