//! How ids of money kinds are made and read. Each is its own type, so that no function takes one for another.
//!
//! They are bearer names: nobody can guess one, and a log shows only a fingerprint of it.

use crate::entropy::{Entropy, NoEntropy};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The longest id that is read, ours or another application's.
pub(crate) const TEXT_ID_CHARS_MAX: usize = 128;
/// Random bytes in an id that we make (144 bits).
const RANDOM_BYTES: usize = 18;

/// Whether `text` can be an id at all: 1 to 128 visible ASCII characters.
pub(crate) fn is_text_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_ID_CHARS_MAX && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A prefix and 24 random characters of base64url.
pub(crate) fn random_text(prefix: &str, entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    let mut bytes = [0_u8; RANDOM_BYTES];
    entropy.fill(&mut bytes)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The same behind the moment, so that what is made together lies together in every index: eight characters that sort by
/// time, then as many random ones as ever.
pub(crate) fn timed_text(prefix: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<String, NoEntropy> {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let ms = now.unix_ms().unsigned_abs();
    let digit = |place: u32| char::from(DIGITS[usize::try_from(ms >> (5 * place) & 31).unwrap_or(0)]);
    let time: String = (0..8).rev().map(digit).collect();
    random_text(&format!("{prefix}{time}"), entropy)
}

/// SHA-256 over parts that cannot run into each other, in base64url.
pub(crate) fn digest_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Eight hexadecimal digits that name an id in a log.
#[must_use]
pub fn fingerprint_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Defines an id: a newtype over text that is compared, ordered and stored, and never shows itself in a log.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Reads an id as it came; `None` unless it is 1 to 128 visible ASCII characters.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                crate::id::is_text_id(text).then(|| Self(text.into()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What a log may say: eight hexadecimal digits.
            #[must_use]
            pub fn fingerprint(&self) -> String {
                crate::id::fingerprint_of(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or("an id is 1 to 128 visible ASCII characters")
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.fingerprint())
            }
        }
    };
}

/// Gives a [`text_id!`] its prefix and a way to be made.
macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new id that nobody can guess.
            ///
            /// # Errors
            /// [`crate::entropy::NoEntropy`] when the operating system gives no random bytes.
            pub fn generate(
                entropy: &dyn crate::entropy::Entropy,
            ) -> Result<Self, crate::entropy::NoEntropy> {
                crate::id::random_text($prefix, entropy).map(|text| Self(text.into()))
            }
        }
    };
}

/// Gives a [`text_id!`] its prefix and a way to be made at a moment.
macro_rules! timed_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// A new id that nobody can guess: the moment, then 144 random bits.
            ///
            /// # Errors
            /// [`crate::entropy::NoEntropy`] when the operating system gives no random bytes.
            pub fn generate(
                now: crate::time::Timestamp,
                entropy: &dyn crate::entropy::Entropy,
            ) -> Result<Self, crate::entropy::NoEntropy> {
                crate::id::timed_text($prefix, now, entropy).map(|text| Self(text.into()))
            }
        }
    };
}

pub(crate) use random_id;
pub(crate) use text_id;
pub(crate) use timed_id;
