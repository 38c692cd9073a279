//! The keys that devices leave with the server, so that others can write to them while they are away.

use std::collections::VecDeque;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore::iq::prekeys::{OneTimePreKeyNode, PreKeyBundleUserNode, SignedPreKeyNode};
use whatsapp_rust::wacore::libsignal::protocol::{
    CurveError, IdentityKey, PreKeyBundle, PreKeyId, PublicKey, SignalProtocolError,
};
use whatsapp_rust::wacore::prekeys::compute_key_bundle_digest;
use whatsapp_rust::wacore::protocol::ProtocolNode;
use whatsapp_rust::wacore_binary::{Jid, Node};

use super::account::{Companion, Registration};
use super::world::World;
use crate::address::Device;
use crate::protocol::noise::KeyBytes;
use crate::protocol::stanza;

/// The kind of every key here: Curve25519.
const KEY_TYPE: u8 = 5;
/// The most one-time keys that a device may leave.
const ONE_TIME_KEYS_MAX: usize = 10_000;

/// A key signed by its device's identity.
#[derive(Clone, Debug)]
pub(crate) struct SignedKey {
    pub(crate) id: u32,
    pub(crate) public: KeyBytes,
    pub(crate) signature: Vec<u8>,
}

/// A key for one first message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneTimeKey {
    id: u32,
    public: KeyBytes,
}

/// What one device has left.
#[derive(Debug)]
pub(crate) struct KeyPool {
    pub(crate) signed: SignedKey,
    one_time: VecDeque<OneTimeKey>,
    /// How many keys each upload brought.
    pub(crate) uploads: Vec<usize>,
}

impl KeyPool {
    pub(crate) fn new(signed: SignedKey) -> Self {
        Self { signed, one_time: VecDeque::new(), uploads: Vec::new() }
    }

    pub(crate) fn left(&self) -> usize {
        self.one_time.len()
    }

    /// Takes what a device uploads; `None` when it is not understood, and then nothing changes.
    pub(crate) fn upload(&mut self, iq: &Node) -> Option<usize> {
        let signed = signed_key(iq.get_optional_child("skey")?)?;
        let list = stanza::children(iq.get_optional_child("list")?);
        let keys: Option<Vec<_>> = list.iter().map(one_time_key).collect();
        let keys = keys.filter(|keys| keys.len() + self.one_time.len() <= ONE_TIME_KEYS_MAX)?;
        self.signed = signed;
        // An upload that is repeated brings the same keys.
        self.one_time.retain(|known| keys.iter().all(|key| key.id != known.id));
        self.uploads.push(keys.len());
        self.one_time.extend(&keys);
        Some(keys.len())
    }

    /// Takes a new signed key; `None` when it is not understood.
    pub(crate) fn rotate(&mut self, rotate: &Node) -> Option<()> {
        self.signed = signed_key(rotate.get_optional_child("skey")?)?;
        Some(())
    }

    /// What somebody needs to write to the device first. Uses up a one-time key where one is left.
    pub(crate) fn bundle(&mut self, of: &Registration) -> Result<PreKeyBundle, SignalProtocolError> {
        let one_time = self.one_time.pop_front();
        let one_time = one_time.map(|key| Ok((PreKeyId::from(key.id), public(&key.public)?)));
        PreKeyBundle::new(
            of.registration_id,
            0.into(),
            one_time.transpose().map_err(|error: CurveError| SignalProtocolError::from(error))?,
            self.signed.id.into(),
            public(&self.signed.public)?,
            self.signed.signature.clone(),
            IdentityKey::new(public(&of.identity)?),
        )
    }

    /// What the server holds, for the device to compare.
    pub(crate) fn digest(&self, of: &Registration) -> Node {
        let publics: Vec<&[u8]> = self.one_time.iter().map(|key| key.public.as_slice()).collect();
        let hash =
            compute_key_bundle_digest(&of.identity, &self.signed.public, &self.signed.signature, &publics);
        let ids = self.one_time.iter().map(|key| stanza::leaf("id", &key.id.to_be_bytes()[1..]));
        let signed =
            SignedPreKeyNode::new(self.signed.id, self.signed.public.to_vec(), self.signed.signature.clone());
        NodeBuilder::new("digest")
            .children([
                stanza::leaf("registration", of.registration_id.to_be_bytes()),
                stanza::leaf("type", [KEY_TYPE]),
                stanza::leaf("identity", of.identity),
                signed.into_node(),
                NodeBuilder::new("list").children(ids).build(),
                stanza::leaf("hash", hash),
            ])
            .build()
    }
}

fn public(bytes: &KeyBytes) -> Result<PublicKey, CurveError> {
    PublicKey::from_djb_public_key_bytes(bytes)
}

fn signed_key(skey: &Node) -> Option<SignedKey> {
    let read = SignedPreKeyNode::try_from_node_ref(&skey.as_node_ref()).ok()?;
    Some(SignedKey { id: read.id, public: read.public_bytes.try_into().ok()?, signature: read.signature })
}

fn one_time_key(key: &Node) -> Option<OneTimeKey> {
    let read = OneTimePreKeyNode::try_from_node_ref(&key.as_node_ref()).ok()?;
    Some(OneTimeKey { id: read.id, public: read.public_bytes.try_into().ok()? })
}

/// The answer to "what do I need to write to these": one `<user>` each, under the name that was asked for.
pub(crate) async fn bundles(world: &World, asked: &[Jid]) -> Result<Node, SignalProtocolError> {
    let mut users = Vec::with_capacity(asked.len());
    for jid in asked {
        users.push(bundle(world, jid).await?.unwrap_or_else(|| unregistered(jid)));
    }
    Ok(NodeBuilder::new("list").children(users).build())
}

async fn bundle(world: &World, jid: &Jid) -> Result<Option<Node>, SignalProtocolError> {
    let Some(device) = Device::of(jid) else {
        return Ok(None);
    };
    let (bundle, signed_identity) = if device.id == 0 {
        let Some(party) = world.update(|state| state.registered(&device.number))? else {
            return Ok(None);
        };
        (party.end.lock().await.bundle()?, None)
    } else {
        let taken = world.update(|state| state.companion_mut(&device).map(take_bundle));
        let Some(taken) = taken else {
            return Ok(None);
        };
        let (bundle, signed_identity) = taken?;
        (bundle, Some(signed_identity))
    };
    let node = PreKeyBundleUserNode::from_bundle(jid.clone(), &bundle, signed_identity);
    Ok(node.ok().map(ProtocolNode::into_node))
}

/// A device's bundle and what proves that the phone linked it.
pub(crate) fn take_bundle(companion: &mut Companion) -> Result<(PreKeyBundle, Vec<u8>), SignalProtocolError> {
    let bundle = companion.keys.bundle(&companion.registration)?;
    Ok((bundle, companion.signed_identity.clone()))
}

fn unregistered(jid: &Jid) -> Node {
    let error = NodeBuilder::new("error").attr("code", 406_u16).attr("text", "not-acceptable").build();
    NodeBuilder::new("user").attr("jid", jid).children([error]).build()
}
