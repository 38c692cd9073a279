//! Whether a request came over https, as far as that can be known, and what happens to a `Secure` cookie when not.
//!
//! express-session keeps such a cookie back without a word, and people lose a day over it. We say so in the log,
//! once a minute at most, and how to mend it.

use http::{HeaderMap, HeaderName, Uri, uri::Scheme};
use sessile_core::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The warning comes at most this often.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of the way between the browser and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrustProxy {
    /// Browsers come over https, whatever it looks like from here: TLS ends somewhere before us. A `Secure` cookie
    /// is always sent, and forwarding headers are not believed.
    #[default]
    AssumeHttps,
    /// There is no proxy: the connection's own scheme counts. A `Secure` cookie is kept back on plain http.
    No,
    /// A proxy of ours is in front and sets `X-Forwarded-Proto` and `X-Forwarded-For`. Choose this only when no
    /// request can come past it.
    Yes,
}

impl TrustProxy {
    /// Whether a `Secure` cookie may be sent in answer to this request.
    pub(crate) fn is_https(self, headers: &HeaderMap, uri: &Uri) -> bool {
        let direct = || uri.scheme() == Some(&Scheme::HTTPS);
        match self {
            Self::AssumeHttps => true,
            Self::No => direct(),
            // Of several proxies the first in the list is the one the browser spoke to.
            Self::Yes => headers.get(FORWARDED_PROTO).map_or_else(direct, |value| {
                let first = value.as_bytes().split(|b| *b == b',').next().unwrap_or_default();
                first.trim_ascii().eq_ignore_ascii_case(b"https")
            }),
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::AssumeHttps | Self::No => {
                "serve https; or, behind a proxy that ends TLS, use `TrustProxy::Yes` and let it set \
                 X-Forwarded-Proto; or, in development, make the cookie not Secure"
            }
            Self::Yes => {
                "let the proxy set `X-Forwarded-Proto: https`; or, in development, make the cookie not Secure"
            }
        }
    }
}

/// Says at most once a minute that cookies are kept back.
#[derive(Debug)]
pub(crate) struct KeptBack(AtomicI64);

impl KeptBack {
    pub(crate) const fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    pub(crate) fn warn(&self, trust: TrustProxy, now: Timestamp) {
        if self.is_due(now) {
            tracing::warn!(
                remedy = trust.remedy(),
                "session_cookie_kept_back: the cookie is Secure and the request came over plain http"
            );
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let due = last == i64::MIN || now.since(Timestamp::from_unix_ms(last)) >= WARNING_INTERVAL;
        due && self.0.compare_exchange(last, now.unix_ms(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_believed_as_configured() {
        let http: Uri = "/cart".parse().unwrap();
        let h2: Uri = "https://a.example/cart".parse().unwrap();
        let forwarded =
            |proto: &str| -> HeaderMap { [(FORWARDED_PROTO, proto.parse().unwrap())].into_iter().collect() };
        let none = HeaderMap::new();
        assert!(TrustProxy::AssumeHttps.is_https(&none, &http));
        assert!(!TrustProxy::No.is_https(&forwarded("https"), &http));
        assert!(TrustProxy::No.is_https(&none, &h2));
        assert!(TrustProxy::Yes.is_https(&forwarded("HTTPS , http"), &http));
        assert!(!TrustProxy::Yes.is_https(&forwarded("http"), &h2));
        assert!(!TrustProxy::Yes.is_https(&none, &http));
    }

    #[test]
    fn the_warning_comes_once_a_minute() {
        let kept_back = KeptBack::new();
        let at = |seconds: i64| Timestamp::from_unix_ms(seconds * 1000);
        let due: Vec<bool> = [0, 1, 59, 60, 61, 125].map(|s| kept_back.is_due(at(s))).into();
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
