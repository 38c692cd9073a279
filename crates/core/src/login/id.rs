//! Who is who: session ids, the handles and fingerprints derived from them, and user ids.
//!
//! A [`LoginId`] is a bearer secret and never leaves through a log, a list or an address; a [`DeviceHandle`] names
//! the session to its owner, a [`Fingerprint`] names it in a log. Both are one-way.

use crate::entropy::{Entropy, NoEntropy};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Random bytes in an id that we make (192 bits).
pub const ID_BYTES: usize = 24;
/// The longest id that is accepted from a cookie; other applications may make their own.
pub const ID_CHARS_MAX: usize = 255;

/// The id of a login session: 24 random bytes in base64url, or whatever an Express peer's `genid` makes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginId(Arc<str>);

impl LoginId {
    /// A new id that nobody can guess.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = [0_u8; ID_BYTES];
        entropy.fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// Accepts an id as it came: 1 to 255 visible ASCII characters. `None` for anything else, so that no NUL,
    /// space or control character reaches an engine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let visible =
            !text.is_empty() && text.len() <= ID_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        visible.then(|| Self(text.into()))
    }

    /// The id itself: a bearer secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a log may say.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(self.0.as_bytes());
        Fingerprint(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
    }

    /// What the owner's device list may say.
    #[must_use]
    pub fn handle(&self) -> DeviceHandle {
        DeviceHandle::of_hash(&self.hashed())
    }

    /// SHA-256 of the id in base64url: what the stand-alone layout stores in place of it.
    #[must_use]
    pub fn hashed(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginId({})", self.fingerprint())
    }
}

/// Eight hexadecimal digits that name a session in logs and errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint(u32);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What names a session in its owner's device list; worthless as a cookie.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DeviceHandle(String);

impl DeviceHandle {
    /// The handle of the session whose [`LoginId::hashed`] is `hash`, for layouts that store nothing else.
    #[must_use]
    pub fn of_hash(hash: &str) -> Self {
        let digest = Sha256::new().chain_update(b"device\0").chain_update(hash.as_bytes()).finalize();
        Self(URL_SAFE_NO_PAD.encode(&digest[..16]))
    }

    /// The handle as text, 22 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Accepts what [`LoginId::handle`] writes; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped =
            text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        shaped.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for DeviceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's id, as the session's user key holds it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl TryFrom<String> for UserId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text).ok_or("a user's id is 1 to 255 bytes without NUL")
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl UserId {
    /// Takes any non-empty id of at most 255 bytes without NUL.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty() && text.len() <= ID_CHARS_MAX && !text.contains('\0')).then_some(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn ids_have_32_characters_and_never_show_themselves() {
        let id = LoginId::generate(&OsEntropy).unwrap();
        assert_eq!(id.expose().len(), 32);
        assert!(!format!("{id:?}").contains(id.expose()));
        assert_ne!(id, LoginId::generate(&OsEntropy).unwrap());
        assert_eq!(DeviceHandle::parse(id.handle().as_str()), Some(id.handle()));
    }

    #[test]
    fn only_visible_ascii_is_an_id() {
        for bad in ["", "a b", "a\0b", "ü", "a\nb", &"x".repeat(256)] {
            assert!(LoginId::parse(bad).is_none(), "{bad:?}");
        }
        assert!(LoginId::parse(&"x".repeat(255)).is_some());
    }
}
