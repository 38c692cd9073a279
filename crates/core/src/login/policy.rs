//! How login sessions behave: the options of express-session, and ours.

use std::time::Duration;

/// On or off, named so that a call reads as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on.
    #[must_use]
    pub const fn is_set(self) -> bool {
        matches!(self, Self::On)
    }
}

impl From<bool> for Switch {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The cookie's `SameSite`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Same-site requests only.
    Strict,
    /// Same-site requests and top-level navigation.
    Lax,
    /// Every request; browsers demand `Secure`.
    None,
}

impl SameSite {
    /// As it stands in `Set-Cookie`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// The cookie's name and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookiePolicy {
    /// Its name.
    pub name: String,
    /// Which paths it is sent to.
    pub path: String,
    /// `None`: this host only.
    pub domain: Option<String>,
    /// Hidden from scripts.
    pub http_only: Switch,
    /// https only.
    pub secure: Switch,
    /// Cross-site rule.
    pub same_site: SameSite,
    /// CHIPS: browsers drop `SameSite=None` cookies in cross-site frames without it.
    pub partitioned: Switch,
}

impl CookiePolicy {
    /// The program's defaults in production, behind https: `sid`, `HttpOnly`, `Secure`, `SameSite=None`,
    /// `Partitioned`, `Path=/`, this host only.
    #[must_use]
    pub fn cross_site() -> Self {
        Self { secure: Switch::On, same_site: SameSite::None, partitioned: Switch::On, ..Self::plain_http() }
    }

    /// For development on plain http: `Lax`, not `Secure`.
    #[must_use]
    pub fn plain_http() -> Self {
        Self {
            name: "sid".to_owned(),
            path: "/".to_owned(),
            domain: None,
            http_only: Switch::On,
            secure: Switch::Off,
            same_site: SameSite::Lax,
            partitioned: Switch::Off,
        }
    }

    /// Refuses combinations that a browser would silently drop.
    ///
    /// # Errors
    /// [`CookieRule`] names the rule (RFC 6265bis, CHIPS) and the remedy.
    pub fn check(&self) -> Result<(), CookieRule> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            return Err(CookieRule::Name);
        }
        let plain = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b';');
        if !self.path.starts_with('/') || !plain(&self.path) || !self.domain.as_deref().is_none_or(plain) {
            return Err(CookieRule::PathOrDomain);
        }
        let secure = self.secure.is_set();
        let lower = self.name.to_ascii_lowercase();
        if lower.starts_with("__host-") && !(secure && self.domain.is_none() && self.path == "/") {
            return Err(CookieRule::HostPrefix);
        }
        if lower.starts_with("__secure-") && !secure {
            return Err(CookieRule::SecurePrefix);
        }
        if self.same_site == SameSite::None && !secure {
            return Err(CookieRule::NoneNeedsSecure);
        }
        if self.partitioned.is_set() && !secure {
            return Err(CookieRule::PartitionedNeedsSecure);
        }
        Ok(())
    }
}

/// A cookie that a browser would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieRule {
    /// RFC 6265 token.
    #[error("the cookie's name has to be a token: letters, digits and !#$%&'*+-.^_`|~")]
    Name,
    /// No control characters or semicolons.
    #[error("the cookie's path has to begin with `/`, and path and domain hold no `;` or control characters")]
    PathOrDomain,
    /// RFC 6265bis 4.1.3.2.
    #[error("a `__Host-` cookie has to be Secure, with Path=/ and without a Domain")]
    HostPrefix,
    /// RFC 6265bis 4.1.3.1.
    #[error("a `__Secure-` cookie has to be Secure")]
    SecurePrefix,
    /// RFC 6265bis 5.6.
    #[error("browsers drop a SameSite=None cookie that is not Secure: serve https, or use SameSite=Lax")]
    NoneNeedsSecure,
    /// CHIPS.
    #[error("browsers drop a Partitioned cookie that is not Secure: serve https, or leave Partitioned off")]
    PartitionedNeedsSecure,
}

/// What happens at the end of a request to a session that the handler emptied away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// The stored session stays.
    Keep,
    /// The stored session is destroyed.
    Destroy,
}

/// The rules for one kind of visitor: lifetimes, rolling, what is written when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginPolicy {
    /// Name and attributes of the cookie.
    pub cookie: CookiePolicy,
    /// Idle timeout, and the cookie's own lifetime; `None`: a browser-session cookie, kept [`LoginPolicy::ttl`].
    pub max_age: Option<Duration>,
    /// How long the store keeps a session whose cookie has no lifetime of its own (the peers' 86,400 s).
    pub ttl: Duration,
    /// Absolute timeout, counted from sign-in; `None`: idle timeout only.
    pub absolute: Option<Duration>,
    /// The stored expiry is pushed forward at most this often; zero: on every request, as express-session does.
    pub touch_interval: Duration,
    /// Send a fresh cookie with every answer.
    pub rolling: Switch,
    /// Write back sessions that did not change (express-session's `resave`).
    pub resave: Switch,
    /// Store and send sessions that hold nothing (express-session's `saveUninitialized`).
    pub save_uninitialized: Switch,
    /// What unsetting the session means.
    pub unset: Unset,
    /// How long an id that was regenerated away still answers requests already under way.
    pub grace: Duration,
    /// The top-level key that names the user.
    pub user_key: String,
    /// What a session may hold, in bytes of JSON.
    pub data_bytes_max: usize,
}

impl LoginPolicy {
    /// The defaults of the specification: 7 days, rolling, touched once a minute, 10 s of grace.
    #[must_use]
    pub fn new(cookie: CookiePolicy) -> Self {
        Self {
            cookie,
            max_age: Some(Duration::from_secs(7 * 86_400)),
            ttl: Duration::from_secs(86_400),
            absolute: None,
            touch_interval: Duration::from_secs(60),
            rolling: Switch::On,
            resave: Switch::Off,
            save_uninitialized: Switch::Off,
            unset: Unset::Keep,
            grace: Duration::from_secs(10),
            user_key: "userId".to_owned(),
            data_bytes_max: super::data::DATA_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_that_browsers_drop_are_refused() {
        let named = |name: &str| CookiePolicy { name: name.to_owned(), ..CookiePolicy::plain_http() };
        assert_eq!(CookiePolicy::plain_http().check(), Ok(()));
        assert_eq!(CookiePolicy::cross_site().check(), Ok(()));
        assert_eq!(named("a b").check(), Err(CookieRule::Name));
        assert_eq!(named("__Host-sid").check(), Err(CookieRule::HostPrefix));
        assert_eq!(named("__Secure-sid").check(), Err(CookieRule::SecurePrefix));
        let none = CookiePolicy { same_site: SameSite::None, ..CookiePolicy::plain_http() };
        assert_eq!(none.check(), Err(CookieRule::NoneNeedsSecure));
        let host = CookiePolicy {
            domain: Some("a.b".into()),
            name: "__Host-s".into(),
            ..CookiePolicy::cross_site()
        };
        assert_eq!(host.check(), Err(CookieRule::HostPrefix));
        let split = CookiePolicy { path: "/;x".into(), ..CookiePolicy::plain_http() };
        assert_eq!(split.check(), Err(CookieRule::PathOrDomain));
    }
}
