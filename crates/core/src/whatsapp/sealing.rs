//! How a device's keys are sealed: a random key of its own, which only a key from the environment can unwrap.
//!
//! From the device's key come two others: one seals rows and credentials (XChaCha20-Poly1305, bound to device, kind and
//! hash, so that nothing can be moved elsewhere), one hashes look-up keys, which hold phone numbers. The look-up key lies
//! within the sealed row, because the mirror has to be rebuilt from it. When the environment's key changes, only the
//! wrapping does. There is no way to store anything in plain text.

use super::id::DeviceId;
use super::mirror::OpenRow;
use super::store::{DeviceRow, KeyHash, KeyKind, RowKey};
use crate::entropy::{Entropy, NoEntropy};
use crate::sealing::{SealError, SealingKeys, UnsealError};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Begins every sealed value, so that the format can change one day.
const FORMAT: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Names the credentials where a row has its kind.
const CREDENTIALS: &str = "credentials";

/// A device's own key.
pub(super) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// A new one.
    pub(super) fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        entropy.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Under the newest key of the environment, for this device only.
    pub(super) fn wrap(
        &self,
        keys: &SealingKeys,
        device: &DeviceId,
        entropy: &dyn Entropy,
    ) -> Result<String, SealError> {
        keys.seal(&wrapping(device), &*self.0, entropy)
    }

    /// What [`DataKey::wrap`] wrote.
    pub(super) fn unwrap(keys: &SealingKeys, device: &DeviceId, wrapped: &str) -> Result<Self, UnsealError> {
        let plain = keys.open(&wrapping(device), wrapped)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(plain.as_slice()).map_err(|_| UnsealError::Malformed)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// A key for one purpose.
    fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.0).map_err(|_| SealError::TooLong)?;
        Ok(Zeroizing::new(mac.chain_update(purpose).finalize().into_bytes().into()))
    }
}

fn wrapping(device: &DeviceId) -> String {
    format!("whatsapp device {device}")
}

/// Seals and opens what belongs to one device.
pub(super) struct DeviceSeal {
    device: DeviceId,
    cipher: XChaCha20Poly1305,
    look_up: Hmac<Sha256>,
}

impl DeviceSeal {
    pub(super) fn new(device: DeviceId, key: &DataKey) -> Result<Self, SealError> {
        let sealing = key.derive("sessile whatsapp 1: seal")?;
        let hashing = key.derive("sessile whatsapp 1: look up")?;
        let cipher = XChaCha20Poly1305::new_from_slice(&*sealing).map_err(|_| SealError::TooLong)?;
        let look_up = Hmac::new_from_slice(&*hashing).map_err(|_| SealError::TooLong)?;
        Ok(Self { device, cipher, look_up })
    }

    /// The name under which a row is stored.
    pub(super) fn row_key(&self, kind: KeyKind, key: &[u8]) -> RowKey {
        // No name of a kind holds a zero.
        let mac = self.look_up.clone().chain_update(kind.as_str()).chain_update([0]).chain_update(key);
        RowKey { kind, hash: KeyHash(mac.finalize().into_bytes().into()) }
    }

    pub(super) fn seal_row(
        &self,
        kind: KeyKind,
        key: &[u8],
        value: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<DeviceRow, SealError> {
        let name = self.row_key(kind, key);
        let length = u32::try_from(key.len()).map_err(|_| SealError::TooLong)?;
        let plain = Zeroizing::new([&length.to_be_bytes(), key, value].concat());
        let value = self.seal(kind.as_str(), &name.hash.0, &plain, entropy)?;
        Ok(DeviceRow { key: name, value })
    }

    pub(super) fn open_row(&self, row: &DeviceRow) -> Result<OpenRow, UnsealError> {
        let plain = self.open(row.key.kind.as_str(), &row.key.hash.0, &row.value)?;
        let (length, rest) = plain.split_first_chunk::<4>().ok_or(UnsealError::Malformed)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| UnsealError::Malformed)?;
        let (key, value) = rest.split_at_checked(length).ok_or(UnsealError::Malformed)?;
        Ok((key.into(), value.into()))
    }

    pub(super) fn seal_credentials(
        &self,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Arc<[u8]>, SealError> {
        self.seal(CREDENTIALS, &[], plain, entropy)
    }

    pub(super) fn open_credentials(&self, sealed: &[u8]) -> Result<Arc<[u8]>, UnsealError> {
        self.open(CREDENTIALS, &[], sealed).map(|plain| plain.as_slice().into())
    }

    fn seal(
        &self,
        kind: &str,
        hash: &[u8],
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Arc<[u8]>, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        entropy.fill(&mut nonce)?;
        let payload = Payload { msg: plain, aad: &self.place(kind, hash) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok([&[FORMAT], nonce.as_slice(), &sealed].concat().into())
    }

    fn open(&self, kind: &str, hash: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let Some((&FORMAT, sealed)) = sealed.split_first() else { return Err(UnsealError::Malformed) };
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(UnsealError::Malformed)?;
        let payload = Payload { msg, aad: &self.place(kind, hash) };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| UnsealError::Refused)?;
        Ok(Zeroizing::new(plain))
    }

    /// Where a value belongs. Neither a device's name nor a kind's holds a zero.
    fn place(&self, kind: &str, hash: &[u8]) -> Vec<u8> {
        [self.device.as_str().as_bytes(), &[0], kind.as_bytes(), &[0], hash].concat()
    }
}
