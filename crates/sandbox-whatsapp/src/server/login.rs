//! The first stanzas of a connection: who may come in, and what a client that wants to be linked is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore_binary::Node;

use super::account::Registration;
use super::world::{Connection, Outgoing, Purpose, State, now};
use crate::address::Device;
use crate::misbehaviour::Misbehaviour;
use crate::protocol::noise::Greeting;
use crate::protocol::stanza;

/// How many QR codes a client is given before it has to connect again.
pub const PAIRING_REFS: usize = 6;
/// Random bytes in a QR code's first part.
const PAIRING_REF_BYTES: usize = 24;

/// The login is not, or not any more, that of a linked device.
const UNAUTHORIZED: u16 = 401;
/// The payload makes no sense.
const BAD_REQUEST: u16 = 400;

/// Decides about a client that has shaken hands, and writes the first stanzas to it.
pub(crate) fn admit(state: &mut State, id: u64, greeting: &Greeting, outbox: mpsc::Sender<Outgoing>) {
    let purpose = purpose(state, greeting);
    let connection = match &purpose {
        Ok(purpose) => Connection::new(outbox, purpose.clone(), greeting.pattern),
        Err(_) => Connection::new(outbox, Purpose::Refused, greeting.pattern),
    };
    state.connections.insert(id, connection);
    match purpose {
        Err(reason) => {
            if let Some(connection) = state.connections.get_mut(&id) {
                connection.send_last(stanza::failure(reason));
            }
        }
        Ok(Purpose::Device(device)) => welcome(state, id, &device),
        Ok(_) => offer_codes(state, id),
    }
}

fn purpose(state: &mut State, greeting: &Greeting) -> Result<Purpose, u16> {
    let payload = &greeting.payload;
    let (Some(number), Some(device)) = (payload.username, payload.device) else {
        let data = payload.device_pairing_data.as_option().ok_or(BAD_REQUEST)?;
        return Registration::read(greeting.client_key, data).map(Purpose::Link).ok_or(BAD_REQUEST);
    };
    let device = Device::new(number.to_string(), u16::try_from(device).map_err(|_| BAD_REQUEST)?);
    // A device is known by the key it shakes hands with, not by what it says its number is.
    let known = state.companion(&device).is_some_and(|known| known.registration.noise == greeting.client_key);
    if !known || state.switches.take(Misbehaviour::Unauthorized, Some(&device)).is_some() {
        return Err(UNAUTHORIZED);
    }
    Ok(Purpose::Device(device))
}

/// A linked device is in. One that was connected already is shown the door.
fn welcome(state: &mut State, id: u64, device: &Device) {
    if let Some(older) = state.connection_of(device) {
        older.send_last(stanza::stream_error(None, Some(stanza::conflict("replaced"))));
    }
    if let Some(companion) = state.companion_mut(device) {
        companion.connection = Some(id);
    }
    if let Some(connection) = state.connections.get_mut(&id) {
        connection.send(success(device));
    }
    crate::misbehaviour::strike(state, device);
}

fn success(device: &Device) -> Node {
    NodeBuilder::new("success")
        .attr("t", now())
        .attr("lid", device.hidden())
        .attr("location", "fake")
        .attr("props", 1_u8)
        .build()
}

/// A client that wants to be linked is given what its QR codes begin with.
fn offer_codes(state: &mut State, id: u64) {
    let none = state.switches.take(Misbehaviour::NoQrCodes, None).is_some();
    let refs: Vec<String> = (0..if none { 0 } else { PAIRING_REFS }).map(|_| pairing_ref()).collect();
    state.pairing_refs.extend(refs.iter().map(|pairing_ref| (pairing_ref.clone(), id)));
    let refs: Vec<Node> =
        refs.into_iter().map(|pairing_ref| stanza::leaf("ref", pairing_ref.into_bytes())).collect();
    let offer = NodeBuilder::new("pair-device").children(refs).build();
    let request_id = format!("{}.pair", state.next_id());
    if let Some(connection) = state.connections.get_mut(&id) {
        connection.send(stanza::request(&request_id, "set", "md", offer));
    }
}

/// Unguessable, and without the comma that separates a QR code's parts.
pub(crate) fn pairing_ref() -> String {
    let mut bytes = [0_u8; PAIRING_REF_BYTES];
    let mut random: StdRng = rand::make_rng();
    random.fill_bytes(&mut bytes);
    format!("2@{}", STANDARD_NO_PAD.encode(bytes))
}
