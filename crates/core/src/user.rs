//! Who our users are: what is known of a person after sign-in, and the contract of the directory that keeps it.
//!
//! Called by the server when somebody signs in and when a page shows who that is. A user's id is derived from the
//! provider and its subject, so that two machines, or one machine without its database, give one person one id.
//! Nobody is ever matched by an email address: providers do not always verify them.

use crate::login::UserId;
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use sha2::{Digest, Sha256};

/// The tier of somebody who has bought nothing.
pub const TIER_FREE: &str = "free";
/// Bytes of a provider's name or subject, or of an email address, that are accepted.
pub const FIELD_BYTES_MAX: usize = 320;

/// A person at a provider: its name (`whop`, `oidc`) and its stable subject there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProviderId {
    provider: String,
    subject: String,
}

impl ProviderId {
    /// `None` when either half is empty, too long or holds a NUL, which no engine can keep.
    #[must_use]
    pub fn new(provider: impl Into<String>, subject: impl Into<String>) -> Option<Self> {
        let (provider, subject) = (provider.into(), subject.into());
        (is_storable(&provider) && is_storable(&subject)).then_some(Self { provider, subject })
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The person's stable id there.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The user id of somebody whom no directory knows yet: a UUID (RFC 9562, version 8) made of a hash.
    #[must_use]
    pub fn derived_user(&self) -> UserUuid {
        let digest = Sha256::new()
            .chain_update(b"sessile user\0")
            .chain_update(self.provider.as_bytes())
            .chain_update(b"\0")
            .chain_update(self.subject.as_bytes())
            .finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        UserUuid::of_bytes(bytes)
    }
}

fn is_storable(text: &str) -> bool {
    !text.is_empty() && text.len() <= FIELD_BYTES_MAX && !text.contains('\0')
}

/// A user's id in its canonical form: 36 characters, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserUuid(String);

impl UserUuid {
    fn of_bytes(bytes: [u8; 16]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
    }

    /// Reads the canonical form, upper case too; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        shaped.then(|| Self(text.to_ascii_lowercase()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the session's user key holds it.
    #[must_use]
    pub fn of_user(user: &UserId) -> Option<Self> {
        Self::parse(user.as_str())
    }
}

impl std::fmt::Display for UserUuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Ours, stable.
    pub id: UserUuid,
    /// The provider's word at the last sign-in that gave one.
    pub email: Option<String>,
    /// What they have bought; [`TIER_FREE`] at first.
    pub tier: String,
    /// When they signed in first.
    pub created_at: Timestamp,
}

/// Somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Who, at which provider.
    pub who: ProviderId,
    /// The provider's word; `None` leaves what is known.
    pub email: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Arrival {
    /// An address that cannot be kept is dropped, not refused: nobody is locked out by it.
    #[must_use]
    pub fn new(who: ProviderId, email: Option<String>, at: Timestamp) -> Self {
        Self { who, email: email.filter(|email| is_storable(email)), at }
    }

    /// What a directory that knows nobody yet would record.
    #[must_use]
    pub fn as_new_user(&self) -> User {
        User {
            id: self.who.derived_user(),
            email: self.email.clone(),
            tier: TIER_FREE.to_owned(),
            created_at: self.at,
        }
    }
}

/// Durable home of users.
///
/// 1. `sign_in` is one step: any number of them at once for one person give one user, and one id for ever.
/// 2. Repeating is safe. A known user keeps id, tier and `created_at`; a given email replaces the known one.
/// 3. `find` answers `None` only when there is no such user; an engine that does not answer is
///    [`StoreError::Unavailable`].
#[async_trait]
pub trait UserDirectory: Send + Sync + 'static {
    /// Records an arrival and says who it is.
    async fn sign_in(&self, arrival: &Arrival) -> Result<User, StoreError>;
    /// Who has this id.
    async fn find(&self, id: &UserUuid) -> Result<Option<User>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_id_and_it_is_a_uuid() {
        let ada = ProviderId::new("whop", "user_1").unwrap();
        let id = ada.derived_user();
        assert_eq!(id, ProviderId::new("whop", "user_1").unwrap().derived_user());
        assert_ne!(id, ProviderId::new("oidc", "user_1").unwrap().derived_user());
        assert_eq!(id.as_str().len(), 36);
        assert_eq!((id.as_str().as_bytes()[14], UserUuid::parse(id.as_str())), (b'8', Some(id.clone())));
        assert_eq!(UserUuid::parse(&id.as_str().to_uppercase()), Some(id));
    }

    #[test]
    fn what_no_engine_can_keep_is_refused() {
        assert!(ProviderId::new("", "x").is_none() && ProviderId::new("whop", "a\0b").is_none());
        assert!(ProviderId::new("whop", "x".repeat(FIELD_BYTES_MAX + 1)).is_none());
        let who = ProviderId::new("whop", "x").unwrap();
        assert_eq!(Arrival::new(who, Some("a\0@b".into()), Timestamp::EPOCH).email, None);
        for bad in
            ["", "x", "0000000000000000000000000000000000000000", "g0000000-0000-8000-8000-000000000000"]
        {
            assert_eq!(UserUuid::parse(bad), None, "{bad}");
        }
    }
}
