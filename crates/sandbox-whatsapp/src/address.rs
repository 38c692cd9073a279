//! Numbers, devices and their two names on the wire: by phone number, and by an id that hides it.

use std::fmt;
use whatsapp_rust::wacore::libsignal::protocol::ProtocolAddress;
use whatsapp_rust::wacore_binary::{Jid, Server};

/// What hides a number here: digits put before it. The real ids have nothing to do with the number.
const HIDDEN_PREFIX: &str = "77";

/// One device of one number. Device 0 is the phone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Device {
    pub(crate) number: String,
    pub(crate) id: u16,
}

impl Device {
    pub(crate) fn new(number: impl Into<String>, id: u16) -> Self {
        Self { number: number.into(), id }
    }

    /// The phone of a number.
    pub(crate) fn phone(number: impl Into<String>) -> Self {
        Self::new(number, 0)
    }

    /// From either of its names.
    pub(crate) fn of(jid: &Jid) -> Option<Self> {
        let user = jid.user_base();
        let number = match jid.server {
            Server::Pn => user,
            Server::Lid => user.strip_prefix(HIDDEN_PREFIX)?,
            _ => return None,
        };
        Some(Self::new(number, jid.device))
    }

    /// By its number.
    pub(crate) fn jid(&self) -> Jid {
        Jid::pn_device(self.number.as_str(), self.id)
    }

    /// By the id that hides its number.
    pub(crate) fn hidden(&self) -> Jid {
        Jid::lid_device(format!("{HIDDEN_PREFIX}{}", self.number), self.id)
    }

    /// Under which a session with it is kept.
    pub(crate) fn signal(&self) -> ProtocolAddress {
        ProtocolAddress::new(&self.number, u32::from(self.id).into())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_lead_to_the_device() {
        let device = Device::new("491700000001", 3);
        assert_eq!(device.jid().to_string(), "491700000001:3@s.whatsapp.net");
        assert_eq!(device.hidden().to_string(), "77491700000001:3@lid");
        assert_eq!(Device::of(&device.jid()), Some(device.clone()));
        assert_eq!(Device::of(&device.hidden()), Some(device));
        assert_eq!(Device::of(&"120363000000000000@g.us".parse().unwrap()), None);
    }
}
