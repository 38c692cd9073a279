//! Linking by a code of eight characters that the client shows and somebody types into the phone.
//!
//! The code encrypts what the two tell each other first. The server passes it on and never learns the code.

use whatsapp_rust::NodeBuilder;
use whatsapp_rust::wacore::crypto::{generate_curve_key_pair, hkdf_sha256_into};
use whatsapp_rust::wacore::libsignal::crypto::aes_256_gcm_decrypt;
use whatsapp_rust::wacore::libsignal::protocol::{KeyPair, PublicKey};
use whatsapp_rust::wacore::pair_code::PairCodeUtils;
use whatsapp_rust::wacore_binary::{Node, SERVER_JID};

use super::{Pending, converse};
use crate::address::Device;
use crate::error::PhoneError;
use crate::protocol::noise::KeyBytes;
use crate::protocol::stanza;
use crate::server::login::pairing_ref;
use crate::server::world::{State, World, now};

const STAGE: &str = "link_code_companion_reg";
const BUNDLE_KEY: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
const SECRET_KEY: &[u8] = b"adv_secret";
/// The client's key bundle begins with a salt and an initialization vector.
const SALT_BYTES: usize = 32;
const IV_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// A client that shows a code and waits for it to be typed.
#[derive(Clone, Debug)]
pub(crate) struct CodeShown {
    pub(crate) connection: u64,
    pairing_ref: String,
    wrapped_ephemeral: Vec<u8>,
}

/// A client begins: it asks the server to tell the phone of this number.
pub(crate) fn hello(state: &mut State, connection: u64, iq: &Node, stage: &Node) {
    let number = stanza::jid(stage, "jid").and_then(|jid| Device::of(&jid)).map(|device| device.number);
    let wrapped = stanza::child_bytes(stage, "link_code_pairing_wrapped_companion_ephemeral_pub");
    let (Some(number), Some(wrapped_ephemeral)) = (number, wrapped) else {
        return super::reply(state, connection, stanza::refusal(iq, 400, "bad-request"));
    };
    let pairing_ref = pairing_ref();
    let answer = NodeBuilder::new(STAGE)
        .attr("stage", "companion_hello")
        .children([stanza::leaf("link_code_pairing_ref", pairing_ref.clone().into_bytes())])
        .build();
    state.codes_shown.insert(number, CodeShown { connection, pairing_ref, wrapped_ephemeral });
    super::reply(state, connection, stanza::result(iq, vec![answer]));
}

/// The phone's side until both know the secret. A wrong code shows only at the end: nothing fits.
pub(crate) async fn exchange(
    world: &World,
    shown: &CodeShown,
    code: String,
    phone: &KeyPair,
) -> Result<KeyBytes, PhoneError> {
    let ephemeral = generate_curve_key_pair();
    let public = key_bytes(ephemeral.public_key.public_key_bytes())?;
    let wrapped_theirs = shown.wrapped_ephemeral.clone();
    // Deriving a key from a code takes long on purpose.
    let derived = tokio::task::spawn_blocking(move || {
        let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&wrapped_theirs, &code);
        theirs.map(|theirs| (theirs, PairCodeUtils::encrypt_ephemeral_pub(&public, &code)))
    });
    let derived = derived.await.map_err(|error| PhoneError::Key(error.to_string()))?;
    let (theirs, wrapped_ours) = derived.map_err(|error| PhoneError::Key(error.to_string()))?;

    let id = world.update(State::next_id);
    let hello = primary_hello(id, shown, phone, &wrapped_ours);
    let finish = converse(world, shown.connection, vec![hello], |tell| Pending::Request(STAGE, tell)).await?;
    let secret = secret(&finish, &ephemeral, &theirs, phone);
    let answer = match &secret {
        Ok(_) => stanza::result(&finish, Vec::new()),
        Err(_) => stanza::refusal(&finish, 400, "bad-request"),
    };
    world.update(|state| super::reply(state, shown.connection, answer));
    secret
}

fn primary_hello(id: u64, shown: &CodeShown, phone: &KeyPair, wrapped_ephemeral: &[u8]) -> Node {
    let stage = NodeBuilder::new(STAGE)
        .attr("stage", "primary_hello")
        .children([
            stanza::leaf("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped_ephemeral),
            stanza::leaf("primary_identity_pub", phone.public_key.public_key_bytes()),
            stanza::leaf("link_code_pairing_ref", shown.pairing_ref.clone().into_bytes()),
        ])
        .build();
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("type", STAGE)
        .attr("id", id)
        .attr("t", now())
        .children([stage])
        .build()
}

/// What both now know, out of the client's key bundle.
fn secret(
    finish: &Node,
    ephemeral: &KeyPair,
    their_ephemeral: &KeyBytes,
    phone: &KeyPair,
) -> Result<KeyBytes, PhoneError> {
    let key_error = |error: &dyn std::fmt::Display| PhoneError::Key(error.to_string());
    let stage = finish.get_optional_child(STAGE);
    let wrapped = stage.and_then(|stage| stanza::child_bytes(stage, "link_code_pairing_wrapped_key_bundle"));
    let wrapped = wrapped.ok_or_else(|| PhoneError::Refused("it sent no key bundle".into()))?;
    let cut_off = || PhoneError::Refused("its key bundle is cut off".into());
    let (salt, rest) = wrapped.split_at_checked(SALT_BYTES).ok_or_else(cut_off)?;
    let (iv, sealed) = rest.split_at_checked(IV_BYTES).ok_or_else(cut_off)?;

    let theirs = PublicKey::from_djb_public_key_bytes(their_ephemeral).map_err(|error| key_error(&error))?;
    let shared = ephemeral.calculate_agreement(&theirs).map_err(|error| key_error(&error))?;
    let mut key = [0; KEY_BYTES];
    hkdf_sha256_into(&shared, Some(salt), BUNDLE_KEY, &mut key).map_err(|error| key_error(&error))?;
    let mut bundle = Vec::new();
    aes_256_gcm_decrypt(&key, iv.try_into().map_err(|_| cut_off())?, b"", sealed, &mut bundle)
        .map_err(|_| PhoneError::Refused("the code is wrong: its key bundle cannot be opened".into()))?;

    let [identity, ours, random] = bundle.as_chunks::<KEY_BYTES>().0 else {
        return Err(cut_off());
    };
    if ours.as_slice() != phone.public_key.public_key_bytes() {
        return Err(PhoneError::Refused("its key bundle is for another phone".into()));
    }
    let identity = PublicKey::from_djb_public_key_bytes(identity).map_err(|error| key_error(&error))?;
    let identities = phone.calculate_agreement(&identity).map_err(|error| key_error(&error))?;
    let mut secret = [0; KEY_BYTES];
    let material = [shared.as_slice(), &identities, random].concat();
    hkdf_sha256_into(&material, None, SECRET_KEY, &mut secret).map_err(|error| key_error(&error))?;
    Ok(secret)
}

fn key_bytes(bytes: &[u8]) -> Result<KeyBytes, PhoneError> {
    bytes.try_into().map_err(|_| PhoneError::Key("a public key does not have 32 bytes".into()))
}
