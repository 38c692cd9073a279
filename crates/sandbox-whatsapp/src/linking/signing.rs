//! The last part of every way to link: the phone's signature, the device's, and "connect again".

use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore_binary::Node;

use super::{Pending, converse, identity, registration};
use crate::address::Device;
use crate::error::PhoneError;
use crate::phone::LinkedDevice;
use crate::protocol::noise::KeyBytes;
use crate::protocol::stanza;
use crate::server::account::Companion;
use crate::server::world::{World, now};

/// The client is to connect again, as the device that it is now.
const RESTART: u16 = 515;

/// Signs what the client on a connection says it is, with the secret that only the client and the phone know.
pub(crate) async fn link(
    world: &World,
    connection: u64,
    number: &str,
    secret: &KeyBytes,
) -> Result<LinkedDevice, PhoneError> {
    let registration = registration(world, connection)?;
    let (party, device, details) = world.update(|state| {
        let (account, party) = state.account(number)?;
        let id = account.next_device();
        let details = identity::Details { raw_id: account.raw_id, key_index: u32::from(id), at_secs: now() };
        Ok::<_, PhoneError>((party, Device::new(number, id), details))
    })?;
    let signed = identity::sign(&party.identity, &details, &registration.identity);
    let signed = signed.map_err(|error| PhoneError::Key(error.to_string()))?;
    let request_id = world.update(|state| format!("{}.success", state.next_id()));
    let success = pair_success(&device, identity::seal(secret, &signed));
    let request = stanza::request(&request_id, "set", "md", success);
    let answer = converse(world, connection, vec![request], |tell| Pending::Answer(request_id, tell)).await?;

    let countersigned = countersigned(&answer)?;
    if !identity::is_signed_by_both(&countersigned, &registration.identity, &party.identity) {
        return Err(PhoneError::Refused("its own signature is wrong".into()));
    }
    world.update(|state| {
        let (account, _) = state.account(number)?;
        let companion = Companion::new(device.clone(), registration, details.key_index, countersigned);
        account.companions.insert(device.id, companion);
        if let Some(connection) = state.connections.get_mut(&connection) {
            connection.send_last(stanza::stream_error(Some(RESTART), None));
        }
        Ok::<(), PhoneError>(())
    })?;
    Ok(LinkedDevice { number: device.number, device: device.id })
}

fn pair_success(device: &Device, sealed_identity: Vec<u8>) -> Node {
    NodeBuilder::new("pair-success")
        .children([
            stanza::leaf("device-identity", sealed_identity),
            NodeBuilder::new("device").attr("jid", device.jid()).attr("lid", device.hidden()).build(),
            NodeBuilder::new("platform").attr("name", "android").build(),
        ])
        .build()
}

fn countersigned(answer: &Node) -> Result<Vec<u8>, PhoneError> {
    if let Some(error) = answer.get_optional_child("error") {
        let code = stanza::attr(error, "code").unwrap_or_default();
        let text = stanza::attr(error, "text").unwrap_or_default();
        return Err(PhoneError::Refused(format!("{code} {text}")));
    }
    let signed = answer.get_optional_child_by_tag(&["pair-device-sign", "device-identity"]);
    signed.and_then(stanza::bytes).ok_or_else(|| PhoneError::Refused("it signed nothing".into()))
}
