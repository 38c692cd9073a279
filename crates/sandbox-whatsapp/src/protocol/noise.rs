//! The server's side of the Noise handshake: XX with a client that does not know it, IK with one that does.
//!
//! A client that knew another server's key is answered the XX way (XXfallback), as after a change of keys.

use whatsapp_rust::buffa::{Message, MessageField};
use whatsapp_rust::wacore::crypto::generate_curve_key_pair;
use whatsapp_rust::wacore::handshake::{HandshakeError, NoiseHandshake};
use whatsapp_rust::wacore::libsignal::protocol::KeyPair;
use whatsapp_rust::wacore::noise::NoiseCipher;
use whatsapp_rust::wacore_binary::consts::{
    NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER,
};
use whatsapp_rust::waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use whatsapp_rust::waproto::whatsapp::{ClientPayload, HandshakeMessage};

use super::frames::{FrameReader, FrameWriter};
use crate::error::Broken;

/// A public key on the wire.
pub(crate) type KeyBytes = [u8; 32];

/// How a client introduced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// It did not know the server.
    Xx,
    /// It knew the server and sent its payload at once.
    Ik,
    /// It knew another server's key.
    XxFallback,
}

/// Who the server is.
pub(crate) struct ServerIdentity {
    pub(crate) key: KeyPair,
    pub(crate) certificate: Vec<u8>,
}

/// A finished handshake.
pub(crate) struct Greeting {
    pub(crate) pattern: Pattern,
    pub(crate) client_key: KeyBytes,
    pub(crate) payload: ClientPayload,
    pub(crate) reads: NoiseCipher,
    pub(crate) writes: NoiseCipher,
}

/// Shakes hands.
pub(crate) async fn greet(
    server: &ServerIdentity,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Greeting, Broken> {
    let hello = read(&reader.next().await?)?.client_hello.into_option();
    let hello = hello.ok_or_else(|| Broken::Handshake("the first message is no hello".into()))?;
    let ephemeral = key_bytes(hello.ephemeral.as_deref(), "the client's ephemeral key")?;
    if hello.r#static.is_none() {
        return full(server, NOISE_PATTERN_XX, &ephemeral, reader, writer).await;
    }
    match resume(server, &ephemeral, &hello)? {
        Some((greeting, answer)) => {
            writer.send(&answer).await?;
            Ok(greeting)
        }
        None => full(server, NOISE_PATTERN_XXFALLBACK, &ephemeral, reader, writer).await,
    }
}

/// XX: the server says who it is, then the client does.
async fn full(
    server: &ServerIdentity,
    pattern: &str,
    client_ephemeral: &KeyBytes,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Greeting, Broken> {
    let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER)?;
    noise.authenticate(client_ephemeral);
    let ephemeral = generate_curve_key_pair();
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let key = noise.encrypt(server.key.public_key.public_key_bytes())?;
    noise.mix_shared_secret(server.key.private_key.serialize(), client_ephemeral)?;
    let certificate = noise.encrypt(&server.certificate)?;
    writer.send(&server_hello(&ephemeral, Some(key), certificate)).await?;

    let finish = read(&reader.next().await?)?.client_finish.into_option();
    let finish = finish.ok_or_else(|| Broken::Handshake("the second message does not finish".into()))?;
    let client_key = noise.decrypt(finish.r#static.as_deref().unwrap_or_default())?;
    let client_key = key_bytes(Some(&client_key), "the client's key")?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let payload = noise.decrypt(finish.payload.as_deref().unwrap_or_default())?;
    let pattern = if pattern == NOISE_PATTERN_XX { Pattern::Xx } else { Pattern::XxFallback };
    finished(noise, pattern, client_key, &payload)
}

/// IK: `None` when the client had another server's key in mind.
fn resume(
    server: &ServerIdentity,
    client_ephemeral: &KeyBytes,
    hello: &ClientHello,
) -> Result<Option<(Greeting, Vec<u8>)>, Broken> {
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
    noise.authenticate(server.key.public_key.public_key_bytes());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(server.key.private_key.serialize(), client_ephemeral)?;
    let Ok(client_key) = noise.decrypt(hello.r#static.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let client_key = key_bytes(Some(&client_key), "the client's key")?;
    noise.mix_shared_secret(server.key.private_key.serialize(), &client_key)?;
    let payload = noise.decrypt(hello.payload.as_deref().unwrap_or_default())?;

    let ephemeral = generate_curve_key_pair();
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let certificate = noise.encrypt(&server.certificate)?;
    let answer = server_hello(&ephemeral, None, certificate);
    Ok(Some((finished(noise, Pattern::Ik, client_key, &payload)?, answer)))
}

fn finished(
    noise: NoiseHandshake,
    pattern: Pattern,
    client_key: KeyBytes,
    payload: &[u8],
) -> Result<Greeting, Broken> {
    let payload = ClientPayload::decode_from_slice(payload)
        .map_err(|error| Broken::Handshake(format!("the client's payload: {error}")))?;
    // What the client writes with is what the server reads with.
    let (reads, writes) = noise.finish()?;
    Ok(Greeting { pattern, client_key, payload, reads, writes })
}

fn server_hello(ephemeral: &KeyPair, key: Option<Vec<u8>>, certificate: Vec<u8>) -> Vec<u8> {
    let hello = ServerHello {
        ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
        r#static: key,
        payload: Some(certificate),
        ..ServerHello::default()
    };
    let message = HandshakeMessage { server_hello: MessageField::some(hello), ..HandshakeMessage::default() };
    message.encode_to_vec()
}

fn read(frame: &[u8]) -> Result<HandshakeMessage, Broken> {
    HandshakeMessage::decode_from_slice(frame).map_err(|error| Broken::Handshake(error.to_string()))
}

fn key_bytes(bytes: Option<&[u8]>, name: &str) -> Result<KeyBytes, Broken> {
    let bytes = bytes.unwrap_or_default();
    bytes.try_into().map_err(|_| Broken::Handshake(format!("{name} has {} bytes, not 32", bytes.len())))
}

impl From<HandshakeError> for Broken {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error.to_string())
    }
}
