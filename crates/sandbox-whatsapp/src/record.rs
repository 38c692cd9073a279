//! What the stand-in has seen, for tests to look at. Everything here is also in the control's JSON.

use serde::Serialize;

use crate::protocol::noise::Pattern;
use crate::ratchet::RatchetStep;

/// One connection of a client.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionRecord {
    /// Grows with every connection.
    pub id: u64,
    /// `number:device` of a device that has logged in.
    pub device: Option<String>,
    /// `link`, `device` or `refused`.
    pub purpose: &'static str,
    /// How the client introduced itself.
    pub pattern: Pattern,
    /// Whether it is still there.
    pub open: bool,
    /// Stanzas from the client.
    pub frames_in: u64,
    /// Stanzas to the client.
    pub frames_out: u64,
}

/// A message that a device handed to the server, for however many others.
#[derive(Clone, Debug, Serialize)]
pub struct SentRecord {
    /// Its id.
    pub id: String,
    /// `number:device` of the sender.
    pub from: String,
    /// The chat: a number.
    pub to: String,
    /// How many devices it was encrypted for.
    pub copies: usize,
}

/// A message as it was read by the phone or peer it was meant for.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRecord {
    /// Its id.
    pub id: String,
    /// `number:device` of the sender.
    pub from: String,
    /// The number of who read it.
    pub to: String,
    /// Whether it is the copy that the sender's own phone gets of what was sent to somebody else.
    pub own_copy: bool,
    /// The text, where it has one.
    pub text: Option<String>,
    /// Why it could not be read.
    pub failed: Option<String>,
    /// Whether it opened a session.
    pub opens_session: bool,
    /// Its place in the sender's ratchet.
    pub step: Option<RatchetStep>,
}
