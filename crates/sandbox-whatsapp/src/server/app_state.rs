//! What an account's devices share: encrypted patches that the server keeps and cannot read.
//!
//! A new account has one: the name that the phone's owner goes by.

use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::buffa::{Message, MessageField};
use whatsapp_rust::wacore::appstate::hash::{HashState, generate_patch_mac};
use whatsapp_rust::wacore::appstate::{encode_record, expand_app_state_keys};
use whatsapp_rust::wacore_binary::Node;
use whatsapp_rust::waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId,
};
use whatsapp_rust::waproto::whatsapp::sync_action_value::PushNameSetting;
use whatsapp_rust::waproto::whatsapp::syncd_mutation::SyncdOperation;
use whatsapp_rust::waproto::whatsapp::{KeyId, SyncActionValue, SyncdPatch, SyncdVersion};

use crate::protocol::stanza;

/// The collection that a device needs before it counts as ready.
const CRITICAL: &str = "critical_block";
/// The index under which the owner's name is kept.
const PUSH_NAME_INDEX: &[u8] = b"[\"setting_pushName\"]";
const KEY_ID: [u8; 6] = [0, 0, 0, 0, 0, 1];
/// The most patches kept of one collection.
const PATCHES_MAX: usize = 10_000;

/// An account's collections and the key that its devices read them with.
pub(crate) struct AppState {
    key: [u8; 32],
    collections: BTreeMap<String, Vec<Vec<u8>>>,
}

impl AppState {
    pub(crate) fn new(push_name: &str, now_millis: i64) -> Self {
        let (mut key, mut iv) = ([0_u8; 32], [0_u8; 16]);
        let mut random: StdRng = rand::make_rng();
        random.fill_bytes(&mut key);
        random.fill_bytes(&mut iv);
        let patch = first_patch(&key, &iv, push_name, now_millis);
        Self { key, collections: BTreeMap::from([(CRITICAL.to_owned(), vec![patch])]) }
    }

    /// The key, as the phone shares it with a device.
    pub(crate) fn shared_key(&self, raw_id: u32, now_millis: i64) -> AppStateSyncKey {
        let fingerprint = AppStateSyncKeyFingerprint {
            raw_id: Some(raw_id),
            current_index: Some(0),
            device_indexes: vec![0],
        };
        let data = AppStateSyncKeyData {
            key_data: Some(self.key.to_vec()),
            fingerprint: MessageField::some(fingerprint),
            timestamp: Some(now_millis),
        };
        AppStateSyncKey {
            key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(KEY_ID.to_vec()) }),
            key_data: MessageField::some(data),
        }
    }

    /// Answers a device that asks for what is new, and takes the patches it brings.
    pub(crate) fn sync(&mut self, asked: &Node) -> Node {
        let answers = stanza::children(asked).iter().map(|collection| self.collection(collection));
        NodeBuilder::new("sync").children(answers.collect::<Vec<_>>()).build()
    }

    fn collection(&mut self, asked: &Node) -> Node {
        let name = stanza::attr(asked, "name").unwrap_or_default();
        let known: usize =
            stanza::attr(asked, "version").and_then(|version| version.parse().ok()).unwrap_or(0);
        let patches = self.collections.entry(name.clone()).or_default();
        let brought = stanza::child_bytes(asked, "patch");
        let answer = NodeBuilder::new("collection").attr("name", name);
        if let Some(patch) = brought {
            // Built on something older than what another device has brought meanwhile.
            if known != patches.len() || patches.len() >= PATCHES_MAX {
                let error = NodeBuilder::new("error").attr("code", 409_u16).attr("text", "conflict").build();
                return answer.attr("type", "error").children([error]).build();
            }
            let Some(patch) = numbered(&patch, patches.len() + 1) else {
                let error =
                    NodeBuilder::new("error").attr("code", 400_u16).attr("text", "bad-request").build();
                return answer.attr("type", "error").children([error]).build();
            };
            patches.push(patch);
            return answer.attr("version", patches.len()).build();
        }
        let fresh = patches.iter().skip(known).map(|patch| stanza::leaf("patch", patch.clone()));
        let fresh = NodeBuilder::new("patches").children(fresh.collect::<Vec<_>>()).build();
        answer.attr("version", patches.len()).children([fresh]).build()
    }
}

/// A patch as it is handed out: the server says which version of the collection it makes.
fn numbered(patch: &[u8], version: usize) -> Option<Vec<u8>> {
    let mut patch = SyncdPatch::decode_from_slice(patch).ok()?;
    patch.version = MessageField::some(SyncdVersion { version: u64::try_from(version).ok() });
    Some(patch.encode_to_vec())
}

fn first_patch(key: &[u8; 32], iv: &[u8; 16], push_name: &str, now_millis: i64) -> Vec<u8> {
    let keys = expand_app_state_keys(key);
    let name = PushNameSetting { name: Some(push_name.to_owned()) };
    let value = SyncActionValue {
        timestamp: Some(now_millis),
        push_name_setting: MessageField::some(name),
        ..SyncActionValue::default()
    };
    let (mutation, _) = encode_record(SyncdOperation::SET, PUSH_NAME_INDEX, &value, &keys, &KEY_ID, iv, 1);
    let mut hash = HashState { version: 1, ..HashState::default() };
    // The very first mutation replaces nothing, so nothing can be missing.
    let _ = hash.update_hash(std::slice::from_ref(&mutation), |_, _| Ok(None));
    let mut patch = SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(1) }),
        mutations: vec![mutation],
        snapshot_mac: Some(hash.generate_snapshot_mac(CRITICAL, &keys.snapshot_mac)),
        key_id: MessageField::some(KeyId { id: Some(KEY_ID.to_vec()) }),
        ..SyncdPatch::default()
    };
    patch.patch_mac = Some(generate_patch_mac(&patch, CRITICAL, &keys.patch_mac, 1));
    patch.encode_to_vec()
}
