//! Somebody with a number: the phone of an account, or a peer that a device writes to. Reads and writes for itself.

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::Mutex;
use whatsapp_rust::wacore::crypto::generate_curve_key_pair;
use whatsapp_rust::wacore::libsignal::protocol::{KeyPair, SignalProtocolError};

use crate::address::Device;
use crate::signal::SignalEnd;

/// Registration ids have 31 bits and are not zero.
const REGISTRATION_ID_MASK: u32 = 0x3FFF_FFFF;

/// A phone.
pub(crate) struct Party {
    pub(crate) device: Device,
    pub(crate) name: String,
    pub(crate) identity: KeyPair,
    pub(crate) end: Mutex<SignalEnd>,
}

impl Party {
    pub(crate) fn new(number: &str) -> Result<Self, SignalProtocolError> {
        let identity = generate_curve_key_pair();
        let mut random: StdRng = rand::make_rng();
        let end = SignalEnd::new(&identity, (random.next_u32() & REGISTRATION_ID_MASK) | 1)?;
        Ok(Self {
            device: Device::phone(number),
            name: format!("Phone {number}"),
            identity,
            end: Mutex::new(end),
        })
    }
}
