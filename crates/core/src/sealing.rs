//! Sealing small secrets at rest: XChaCha20-Poly1305 under a named key, so that keys rotate.
//!
//! Used for what must be stored and read again, such as a provider's refresh token. The first key seals, every key
//! opens. What a value is for is bound into it (`context`), so that one sealed value cannot stand in for another.
//! Never seal here what only has to be compared: hash that instead.

use crate::entropy::{Entropy, NoEntropy};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use std::fmt;
use zeroize::Zeroizing;

/// Marks the format, so that it can change one day.
const FORMAT: &str = "s1";
/// Hexadecimal characters of a key.
const KEY_CHARS: usize = 64;
const NONCE_BYTES: usize = 24;
/// The name of a key that was given without one.
const UNNAMED: &str = "0";
const NAME_CHARS_MAX: usize = 32;
/// Keys in one list.
const KEYS_MAX: usize = 16;

/// The keys of `SESSILE_SEALING_KEY`, the sealing one first.
#[derive(Clone)]
pub struct SealingKeys(Vec<(String, XChaCha20Poly1305)>);

/// Why a list of keys was refused. Never repeats a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSealingKey {
    /// None, or too many.
    #[error("the list of sealing keys has to have 1 to {KEYS_MAX} entries")]
    Count,
    /// Not 64 hexadecimal characters.
    #[error(
        "sealing key number {0} is not {KEY_CHARS} hexadecimal characters; make one with `openssl rand -hex 32`"
    )]
    Shape(usize),
    /// A name with other characters, or a name twice.
    #[error(
        "the name of sealing key number {0} has to be 1 to {NAME_CHARS_MAX} letters, digits, `-` or `_`, and its own"
    )]
    Name(usize),
}

/// Why a value could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No nonce.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The cipher refused; the value is too long.
    #[error("the value is too long to be sealed")]
    TooLong,
}

/// Why a sealed value could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Not what [`SealingKeys::seal`] writes.
    #[error("the sealed value is malformed")]
    Malformed,
    /// Sealed under a key that is no longer listed.
    #[error("the key that sealed this value is not listed in SESSILE_SEALING_KEY")]
    UnknownKey,
    /// Changed, of another context, or another key under the same name.
    #[error("the sealed value was changed, or belongs elsewhere")]
    Refused,
}

/// Why a value could not be sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResealError {
    /// It does not open.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// It does not close.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The name of the key that a value was sealed under, whether it is listed or not; `None`: it is no sealed value.
#[must_use]
pub fn key_of_sealed(sealed: &str) -> Option<&str> {
    let mut parts = sealed.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(FORMAT), Some(name), Some(_)) => Some(name),
        _ => None,
    }
}

impl SealingKeys {
    /// Reads 64 hexadecimal characters, or `id:hex,id:hex`.
    ///
    /// # Errors
    /// [`BadSealingKey`] says which entry and why.
    pub fn parse(list: &str) -> Result<Self, BadSealingKey> {
        let mut keys: Vec<(String, XChaCha20Poly1305)> = Vec::new();
        for (at, entry) in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let (name, hex) = entry.split_once(':').unwrap_or((UNNAMED, entry));
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            let named = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(plain);
            if !named || keys.iter().any(|(other, _)| other == name) {
                return Err(BadSealingKey::Name(at + 1));
            }
            let bytes = key_of(hex).ok_or(BadSealingKey::Shape(at + 1))?;
            let cipher =
                XChaCha20Poly1305::new_from_slice(&*bytes).map_err(|_| BadSealingKey::Shape(at + 1))?;
            keys.push((name.to_owned(), cipher));
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(BadSealingKey::Count);
        }
        Ok(Self(keys))
    }

    /// Seals under the first key: `s1.<key>.<base64url>`.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, context: &str, plain: &[u8], entropy: &dyn Entropy) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        entropy.fill(&mut nonce)?;
        let (name, cipher) = self.0.first().ok_or(SealError::TooLong)?;
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        let text = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{FORMAT}.{name}.{text}"))
    }

    /// The name of the key that seals.
    #[must_use]
    pub fn newest(&self) -> &str {
        self.0.first().map_or(UNNAMED, |(name, _)| name)
    }

    /// The names of the keys that only open.
    pub fn older(&self) -> impl Iterator<Item = &str> {
        self.0.iter().skip(1).map(|(name, _)| name.as_str())
    }

    /// The same value under the first key.
    ///
    /// # Errors
    /// [`ResealError`]; the value is to be kept as it is.
    pub fn reseal(&self, context: &str, sealed: &str, entropy: &dyn Entropy) -> Result<String, ResealError> {
        let plain = self.open(context, sealed)?;
        Ok(self.seal(context, &plain, entropy)?)
    }

    /// Whether a value was sealed under the first key, so that it need not be sealed anew.
    #[must_use]
    pub fn is_newest(&self, sealed: &str) -> bool {
        let name = sealed.split('.').nth(1);
        self.0.first().is_some_and(|(newest, _)| name == Some(newest))
    }

    /// Opens what any of the keys sealed for this `context`.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(FORMAT), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(UnsealError::Malformed);
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| UnsealError::Malformed)?;
        let (nonce, msg) = bytes.split_at_checked(NONCE_BYTES).ok_or(UnsealError::Malformed)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| UnsealError::Malformed)?;
        let (_, cipher) = self.0.iter().find(|(known, _)| known == name).ok_or(UnsealError::UnknownKey)?;
        let payload = Payload { msg, aad: context.as_bytes() };
        cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| UnsealError::Refused)
    }
}

fn key_of(hex: &str) -> Option<Zeroizing<[u8; KEY_CHARS / 2]>> {
    if hex.len() != KEY_CHARS || !hex.is_ascii() {
        return None;
    }
    let mut key = Zeroizing::new([0_u8; KEY_CHARS / 2]);
    for (byte, pair) in key.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;
    use proptest::prelude::*;

    const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const NEW: &str = "f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn keys_rotate_and_a_value_stays_in_its_place() {
        let old = SealingKeys::parse(&format!("old:{OLD}")).unwrap();
        let both = SealingKeys::parse(&format!("new:{NEW},old:{OLD}")).unwrap();
        let sealed = old.seal("refresh token", b"secret", &OsEntropy).unwrap();
        assert_eq!(&**both.open("refresh token", &sealed).unwrap(), b"secret");
        assert_eq!(both.open("something else", &sealed), Err(UnsealError::Refused));
        let newer = both.seal("refresh token", b"secret", &OsEntropy).unwrap();
        assert!(newer.starts_with("s1.new."));
        assert_eq!(old.open("refresh token", &newer), Err(UnsealError::UnknownKey));
        assert_ne!(sealed, old.seal("refresh token", b"secret", &OsEntropy).unwrap());
        let anew = both.reseal("refresh token", &sealed, &OsEntropy).unwrap();
        assert!(both.is_newest(&anew) && !both.is_newest(&sealed));
        assert_eq!(&**both.open("refresh token", &anew).unwrap(), b"secret");
        assert_eq!((both.newest(), both.older().collect::<Vec<_>>()), ("new", vec!["old"]));
        assert_eq!(
            (key_of_sealed(&sealed), key_of_sealed("s1.old"), key_of_sealed("x.y.z")),
            (Some("old"), None, None)
        );
        assert!(!format!("{both:?}").contains("f001"));
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!(SealingKeys::parse(" , ").err(), Some(BadSealingKey::Count));
        assert_eq!(SealingKeys::parse("abc").err(), Some(BadSealingKey::Shape(1)));
        assert_eq!(SealingKeys::parse(&"z".repeat(64)).err(), Some(BadSealingKey::Shape(1)));
        assert_eq!(SealingKeys::parse(&format!("a:{OLD},a:{NEW}")).err(), Some(BadSealingKey::Name(2)));
        assert!(SealingKeys::parse(OLD).is_ok());
    }

    proptest! {
        #[test]
        fn what_was_changed_is_refused(at in 5_usize..40, text in ".{0,60}") {
            let keys = SealingKeys::parse(OLD).unwrap();
            let sealed = keys.seal("c", b"a refresh token", &OsEntropy).unwrap();
            let mut bad = sealed.clone();
            let with = if &bad[at..=at] == "A" { "B" } else { "A" };
            bad.replace_range(at..=at, with);
            prop_assert!(keys.open("c", &bad).is_err());
            prop_assert!(keys.open("c", &text).is_err());
        }
    }
}
