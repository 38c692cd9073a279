//! Every (chain, counter) that a device has encrypted with. One that comes twice is the fault this crate looks for:
//! a device that was restored from an old copy repeats them, and looks healthy while it does.

use serde::Serialize;
use std::collections::HashMap;
use whatsapp_rust::wacore::libsignal::protocol::{CiphertextMessage, PublicKey};

/// The place of one message in a sender's ratchet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RatchetStep {
    /// The sender's device: `number:device`.
    pub from: String,
    /// The receiver's device: `number:device`.
    pub to: String,
    /// The chain: the sender's ratchet key in hexadecimal.
    pub chain: String,
    /// The message's number in the chain.
    pub counter: u32,
}

/// A step that was used for two messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RatchetReuse {
    /// The step.
    pub step: RatchetStep,
    /// The id of the message that used it first.
    pub first: String,
    /// The id of the message that used it again.
    pub again: String,
    /// Whether both carried the same bytes: the same message delivered twice, not two messages under one key.
    pub identical: bool,
}

/// The chain's key and the message's number in it, of a ciphertext between two devices.
pub(crate) fn place(sealed: &CiphertextMessage) -> Option<(&PublicKey, u32)> {
    let message = match sealed {
        CiphertextMessage::SignalMessage(message) => message,
        CiphertextMessage::PreKeySignalMessage(message) => message.message(),
        _ => return None,
    };
    Some((message.sender_ratchet_key(), message.counter()))
}

/// What was used so far.
#[derive(Debug, Default)]
pub(crate) struct Ratchets {
    used: HashMap<RatchetStep, Use>,
    reuses: Vec<RatchetReuse>,
}

#[derive(Debug)]
struct Use {
    message_id: String,
    sealed: Vec<u8>,
}

impl Ratchets {
    /// Notes a step and says whether it was new.
    pub(crate) fn note(&mut self, step: RatchetStep, message_id: &str, sealed: &[u8]) -> bool {
        let Some(first) = self.used.get(&step) else {
            self.used.insert(step, Use { message_id: message_id.to_owned(), sealed: sealed.to_vec() });
            return true;
        };
        self.reuses.push(RatchetReuse {
            step,
            first: first.message_id.clone(),
            again: message_id.to_owned(),
            identical: first.sealed == sealed,
        });
        false
    }

    pub(crate) fn reuses(&self) -> Vec<RatchetReuse> {
        self.reuses.clone()
    }

    pub(crate) fn steps(&self) -> Vec<RatchetStep> {
        let mut steps: Vec<_> = self.used.keys().cloned().collect();
        steps.sort();
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_comes_twice_is_told_apart_from_a_second_delivery() {
        let mut ratchets = Ratchets::default();
        assert!(ratchets.note(step(0), "A", b"one"));
        assert!(ratchets.note(step(1), "B", b"two"));
        assert!(!ratchets.note(step(0), "C", b"three"));
        assert!(!ratchets.note(step(1), "B", b"two"));
        let told: Vec<_> =
            ratchets.reuses().into_iter().map(|reuse| (reuse.again, reuse.identical)).collect();
        assert_eq!(told, [("C".to_owned(), false), ("B".to_owned(), true)]);
    }

    fn step(counter: u32) -> RatchetStep {
        RatchetStep { from: "1:1".into(), to: "2:0".into(), chain: "05aa".into(), counter }
    }
}
