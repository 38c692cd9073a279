//! Whose checkout it is, and who asks.

use super::id::GuestHash;
use crate::login::UserId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who a row belongs to: a user, a guest by cookie, or a guest who has signed in since (both). A row of an older
/// application without a user belongs to nobody; only a trusted backend reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Owner {
    /// The signed-in user.
    pub user: Option<UserId>,
    /// The hash of the guest's cookie.
    pub guest: Option<GuestHash>,
}

impl Owner {
    /// A signed-in user.
    #[must_use]
    pub const fn user(user: UserId) -> Self {
        Self { user: Some(user), guest: None }
    }

    /// A browser with an anonymous cookie.
    #[must_use]
    pub const fn guest(guest: GuestHash) -> Self {
        Self { user: None, guest: Some(guest) }
    }

    /// Whether nobody can be meant.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        self.user.is_none() && self.guest.is_none()
    }

    /// Whether `self`, asking, owns what belongs to `holder`. What belongs to a user is not reached by a cookie that
    /// the user's browser had before: another person may sit there now.
    #[must_use]
    pub fn owns(&self, holder: &Self) -> bool {
        match &holder.user {
            Some(user) => self.user.as_ref() == Some(user),
            None => holder.guest.is_some() && self.guest == holder.guest,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A browser, known by its login cookie, its anonymous cookie, or both.
    Browser(Owner),
    /// A trusted backend with an API key of this name; it speaks for its users.
    Backend(String),
    /// The operator.
    Operator,
}

impl Caller {
    /// Whether the caller may see and change what belongs to `holder`.
    #[must_use]
    pub fn may_touch(&self, holder: &Owner) -> bool {
        match self {
            Self::Browser(owner) => owner.owns(holder),
            Self::Backend(_) | Self::Operator => true,
        }
    }
}

/// Who caused a change, as the audit log says it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Browser(Owner { user: Some(user), .. }) => write!(f, "user:{user}"),
            Self::Browser(_) => f.write_str("guest"),
            Self::Backend(name) => write!(f, "backend:{name}"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_does_not_reach_what_belongs_to_a_user() {
        let ada = || UserId::parse("ada").unwrap();
        let cookie = || GuestHash::parse("hash").unwrap();
        let both = Owner { user: Some(ada()), guest: Some(cookie()) };
        assert!(Owner::user(ada()).owns(&both) && !Owner::guest(cookie()).owns(&both));
        assert!(both.owns(&Owner::guest(cookie())) && both.owns(&Owner::user(ada())));
        assert!(!Owner::default().owns(&Owner::default()), "nobody owns nothing");
        assert!(Caller::Backend("shop".into()).may_touch(&Owner::default()));
    }
}
