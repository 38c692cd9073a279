//! Messages and receipts on their way: from a device to phones, peers and other devices, and back.

use std::sync::Arc;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::buffa::MessageField;
use whatsapp_rust::wacore::messages::{MessageUtils, decode_plaintext, unwrap_device_sent};
use whatsapp_rust::wacore::time::now_millis;
use whatsapp_rust::wacore_binary::{Jid, Node, NodeValue};
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type;
use whatsapp_rust::waproto::whatsapp::message::{AppStateSyncKeyShare, ProtocolMessage};

use super::keys::take_bundle;
use super::party::Party;
use super::world::{State, World, now};
use crate::address::Device;
use crate::error::{Broken, PhoneError};
use crate::misbehaviour::Misbehaviour;
use crate::protocol::stanza;
use crate::ratchet::{self, RatchetStep};
use crate::record::{MessageRecord, SentRecord};
use crate::signal::{self, Envelope};

/// How messages are padded and wrapped.
const CIPHERTEXT_VERSION: u8 = 2;

/// One message for one device, as it travels.
struct Copy<'a> {
    from: &'a Device,
    to: Device,
    /// The chat, under the name that the sender gave it.
    chat: &'a Jid,
    id: &'a str,
    envelope: Envelope,
    sealed: Vec<u8>,
}

/// A device sends a message: it is acknowledged and passed on to everybody it was encrypted for.
pub(crate) async fn from_device(
    world: &Arc<World>,
    connection: u64,
    from: &Device,
    message: &Node,
) -> Result<(), Broken> {
    let (Some(id), Some(to)) = (stanza::attr(message, "id"), stanza::jid(message, "to")) else {
        return Err(Broken::Frame("a message without an id or an address".into()));
    };
    let Some(chat) = Device::of(&to) else {
        tracing::debug!(%id, "a message to a group or a list: acknowledged and not passed on");
        world.update(|state| acknowledge(state, connection, from, &id, &to));
        return Ok(());
    };
    let copies = copies(message, from, &to, &id);
    world.update(|state| {
        state.sent.push(SentRecord {
            id: id.clone(),
            from: from.to_string(),
            to: chat.number.clone(),
            copies: copies.len(),
        });
        acknowledge(state, connection, from, &id, &to);
    });
    for copy in copies {
        pass_on(world, message, copy).await?;
    }
    Ok(())
}

/// Everybody the message was encrypted for. A message to one device alone carries its ciphertext directly.
fn copies<'a>(message: &Node, from: &'a Device, chat: &'a Jid, id: &'a str) -> Vec<Copy<'a>> {
    let copy = |to: Device, enc: &Node| {
        let envelope = Envelope::parse(&stanza::attr(enc, "type")?)?;
        Some(Copy { from, to, chat, id, envelope, sealed: stanza::bytes(enc)? })
    };
    let direct = message.get_optional_child("enc").and_then(|enc| copy(Device::of(chat)?, enc));
    let listed = message.get_optional_child("participants").map(stanza::children).unwrap_or_default();
    let listed = listed
        .iter()
        .filter_map(|to| copy(Device::of(&stanza::jid(to, "jid")?)?, to.get_optional_child("enc")?));
    direct.into_iter().chain(listed).collect()
}

fn acknowledge(state: &mut State, connection: u64, from: &Device, id: &str, to: &Jid) {
    if state.switches.take(Misbehaviour::WithholdAcks, Some(from)).is_some() {
        return;
    }
    let ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", id)
        .attr("from", to)
        .attr("t", now())
        .build();
    if let Some(connection) = state.connections.get_mut(&connection) {
        connection.send(ack);
    }
}

/// Notes where the copy stands in its sender's ratchet, then hands it to a phone to read or to a device.
async fn pass_on(world: &Arc<World>, message: &Node, copy: Copy<'_>) -> Result<(), Broken> {
    let sealed = match signal::parse(copy.envelope, &copy.sealed) {
        Ok(sealed) => sealed,
        Err(error) => {
            world.update(|state| state.messages.push(record(&copy, None, Err(error.to_string()))));
            return Ok(());
        }
    };
    let step = ratchet::place(&sealed).map(|(chain, counter)| RatchetStep {
        from: copy.from.to_string(),
        to: copy.to.to_string(),
        chain: hexadecimal(&chain.serialize()),
        counter,
    });
    if let Some(step) = step.clone() {
        world.update(|state| state.ratchets.note(step, copy.id, &copy.sealed));
    }
    if copy.to.id != 0 {
        world.update(|state| state.deliver(&copy.to, forwarded(message, &copy)));
        return Ok(());
    }
    let Some(party) = world.update(|state| state.registered(&copy.to.number))? else {
        return Ok(());
    };
    let opened = party.end.lock().await.decrypt(&copy.from.signal(), &sealed).await;
    let opened = opened.map_err(|error| error.to_string()).and_then(|plaintext| {
        decode_plaintext(&plaintext, CIPHERTEXT_VERSION).map_err(|error| error.to_string())
    });
    let asked_for_key = opened.as_ref().is_ok_and(asks_for_app_state_key);
    world.update(|state| read_by_phone(state, &copy, step, opened));
    if asked_for_key {
        world
            .update(|state| state.companion_mut(copy.from).map(|device| device.app_state_key_shared = false));
        share_app_state_key(world, copy.from).await?;
    }
    Ok(())
}

/// A message as another device of the same account gets it.
fn forwarded(message: &Node, copy: &Copy<'_>) -> Node {
    let enc = enc(copy.envelope, copy.sealed.clone());
    let stanza = NodeBuilder::new("message")
        .attr("from", copy.from.jid())
        .attr("recipient", copy.chat)
        .attr("id", copy.id)
        .attr("type", stanza::attr(message, "type").unwrap_or_else(|| "text".into()))
        .attr("t", now());
    let identity = message.get_optional_child("device-identity").cloned();
    stanza.children(std::iter::once(enc).chain(identity)).build()
}

/// Records what a phone or peer read, which answers that the message came and, when it is no copy, was read.
fn read_by_phone(
    state: &mut State,
    copy: &Copy<'_>,
    step: Option<RatchetStep>,
    opened: Result<Message, String>,
) {
    let readable = opened.is_ok();
    let record = record(copy, step, opened);
    let own = record.own_copy || copy.to.number == copy.from.number;
    state.messages.push(record);
    let withheld = state.switches.take(Misbehaviour::WithholdReceipts, Some(copy.from)).is_some();
    if own || withheld || !readable {
        return;
    }
    for kind in [None, Some("read")] {
        state.deliver(copy.from, receipt(copy.chat, copy.from, copy.id, kind));
    }
}

fn record(copy: &Copy<'_>, step: Option<RatchetStep>, opened: Result<Message, String>) -> MessageRecord {
    let (text, failed, own_copy) = match opened {
        Ok(message) => {
            let own_copy = message.device_sent_message.is_set();
            let inner = unwrap_device_sent(message);
            (text(&inner), None, own_copy)
        }
        Err(why) => (None, Some(why), false),
    };
    MessageRecord {
        id: copy.id.to_owned(),
        from: copy.from.to_string(),
        to: copy.to.number.clone(),
        own_copy,
        text,
        failed,
        opens_session: copy.envelope == Envelope::PreKey,
        step,
    }
}

fn text(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option().and_then(|extended| extended.text.clone());
    message.conversation.clone().or(extended)
}

fn asks_for_app_state_key(message: &Message) -> bool {
    let asked = message.protocol_message.as_option();
    asked.is_some_and(|asked| asked.app_state_sync_key_request.is_set())
}

/// A phone says that a message came, or what else became of it.
fn receipt(from: &Jid, to: &Device, id: &str, kind: Option<&'static str>) -> Node {
    let receipt =
        NodeBuilder::new("receipt").attr("from", from).attr("to", to.jid()).attr("id", id).attr("t", now());
    if let Some(kind) = kind { receipt.attr("type", kind).build() } else { receipt.build() }
}

/// A device acknowledges what it was sent. Its receipts are acknowledged in turn.
pub(crate) fn acknowledged(state: &mut State, connection: u64, device: &Device, heard: &Node) {
    let id = stanza::attr(heard, "id").unwrap_or_default();
    let class =
        if heard.tag == "receipt" { Some("message".to_owned()) } else { stanza::attr(heard, "class") };
    if let Some(companion) = state.companion_mut(device) {
        let is_it = |waiting: &Node| {
            Some(waiting.tag.as_ref()) == class.as_deref()
                && stanza::attr(waiting, "id").as_ref() == Some(&id)
        };
        if let Some(at) = companion.waiting.iter().position(is_it) {
            companion.waiting.remove(at);
        }
    }
    if heard.tag != "receipt" {
        return;
    }
    let ack = NodeBuilder::new("ack").attr("class", "receipt").attr("id", id);
    let ack = if let Some(to) = stanza::jid(heard, "to") { ack.attr("from", to) } else { ack };
    let ack = if let Some(kind) = stanza::attr(heard, "type") { ack.attr("type", kind) } else { ack };
    if let Some(connection) = state.connections.get_mut(&connection) {
        connection.send(ack.build());
    }
}

/// Hands a device what has waited for it, and says when that was all.
pub(crate) fn hand_over(state: &mut State, id: u64, device: &Device) {
    let Some(companion) = state.companion(device) else {
        return;
    };
    let waiting: Vec<Node> = companion.waiting.iter().cloned().collect();
    let Some(connection) = state.connections.get_mut(&id) else {
        return;
    };
    connection.active = true;
    let of = |tag: &str| waiting.iter().filter(|stanza| stanza.tag == tag).count();
    if !waiting.is_empty() {
        let preview = NodeBuilder::new("offline_preview")
            .attr("count", waiting.len())
            .attr("message", of("message"))
            .attr("receipt", of("receipt"))
            .attr("notification", of("notification"))
            .attr("appdata", 0_u8);
        connection.send(NodeBuilder::new("ib").children([preview.build()]).build());
    }
    let count = waiting.len();
    for mut stanza in waiting {
        stanza.attrs.insert("offline", "0");
        connection.send(stanza);
    }
    let end = NodeBuilder::new("offline").attr("count", count).build();
    connection.send(NodeBuilder::new("ib").children([end]).build());
}

/// The phone gives a device the key to what its account's devices share, once, as soon as the device can be written to.
pub(crate) async fn share_app_state_key(world: &Arc<World>, device: &Device) -> Result<(), Broken> {
    let share = world.update(|state| {
        let companion = state.companion_mut(device)?;
        if companion.app_state_key_shared {
            return None;
        }
        companion.app_state_key_shared = true;
        let account = state.accounts.get(&device.number)?;
        Some(account.app_state.shared_key(account.raw_id, now_millis()))
    });
    let Some(key) = share else {
        return Ok(());
    };
    let protocol = ProtocolMessage {
        r#type: Some(Type::APP_STATE_SYNC_KEY_SHARE),
        app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
        ..ProtocolMessage::default()
    };
    let message = Message { protocol_message: MessageField::some(protocol), ..Message::default() };
    let phone = world.update(|state| state.party(&device.number))?;
    to_device(world, &phone, device, &message, Some(("category", "peer".into())))
        .await
        .map(|_| ())
        .map_err(Broken::from)
}

/// A phone or a peer writes to one device. `mark` is what sets the stanza apart from an ordinary message.
pub(crate) async fn to_device(
    world: &Arc<World>,
    from: &Party,
    to: &Device,
    message: &Message,
    mark: Option<(&'static str, NodeValue)>,
) -> Result<String, PhoneError> {
    let plaintext = MessageUtils::encode_and_pad(message);
    let (envelope, sealed) = {
        let mut end = from.end.lock().await;
        if !end.has_session(&to.signal()) {
            let bundle = world.update(|state| state.companion_mut(to).map(take_bundle));
            let (bundle, _) = bundle.ok_or(PhoneError::NotLinked)??;
            end.open(&to.signal(), &bundle).await?;
        }
        end.encrypt(&to.signal(), &plaintext).await?
    };
    let id = world.update(|state| format!("FAKE{:012X}", state.next_id()));
    let stanza = NodeBuilder::new("message")
        .attr("from", from.device.jid())
        .attr("to", to.jid())
        .attr("id", &id)
        .attr("type", "text")
        .attr("notify", &from.name)
        .attr("t", now());
    let stanza = stanza.attrs(mark).children([enc(envelope, sealed)]).build();
    if world.update(|state| state.deliver(to, stanza)) { Ok(id) } else { Err(PhoneError::NotLinked) }
}

fn enc(envelope: Envelope, sealed: Vec<u8>) -> Node {
    NodeBuilder::new("enc").attr("v", CIPHERTEXT_VERSION).attr("type", envelope.name()).bytes(sealed).build()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
