//! Who somebody is: which devices a number has, and the id that hides it.

use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore_binary::Node;

use super::world::{State, World, now};
use crate::address::Device;
use crate::error::Broken;
use crate::protocol::stanza;

/// Answers for everybody who is asked about, with what is asked about them.
pub(crate) fn answer(world: &World, iq: &Node) -> Result<Node, Broken> {
    let Some(usync) = iq.get_optional_child("usync") else {
        return Ok(stanza::refusal(iq, 400, "bad-request"));
    };
    let protocols: Vec<&str> = usync
        .get_optional_child("query")
        .map(|query| stanza::children(query).iter().map(|protocol| protocol.tag.as_ref()).collect())
        .unwrap_or_default();
    let asked = usync.get_optional_child("list").map(stanza::children).unwrap_or_default();
    let users: Result<Vec<Node>, Broken> = world
        .update(|state| asked.iter().filter_map(|user| about(state, user, &protocols).transpose()).collect());
    let list = NodeBuilder::new("list").children(users?).build();
    let sid = stanza::attr(usync, "sid").unwrap_or_default();
    let answer = NodeBuilder::new("usync")
        .attr("sid", sid)
        .attr("index", "0")
        .attr("last", "true")
        .attr("mode", stanza::attr(usync, "mode").unwrap_or_else(|| "query".into()))
        .attr("context", stanza::attr(usync, "context").unwrap_or_else(|| "message".into()))
        .children([stanza::empty("result"), list])
        .build();
    Ok(stanza::result(iq, vec![answer]))
}

fn about(state: &mut State, user: &Node, protocols: &[&str]) -> Result<Option<Node>, Broken> {
    let asked_by = stanza::jid(user, "jid");
    let by_phone = stanza::child_bytes(user, "contact").and_then(|phone| String::from_utf8(phone).ok());
    let device = match (&asked_by, by_phone) {
        (Some(jid), _) => Device::of(jid),
        (None, Some(phone)) => Some(Device::phone(phone.trim_start_matches('+'))),
        (None, None) => None,
    };
    let Some(device) = device else {
        return Ok(None);
    };
    let registered = state.registered(&device.number)?.is_some();
    let mut parts = Vec::with_capacity(protocols.len());
    for protocol in protocols {
        match *protocol {
            "contact" => {
                let kind = if registered { "in" } else { "out" };
                parts.push(NodeBuilder::new("contact").attr("type", kind).build());
            }
            "lid" if registered => {
                let hidden = Device::phone(&device.number).hidden();
                parts.push(NodeBuilder::new("lid").attr("val", hidden).build());
            }
            "devices" if registered => parts.push(devices(state, &device.number)?),
            _ => {}
        }
    }
    let jid = asked_by.unwrap_or_else(|| Device::phone(device.number).jid());
    Ok(Some(NodeBuilder::new("user").attr("jid", jid).children(parts).build()))
}

/// The phone, and what it has linked, with the phone's word for it.
fn devices(state: &mut State, number: &str) -> Result<Node, Broken> {
    let party = state.party(number)?;
    let mut list = vec![NodeBuilder::new("device").attr("id", 0_u8).build()];
    let mut signed = None;
    if let Some(account) = state.accounts.get(number).filter(|account| !account.companions.is_empty()) {
        list.extend(account.companions.values().map(|companion| {
            NodeBuilder::new("device")
                .attr("id", companion.device.id)
                .attr("key-index", companion.key_index)
                .build()
        }));
        let key_indexes = account.key_indexes(&party.identity, now())?;
        signed = Some(NodeBuilder::new("key-index-list").attr("ts", now()).bytes(key_indexes).build());
    }
    let list = NodeBuilder::new("device-list").children(list).build();
    Ok(NodeBuilder::new("devices").children(std::iter::once(list).chain(signed)).build())
}
