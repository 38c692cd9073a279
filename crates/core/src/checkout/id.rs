//! Names of checkouts and of guests.

use crate::entropy::{Entropy, NoEntropy};
use crate::id::{digest_of, random_text, text_id, timed_id};
use std::fmt;

text_id! {
    /// One choice of a buyer. Another choice is another id.
    CheckoutId
}
timed_id!(CheckoutId, "cs_");

text_id! {
    /// What a guest's anonymous cookie hashes to; the token itself is never stored.
    GuestHash
}

/// The secret in a guest's cookie: what makes an anonymous browser the owner of its checkouts.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestToken(String);

impl GuestToken {
    /// A new one that nobody can guess.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        random_text("", entropy).map(Self)
    }

    /// Reads a cookie's value; `None` unless it has the shape that [`GuestToken::generate`] makes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped =
            text.len() == 24 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        shaped.then(|| Self(text.to_owned()))
    }

    /// The token itself, for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> GuestHash {
        GuestHash(digest_of(&["guest", &self.0]).into())
    }
}

impl fmt::Debug for GuestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestToken([…])")
    }
}
