//! Writing `Set-Cookie`, in the attribute order of npm's `cookie` (which express-session uses): Domain, Path,
//! Expires, HttpOnly, Secure, Partitioned, SameSite.
//!
//! What never changes is prepared once; a cookie is one allocation of exactly its size. The values are marked
//! sensitive, so that no header dump shows them.

use http::HeaderValue;
use http::header::InvalidHeaderValue;
use sessile_core::Timestamp;
use sessile_core::login::CookiePolicy;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

const EXPIRES: &str = "; Expires=";
/// `Thu, 01 Jan 1970 00:00:00 GMT`.
const DATE_CHARS: usize = 29;

/// The cookie's fixed parts.
#[derive(Debug)]
pub(crate) struct SetCookie {
    head: String,
    middle: String,
    tail: String,
}

impl SetCookie {
    pub(crate) fn new(policy: &CookiePolicy) -> Self {
        let mut middle = String::new();
        if let Some(domain) = &policy.domain {
            middle.push_str("; Domain=");
            middle.push_str(domain);
        }
        middle.push_str("; Path=");
        middle.push_str(&policy.path);
        let mut tail = String::new();
        if policy.http_only.is_set() {
            tail.push_str("; HttpOnly");
        }
        if policy.secure.is_set() {
            tail.push_str("; Secure");
        }
        if policy.partitioned.is_set() {
            tail.push_str("; Partitioned");
        }
        tail.push_str("; SameSite=");
        tail.push_str(policy.same_site.as_str());
        Self { head: format!("{}=", policy.name), middle, tail }
    }

    /// A cookie with this value, until `expires` (`None`: until the browser closes).
    pub(crate) fn value(
        &self,
        value: &str,
        expires: Option<Timestamp>,
    ) -> Result<HeaderValue, InvalidHeaderValue> {
        let fixed = self.head.len() + self.middle.len() + self.tail.len();
        let date = expires.map_or(0, |_| EXPIRES.len() + DATE_CHARS);
        let mut line = String::with_capacity(fixed + value.len() + date);
        line.push_str(&self.head);
        line.push_str(value);
        line.push_str(&self.middle);
        if let Some(at) = expires {
            line.push_str(EXPIRES);
            let seconds = u64::try_from(at.unix_seconds()).unwrap_or(0);
            let date = httpdate::HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            // A String takes every write.
            let _ = write!(line, "{date}");
        }
        line.push_str(&self.tail);
        let mut header = HeaderValue::try_from(line)?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// The cookie that makes the browser forget ours.
    pub(crate) fn cleared(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.value("", Some(Timestamp::EPOCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(policy: &CookiePolicy, value: &str, at: Option<i64>) -> String {
        let header = SetCookie::new(policy).value(value, at.map(Timestamp::from_unix_ms)).unwrap();
        assert!(header.is_sensitive());
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn attributes_stand_where_express_puts_them() {
        assert_eq!(
            line(&CookiePolicy::cross_site(), "s%3Aa.b", Some(1_700_000_000_999)),
            "sid=s%3Aa.b; Path=/; Expires=Tue, 14 Nov 2023 22:13:20 GMT; HttpOnly; Secure; Partitioned; SameSite=None"
        );
        let domain = CookiePolicy {
            domain: Some("example.com".into()),
            path: "/app".into(),
            http_only: false.into(),
            ..CookiePolicy::plain_http()
        };
        assert_eq!(line(&domain, "v", None), "sid=v; Domain=example.com; Path=/app; SameSite=Lax");
    }

    #[test]
    fn clearing_names_the_same_cookie() {
        let cleared = SetCookie::new(&CookiePolicy::plain_http()).cleared().unwrap();
        assert_eq!(cleared, "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn the_last_and_the_first_moment_have_a_date() {
        let policy = CookiePolicy::plain_http();
        assert!(line(&policy, "", Some(Timestamp::FAR.unix_ms())).contains("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert!(line(&policy, "", Some(-5)).contains("Thu, 01 Jan 1970 00:00:00 GMT"));
    }
}
