//! The server's certificate chain, made by nobody: a client without the `stand-in` feature refuses it.

use whatsapp_rust::buffa::{Message, MessageField};
use whatsapp_rust::wacore::crypto::calculate_curve_signature;
use whatsapp_rust::wacore::libsignal::protocol::{CurveError, KeyPair};
use whatsapp_rust::waproto::whatsapp::CertChain;
use whatsapp_rust::waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate::Details};

/// How long the certificates are good for, before and after now.
const VALIDITY_SECS: u64 = 365 * 24 * 60 * 60;

const INTERMEDIATE_SERIAL: u32 = 1;

/// A chain whose leaf carries `server_key`. The intermediate is signed by `issuer`, whom nobody knows.
pub(crate) fn chain(server_key: &KeyPair, issuer: &KeyPair, now_secs: u64) -> Result<Vec<u8>, CurveError> {
    let details = |serial, issuer_serial, key: &KeyPair| Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(key.public_key.public_key_bytes().to_vec()),
        not_before: Some(now_secs.saturating_sub(VALIDITY_SECS)),
        not_after: Some(now_secs + VALIDITY_SECS),
    };
    let intermediate = signed(&details(INTERMEDIATE_SERIAL, 0, issuer), issuer)?;
    let leaf = signed(&details(INTERMEDIATE_SERIAL + 1, INTERMEDIATE_SERIAL, server_key), issuer)?;
    let chain = CertChain { leaf: MessageField::some(leaf), intermediate: MessageField::some(intermediate) };
    Ok(chain.encode_to_vec())
}

fn signed(details: &Details, issuer: &KeyPair) -> Result<NoiseCertificate, CurveError> {
    let details = details.encode_to_vec();
    let signature = calculate_curve_signature(&issuer.private_key, &details)?;
    Ok(NoiseCertificate { details: Some(details), signature: Some(signature.to_vec()) })
}
