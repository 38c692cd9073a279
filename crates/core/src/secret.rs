//! Secrets and lists of secrets. They never appear in `Debug`, `Display` or an error, and are wiped when dropped.
//!
//! A list rotates: the first entry signs, every entry verifies (`SESSION_SECRET=new,old,older`).

use std::fmt;
use zeroize::Zeroizing;

/// Characters that a production secret has at least.
pub const SECRET_CHARS_MIN: usize = 32;

/// One secret value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the value over.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value itself. Call it only where the secret is used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A non-empty list of secrets: the first one signs, all of them verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretList(Vec<Secret>);

/// Why a list of secrets is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// There is no secret in it.
    #[error("the secret is empty")]
    Empty,
    /// An entry is too short to resist guessing.
    #[error("secret number {position} has {chars} characters; at least {SECRET_CHARS_MIN} are needed")]
    Short {
        /// Position in the list, from 1.
        position: usize,
        /// How long it is.
        chars: usize,
    },
}

impl SecretList {
    /// Reads `new,old,older`; blanks around commas are dropped.
    ///
    /// # Errors
    /// [`WeakSecret::Empty`] when nothing is left.
    pub fn parse(list: &str) -> Result<Self, WeakSecret> {
        let secrets: Vec<Secret> =
            list.split(',').map(str::trim).filter(|s| !s.is_empty()).map(Secret::new).collect();
        if secrets.is_empty() { Err(WeakSecret::Empty) } else { Ok(Self(secrets)) }
    }

    /// A list of one.
    #[must_use]
    pub fn single(secret: Secret) -> Self {
        Self(vec![secret])
    }

    /// Refuses entries that can be guessed.
    ///
    /// # Errors
    /// [`WeakSecret::Short`] for the first entry with fewer than [`SECRET_CHARS_MIN`] characters.
    pub fn require_strong(&self) -> Result<(), WeakSecret> {
        for (index, secret) in self.0.iter().enumerate() {
            let chars = secret.expose().chars().count();
            if chars < SECRET_CHARS_MIN {
                return Err(WeakSecret::Short { position: index + 1, chars });
            }
        }
        Ok(())
    }

    /// Every secret, the signing one first.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_order_and_never_shown() {
        let list = SecretList::parse(" new , old ,").unwrap();
        assert_eq!(list.iter().map(Secret::expose).collect::<Vec<_>>(), ["new", "old"]);
        assert!(!format!("{list:?}").contains("new"));
        assert_eq!(SecretList::parse(" , "), Err(WeakSecret::Empty));
        assert_eq!(list.require_strong(), Err(WeakSecret::Short { position: 1, chars: 3 }));
    }
}
