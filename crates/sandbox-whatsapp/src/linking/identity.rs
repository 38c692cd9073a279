//! A device's identity: signed by its account's phone, sealed for the one device that knows the secret, and signed by
//! that device in turn.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use whatsapp_rust::buffa::Message;
use whatsapp_rust::wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use whatsapp_rust::wacore::crypto::calculate_curve_signature;
use whatsapp_rust::wacore::libsignal::protocol::{CurveError, KeyPair};
use whatsapp_rust::waproto::whatsapp::{
    ADVDeviceIdentity, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC,
};

use crate::protocol::noise::KeyBytes;

/// The phone signs a device's identity under this prefix.
const ACCOUNT_PREFIX: [u8; 2] = [6, 0];

/// What is said about a device.
pub(crate) struct Details {
    pub(crate) raw_id: u32,
    pub(crate) key_index: u32,
    pub(crate) at_secs: u64,
}

/// The phone's signature under a device's identity.
pub(crate) fn sign(
    phone: &KeyPair,
    details: &Details,
    device: &KeyBytes,
) -> Result<ADVSignedDeviceIdentity, CurveError> {
    let details = ADVDeviceIdentity {
        raw_id: Some(details.raw_id),
        timestamp: Some(details.at_secs),
        key_index: Some(details.key_index),
        ..ADVDeviceIdentity::default()
    };
    let details = details.encode_to_vec();
    let signed = [ACCOUNT_PREFIX.as_slice(), &details, device].concat();
    let signature = calculate_curve_signature(&phone.private_key, &signed)?;
    Ok(ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(phone.public_key.public_key_bytes().to_vec()),
        account_signature: Some(signature.to_vec()),
        ..ADVSignedDeviceIdentity::default()
    })
}

/// Proves to the device that the phone has seen its secret.
pub(crate) fn seal(secret: &KeyBytes, signed: &ADVSignedDeviceIdentity) -> Vec<u8> {
    let details = signed.encode_to_vec();
    // Any length of key is good for an HMAC.
    let proof = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).map(|mut mac| {
        mac.update(&details);
        mac.finalize().into_bytes().to_vec()
    });
    ADVSignedDeviceIdentityHMAC { details: Some(details), hmac: proof.ok(), ..Default::default() }
        .encode_to_vec()
}

/// Whether the device has signed the same details with its own key.
pub(crate) fn is_signed_by_both(signed: &[u8], device: &KeyBytes, phone: &KeyPair) -> bool {
    let phone: Option<&KeyBytes> = phone.public_key.public_key_bytes().try_into().ok();
    validate_adv_with_identity_key(signed, device, phone) == AdvValidation::Valid
}
