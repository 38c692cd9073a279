//! Linking with a passkey: the client proves with an authenticator of its owner that it may, and the two then agree on
//! a secret. The stand-in looks whether the assertion answers its challenge; it knows no credential to check it with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use whatsapp_rust::NodeBuilder;
use whatsapp_rust::buffa::Message;
use whatsapp_rust::wacore::crypto::generate_curve_key_pair;
use whatsapp_rust::wacore::libsignal::crypto::aes_256_gcm_decrypt;
use whatsapp_rust::wacore::shortcake::ShortcakeUtils;
use whatsapp_rust::wacore_binary::{Node, SERVER_JID};
use whatsapp_rust::waproto::whatsapp::{
    CompanionEphemeralIdentity, EncryptedPairingRequest, PairingRequest, PrimaryEphemeralIdentity,
    ProloguePayload,
};

use super::{Pending, converse, registration, reply};
use crate::error::PhoneError;
use crate::protocol::noise::KeyBytes;
use crate::protocol::stanza;
use crate::server::world::{State, World, now};

/// The child that carries what an authenticator is asked.
pub(crate) const OPTIONS: &str = "passkey_request_options";
const PROLOGUE: &str = "passkey_prologue";
const NONCE: &str = "companion_nonce";
const REQUEST: &str = "encrypted_pairing_request";
/// What the authenticator is to sign.
const CHALLENGE: &[u8] = b"a challenge of the stand-in";
/// The site that the passkey belongs to.
const RELYING_PARTY: &str = "web.whatsapp.com";
/// A phone takes a moment. The client is ready for what comes next only some time after its request is answered: it
/// keeps its part of the conversation, and takes the new secret into use, when it has seen the answer.
const PHONE_TAKES: Duration = Duration::from_millis(500);

/// What an authenticator is asked, as a browser understands it.
pub(crate) fn options() -> Node {
    let json = serde_json::json!({
        "challenge": URL_SAFE_NO_PAD.encode(CHALLENGE),
        "rpId": RELYING_PARTY,
        "allowCredentials": [],
        "userVerification": "required",
        "timeout": 60_000,
    });
    stanza::leaf(OPTIONS, json.to_string().into_bytes())
}

/// Both sides' conversation until both know the secret.
pub(crate) async fn exchange(world: &World, connection: u64) -> Result<KeyBytes, PhoneError> {
    let demand = vec![notification(world, "passkey_prologue_request", options())];
    let prologue = converse(world, connection, demand, |tell| Pending::Request(PROLOGUE, tell)).await?;
    let (payload, identity) = prologue_of(&prologue)?;

    let ephemeral = generate_curve_key_pair();
    let public = bytes32(ephemeral.public_key.public_key_bytes(), "the phone's key")?;
    let mut nonce = [0_u8; 32];
    let mut random: StdRng = rand::make_rng();
    random.fill_bytes(&mut nonce);
    let primary = PrimaryEphemeralIdentity { public_key: Some(public.to_vec()), nonce: Some(nonce.to_vec()) };
    let primary = stanza::leaf("primary_ephemeral_identity", primary.encode_to_vec());
    world.update(|state| reply(state, connection, stanza::result(&prologue, Vec::new())));
    tokio::time::sleep(PHONE_TAKES).await;
    let say = vec![notification(world, "crsc_continuation", primary)];
    let revealed = converse(world, connection, say, |tell| Pending::Request(NONCE, tell)).await?;
    let their_nonce = stanza::child_bytes(&revealed, NONCE).unwrap_or_default();
    check_commitment(&payload, &bytes32(&their_nonce, "its nonce")?)?;

    let say = vec![stanza::result(&revealed, Vec::new())];
    let request = converse(world, connection, say, |tell| Pending::Request(REQUEST, tell)).await?;
    let theirs = bytes32(identity.public_key.as_deref().unwrap_or_default(), "its key")?;
    let key = ShortcakeUtils::derive_encryption_key(
        &ephemeral,
        &theirs,
        identity.device_type.ok_or_else(|| refused("it does not say what it is"))?,
        identity.r#ref.as_deref().unwrap_or_default(),
    );
    let secret = secret_of(&request, &key.map_err(|error| PhoneError::Key(error.to_string()))?)?;
    let noise = registration(world, connection)?.noise;
    if secret.companion_public_key.as_deref() != Some(noise.as_slice()) {
        return Err(refused("it sent another key than it connected with"));
    }
    world.update(|state| reply(state, connection, stanza::result(&request, Vec::new())));
    tokio::time::sleep(PHONE_TAKES).await;
    bytes32(secret.adv_secret.as_deref().unwrap_or_default(), "its secret")
}

/// The client's first answer: an assertion, and a promise of what it will reveal.
fn prologue_of(iq: &Node) -> Result<(ProloguePayload, CompanionEphemeralIdentity), PhoneError> {
    let prologue = iq.get_optional_child(PROLOGUE).ok_or_else(|| refused("it sent no prologue"))?;
    let assertion = stanza::child_bytes(prologue, "webauthn_assertion").unwrap_or_default();
    if !answers_the_challenge(&assertion) {
        return Err(refused("its assertion does not answer the challenge"));
    }
    let payload = stanza::child_bytes(prologue, "prologue_payload").unwrap_or_default();
    let payload =
        ProloguePayload::decode_from_slice(&payload).map_err(|error| refused(&error.to_string()))?;
    let identity = payload.companion_ephemeral_identity.as_deref().unwrap_or_default();
    let identity = CompanionEphemeralIdentity::decode_from_slice(identity)
        .map_err(|error| refused(&error.to_string()))?;
    Ok((payload, identity))
}

fn answers_the_challenge(assertion: &[u8]) -> bool {
    let read = || {
        let assertion: serde_json::Value = serde_json::from_slice(assertion).ok()?;
        let client_data = assertion.get("response")?.get("clientDataJSON")?.as_str()?.to_owned();
        let client_data = URL_SAFE_NO_PAD.decode(client_data).ok()?;
        let client_data: serde_json::Value = serde_json::from_slice(&client_data).ok()?;
        URL_SAFE_NO_PAD.decode(client_data.get("challenge")?.as_str()?).ok()
    };
    read().is_some_and(|challenge| challenge == CHALLENGE)
}

fn check_commitment(payload: &ProloguePayload, nonce: &KeyBytes) -> Result<(), PhoneError> {
    let identity = payload.companion_ephemeral_identity.as_deref().unwrap_or_default();
    let promised = payload.commitment.as_option().and_then(|commitment| commitment.hash.as_deref());
    let kept = promised == Some(ShortcakeUtils::commitment_hash(identity, nonce).as_slice());
    if kept { Ok(()) } else { Err(refused("it revealed something else than it promised")) }
}

fn secret_of(iq: &Node, key: &KeyBytes) -> Result<PairingRequest, PhoneError> {
    let sealed = stanza::child_bytes(iq, REQUEST).unwrap_or_default();
    let sealed =
        EncryptedPairingRequest::decode_from_slice(&sealed).map_err(|error| refused(&error.to_string()))?;
    let iv = sealed.iv.as_deref().unwrap_or_default();
    let iv = iv.try_into().map_err(|_| refused("its initialization vector has the wrong length"))?;
    let mut opened = Vec::new();
    aes_256_gcm_decrypt(key, iv, b"", sealed.encrypted_payload.as_deref().unwrap_or_default(), &mut opened)
        .map_err(|_| refused("its secret cannot be opened"))?;
    PairingRequest::decode_from_slice(&opened).map_err(|error| refused(&error.to_string()))
}

fn notification(world: &World, kind: &'static str, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("type", kind)
        .attr("id", world.update(State::next_id))
        .attr("t", now())
        .children([child])
        .build()
}

fn bytes32(bytes: &[u8], name: &str) -> Result<KeyBytes, PhoneError> {
    bytes.try_into().map_err(|_| refused(&format!("{name} does not have 32 bytes")))
}

fn refused(why: &str) -> PhoneError {
    PhoneError::Refused(why.to_owned())
}
