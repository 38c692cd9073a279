//! Requests of clients and their answers. What nobody here knows is answered with an empty result, which is what most
//! requests expect, and logged.

use std::sync::Arc;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore_binary::{Jid, Node};

use super::world::{Connection, World};
use super::{delivery, keys, usync};
use crate::address::Device;
use crate::error::Broken;
use crate::linking;
use crate::misbehaviour;
use crate::protocol::stanza;

/// The server does not hold what was asked for.
const NOT_FOUND: u16 = 404;
const BAD_REQUEST: u16 = 400;

/// Answers one request, or takes the answer to one of the server's own.
pub(crate) async fn answer(
    world: &Arc<World>,
    id: u64,
    device: Option<&Device>,
    iq: &Node,
) -> Result<(), Broken> {
    let kind = stanza::attr(iq, "type").unwrap_or_default();
    if kind == "result" || kind == "error" {
        world.update(|state| linking::answered(state, id, iq));
        return Ok(());
    }
    let Some(device) = device else {
        world.update(|state| linking::asked(state, id, iq));
        return Ok(());
    };
    let xmlns = stanza::attr(iq, "xmlns").unwrap_or_default();
    let answer = match (xmlns.as_str(), kind.as_str()) {
        ("encrypt", "get") => about_keys(world, device, iq).await?,
        ("encrypt", "set") => take_keys(world, device, iq).await?,
        ("usync", _) => usync::answer(world, iq)?,
        ("w:sync:app:state", _) => app_state(world, device, iq),
        ("passive", _) => {
            write(world, id, stanza::result(iq, Vec::new()));
            if iq.get_optional_child("active").is_some() {
                world.update(|state| delivery::hand_over(state, id, device));
            }
            return Ok(());
        }
        ("md", _) if iq.get_optional_child("remove-companion-device").is_some() => {
            return unlink(world, id, device, iq);
        }
        _ => plain(&xmlns, iq),
    };
    write(world, id, answer);
    Ok(())
}

/// Requests whose answers are the same for everybody.
fn plain(xmlns: &str, iq: &Node) -> Node {
    let child = match xmlns {
        "abt" => Some(NodeBuilder::new("props").attr("protocol", 1_u8).attr("hash", "fake").build()),
        "privacy" => Some(stanza::empty("privacy")),
        "blocklist" => Some(stanza::empty("list")),
        "w:p" | "urn:xmpp:ping" | "urn:xmpp:whatsapp:dirty" | "w:stats" => None,
        _ => {
            tracing::debug!(xmlns, "a request that the stand-in knows nothing of: answered with nothing");
            None
        }
    };
    stanza::result(iq, child.into_iter().collect())
}

async fn about_keys(world: &World, device: &Device, iq: &Node) -> Result<Node, Broken> {
    if let Some(asked) = iq.get_optional_child("key") {
        let asked: Vec<Jid> =
            stanza::children(asked).iter().filter_map(|user| stanza::jid(user, "jid")).collect();
        let list = keys::bundles(world, &asked).await?;
        return Ok(stanza::result(iq, vec![list]));
    }
    let answer = world.read(|state| {
        let companion = state.companion(device)?;
        Some(if iq.get_optional_child("digest").is_some() {
            companion.keys.digest(&companion.registration)
        } else {
            NodeBuilder::new("count").attr("value", companion.keys.left()).build()
        })
    });
    Ok(answer.map_or_else(
        || stanza::refusal(iq, NOT_FOUND, "item-not-found"),
        |answer| stanza::result(iq, vec![answer]),
    ))
}

/// Takes a device's keys. The phone has something to tell a device that can be written to for the first time.
async fn take_keys(world: &Arc<World>, device: &Device, iq: &Node) -> Result<Node, Broken> {
    let taken = world.update(|state| {
        let companion = state.companion_mut(device)?;
        match iq.get_optional_child("rotate") {
            Some(rotate) => companion.keys.rotate(rotate),
            None => companion.keys.upload(iq).map(|_| ()),
        }
    });
    if taken.is_none() {
        return Ok(stanza::refusal(iq, BAD_REQUEST, "bad-request"));
    }
    delivery::share_app_state_key(world, device).await?;
    Ok(stanza::result(iq, Vec::new()))
}

fn app_state(world: &World, device: &Device, iq: &Node) -> Node {
    let answer = world.update(|state| {
        let account = state.accounts.get_mut(&device.number)?;
        Some(account.app_state.sync(iq.get_optional_child("sync")?))
    });
    answer.map_or_else(
        || stanza::refusal(iq, BAD_REQUEST, "bad-request"),
        |answer| stanza::result(iq, vec![answer]),
    )
}

/// The device logs itself out: it is answered, taken off the list, and told that it was.
fn unlink(world: &World, id: u64, device: &Device, iq: &Node) -> Result<(), Broken> {
    world.update(|state| {
        state.unlink(device);
        if let Some(connection) = state.connections.get_mut(&id) {
            connection.send(stanza::result(iq, Vec::new()));
            connection.send_last(misbehaviour::removed());
        }
    });
    Ok(())
}

fn write(world: &World, id: u64, answer: Node) {
    world.update(|state| {
        state.connections.get_mut(&id).map(|connection: &mut Connection| connection.send(answer))
    });
}
