//! Everything the server knows, behind one lock that is never held across an await.
//!
//! Whoever changes it goes through [`World::update`], which wakes those who wait for something to happen.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use whatsapp_rust::wacore::libsignal::protocol::SignalProtocolError;
use whatsapp_rust::wacore::time::{now_millis, now_secs_u64};
use whatsapp_rust::wacore_binary::Node;

use super::account::{Account, Companion, Registration};
use super::app_state::AppState;
use super::party::Party;
use crate::address::Device;
use crate::linking::Pending;
use crate::linking::code::CodeShown;
use crate::misbehaviour::Switches;
use crate::protocol::noise::{Pattern, ServerIdentity};
use crate::ratchet::Ratchets;
use crate::record::{ConnectionRecord, MessageRecord, SentRecord};

/// The most stanzas that wait to be written to one client.
pub(crate) const OUTBOX_MAX: usize = 4096;

/// The server.
pub(crate) struct World {
    pub(crate) identity: ServerIdentity,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl World {
    pub(crate) fn new(identity: ServerIdentity) -> Self {
        Self { identity, state: Mutex::new(State::default()), changes: watch::Sender::new(0) }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock())
    }

    /// Changes something and wakes whoever waits for a change.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state.lock());
        self.changes.send_modify(|count| *count += 1);
        done
    }

    /// Hears of every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// What is written to a client next.
pub(crate) enum Outgoing {
    Stanza(Box<Node>),
    /// Says goodbye and closes.
    Close,
}

/// What the server knows.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<String, Account>,
    parties: BTreeMap<String, Arc<Party>>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// Who waits behind a QR code's first part.
    pub(crate) pairing_refs: HashMap<String, u64>,
    /// Who shows a code for somebody to type, by the number of the phone it is for.
    pub(crate) codes_shown: HashMap<String, CodeShown>,
    pub(crate) messages: Vec<MessageRecord>,
    pub(crate) sent: Vec<SentRecord>,
    /// The ids of stanzas that were read and ignored on request.
    pub(crate) unheard: Vec<String>,
    pub(crate) ratchets: Ratchets,
    pub(crate) switches: Switches,
    last_id: u64,
}

/// One connection, open or not.
pub(crate) struct Connection {
    outbox: mpsc::Sender<Outgoing>,
    pub(crate) purpose: Purpose,
    pub(crate) pattern: Pattern,
    pub(crate) open: bool,
    /// Whether it has asked for what waits for it.
    pub(crate) active: bool,
    pub(crate) pending: Pending,
    pub(crate) frames_in: u64,
    pub(crate) frames_out: u64,
}

/// What a connection is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// To be linked.
    Link(Registration),
    /// A linked device has logged in.
    Device(Device),
    /// The login was refused.
    Refused,
}

impl Connection {
    pub(crate) fn new(outbox: mpsc::Sender<Outgoing>, purpose: Purpose, pattern: Pattern) -> Self {
        Self {
            outbox,
            purpose,
            pattern,
            open: true,
            active: false,
            pending: Pending::Nothing,
            frames_in: 0,
            frames_out: 0,
        }
    }

    pub(crate) fn device(&self) -> Option<&Device> {
        match &self.purpose {
            Purpose::Device(device) => Some(device),
            Purpose::Link(_) | Purpose::Refused => None,
        }
    }

    /// Writes a stanza. One that does not fit any more is lost, as on a connection that broke.
    pub(crate) fn send(&mut self, stanza: Node) {
        self.put(Outgoing::Stanza(Box::new(stanza)));
    }

    /// Writes a stanza and closes.
    pub(crate) fn send_last(&mut self, stanza: Node) {
        self.send(stanza);
        self.put(Outgoing::Close);
        self.active = false;
    }

    fn put(&mut self, outgoing: Outgoing) {
        if self.open && self.outbox.try_send(outgoing).is_err() {
            self.open = false;
        }
    }

    pub(crate) fn record(&self, id: u64) -> ConnectionRecord {
        ConnectionRecord {
            id,
            device: self.device().map(ToString::to_string),
            purpose: match self.purpose {
                Purpose::Link(_) => "link",
                Purpose::Device(_) => "device",
                Purpose::Refused => "refused",
            },
            pattern: self.pattern,
            open: self.open,
            frames_in: self.frames_in,
            frames_out: self.frames_out,
        }
    }
}

impl State {
    /// A number that was not given out before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whoever has this number. On this server every number has a phone, which is made when it is first spoken of.
    pub(crate) fn party(&mut self, number: &str) -> Result<Arc<Party>, SignalProtocolError> {
        if let Some(party) = self.parties.get(number) {
            return Ok(Arc::clone(party));
        }
        let party = Arc::new(Party::new(number)?);
        self.parties.insert(number.to_owned(), Arc::clone(&party));
        Ok(party)
    }

    /// Whoever has this number, unless the number is not on WhatsApp.
    pub(crate) fn registered(&mut self, number: &str) -> Result<Option<Arc<Party>>, SignalProtocolError> {
        if self.switches.is_unregistered(number) { Ok(None) } else { self.party(number).map(Some) }
    }

    /// The account of a number, made when it is first spoken of.
    pub(crate) fn account(
        &mut self,
        number: &str,
    ) -> Result<(&mut Account, Arc<Party>), SignalProtocolError> {
        let party = self.party(number)?;
        let raw_id = u32::try_from(self.accounts.len() + 1).unwrap_or(u32::MAX);
        let account = self.accounts.entry(number.to_owned());
        let new = || Account::new(raw_id, AppState::new(&party.name, now_millis()));
        Ok((account.or_insert_with(new), party))
    }

    pub(crate) fn companion(&self, device: &Device) -> Option<&Companion> {
        self.accounts.get(&device.number)?.companions.get(&device.id)
    }

    pub(crate) fn companion_mut(&mut self, device: &Device) -> Option<&mut Companion> {
        self.accounts.get_mut(&device.number)?.companions.get_mut(&device.id)
    }

    /// The connection through which a device is logged in.
    pub(crate) fn connection_of(&mut self, device: &Device) -> Option<&mut Connection> {
        let id = self.companion(device)?.connection?;
        self.connections.get_mut(&id).filter(|connection| connection.open)
    }

    /// Passes a stanza to a device, and keeps it until the device acknowledges it.
    pub(crate) fn deliver(&mut self, to: &Device, stanza: Node) -> bool {
        let Some(companion) = self.companion_mut(to) else {
            return false;
        };
        companion.waiting.push_back(stanza.clone());
        if let Some(connection) = self.connection_of(to).filter(|connection| connection.active) {
            connection.send(stanza);
        }
        true
    }

    /// A connection is over.
    pub(crate) fn close(&mut self, id: u64) {
        self.pairing_refs.retain(|_, waits| *waits != id);
        self.codes_shown.retain(|_, shown| shown.connection != id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.open = false;
        // Whoever waits for the client's answer learns that none will come.
        connection.pending = Pending::Nothing;
        let device = connection.device().cloned();
        if let Some(companion) = device.and_then(|device| self.companion_mut(&device))
            && companion.connection == Some(id)
        {
            companion.connection = None;
        }
    }

    /// The phone takes a device off its list.
    pub(crate) fn unlink(&mut self, device: &Device) -> Option<Companion> {
        self.accounts.get_mut(&device.number)?.companions.remove(&device.id)
    }
}

/// Seconds since 1970 as stanzas carry them.
pub(crate) fn now() -> u64 {
    now_secs_u64()
}
