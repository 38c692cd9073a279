//! Linking a device to an account: what the phone signs, by QR code, by a code that is typed, and with a passkey.
//!
//! The phone's side is written as one conversation: it says something, then waits for the stanza that answers it. The
//! connection hands that stanza over through [`Pending`].

pub(crate) mod code;
pub(crate) mod identity;
pub(crate) mod passkey;
pub(crate) mod qr;
pub(crate) mod signing;

use std::time::Duration;
use tokio::sync::oneshot;
use whatsapp_rust::wacore_binary::Node;

use crate::error::PhoneError;
use crate::protocol::stanza;
use crate::server::account::Registration;
use crate::server::login::pairing_ref;
use crate::server::world::{Connection, Purpose, State, World};

/// How long the phone waits for a client's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a phone waits for on a connection.
#[derive(Default)]
pub(crate) enum Pending {
    /// Nothing.
    #[default]
    Nothing,
    /// The answer to the server's request of this id.
    Answer(String, oneshot::Sender<Node>),
    /// A request of the client with this child.
    Request(&'static str, oneshot::Sender<Node>),
}

/// A client has answered a request of the server.
pub(crate) fn answered(state: &mut State, id: u64, iq: &Node) {
    let Some(connection) = state.connections.get_mut(&id) else {
        return;
    };
    let wanted = matches!(&connection.pending, Pending::Answer(wanted, _)
        if stanza::attr(iq, "id").as_ref() == Some(wanted));
    if wanted && let Pending::Answer(_, tell) = std::mem::take(&mut connection.pending) {
        // A phone that has given up does not listen.
        let _ = tell.send(iq.clone());
    }
}

/// A client that is not linked yet asks for something.
pub(crate) fn asked(state: &mut State, id: u64, iq: &Node) {
    let Some(child) = stanza::children(iq).first() else {
        return reply(state, id, stanza::result(iq, Vec::new()));
    };
    match child.tag.as_ref() {
        "link_code_companion_reg" if stanza::attr(child, "stage").as_deref() == Some("companion_hello") => {
            code::hello(state, id, iq, child);
        }
        "ref" => reply(state, id, stanza::result(iq, vec![stanza::leaf("ref", pairing_ref().into_bytes())])),
        passkey::OPTIONS => reply(state, id, stanza::result(iq, vec![passkey::options()])),
        tag => {
            if let Some(tell) =
                state.connections.get_mut(&id).and_then(|connection| connection.waits_for(tag))
            {
                let _ = tell.send(iq.clone());
            } else {
                reply(state, id, stanza::result(iq, Vec::new()));
            }
        }
    }
}

fn reply(state: &mut State, id: u64, answer: Node) {
    if let Some(connection) = state.connections.get_mut(&id) {
        connection.send(answer);
    }
}

impl Connection {
    fn waits_for(&mut self, tag: &str) -> Option<oneshot::Sender<Node>> {
        if !matches!(&self.pending, Pending::Request(wanted, _) if *wanted == tag) {
            return None;
        }
        match std::mem::take(&mut self.pending) {
            Pending::Request(_, tell) => Some(tell),
            _ => None,
        }
    }
}

/// Says something to a client that is being linked, and waits for the stanza that answers it.
pub(crate) async fn converse(
    world: &World,
    id: u64,
    say: Vec<Node>,
    awaits: impl FnOnce(oneshot::Sender<Node>) -> Pending,
) -> Result<Node, PhoneError> {
    let (tell, told) = oneshot::channel();
    world.update(|state| {
        let connection = state.connections.get_mut(&id).filter(|connection| connection.open);
        let connection = connection.ok_or(PhoneError::ClientGone)?;
        connection.pending = awaits(tell);
        say.into_iter().for_each(|stanza| connection.send(stanza));
        Ok::<(), PhoneError>(())
    })?;
    let told = tokio::time::timeout(ANSWER_TIMEOUT, told).await;
    told.map_err(|_| PhoneError::Silent(ANSWER_TIMEOUT.as_secs()))?.map_err(|_| PhoneError::ClientGone)
}

/// What the client on a connection has said about itself.
pub(crate) fn registration(world: &World, id: u64) -> Result<Registration, PhoneError> {
    let purpose = world.read(|state| {
        state
            .connections
            .get(&id)
            .filter(|connection| connection.open)
            .map(|connection| connection.purpose.clone())
    });
    match purpose {
        Some(Purpose::Link(registration)) => Ok(registration),
        Some(_) => Err(PhoneError::UnknownCode),
        None => Err(PhoneError::ClientGone),
    }
}
