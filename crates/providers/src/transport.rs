//! HTTP to providers: one way to build a client, to bound an answer and to name what went wrong.
//!
//! Sign-in, CLICK, Stripe and SuperDuperAI send through here. What is sent twice is each client's own decision, so a
//! client built here repeats nothing and follows no redirect: either would carry a secret somewhere it was not meant for.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use reqwest::Response;
use std::time::Duration;
use url::{Host, Url};

use crate::tls;

/// The longest `Retry-After` we pass on.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Characters of a provider's own words that we keep.
const WORDS_CHARS_MAX: usize = 200;
/// Characters of an id that we put into a path.
const ID_CHARS_MAX: usize = 255;

/// How long to wait for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until one request is answered in full.
    pub request: Duration,
}

/// Why an HTTP conversation gave nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// No answer in time. What the provider did with the request is unknown.
    #[error("no answer in time")]
    Timeout,
    /// No connection: nothing was sent.
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    /// The connection broke. What the provider did with the request is unknown.
    #[error("the connection broke before the answer was complete")]
    Interrupted(#[source] reqwest::Error),
    /// 429.
    #[error("too many requests")]
    RateLimited {
        /// From `Retry-After`, or our default.
        retry_after: Duration,
    },
    /// 5xx.
    #[error("the provider answered {status}")]
    Server {
        /// The status.
        status: u16,
    },
    /// A body above the limit.
    #[error("the answer is larger than we accept")]
    TooLarge,
    /// We could not build the request.
    #[error("the request could not be built")]
    Request,
    /// It failed moments ago and is not asked again yet.
    #[error("the provider failed moments ago")]
    Pausing,
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// What is wrong with the address of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAddress {
    /// Not a URL, or one with a password, or, where it is a base, with a query or a fragment.
    Invalid,
    /// Secrets would travel in the clear.
    Insecure,
}

/// Reachability of an endpoint, which decides about proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Loopback,
    Network,
}

impl Reach {
    pub(crate) fn of(url: &Url) -> Self {
        if is_loopback(url) { Self::Loopback } else { Self::Network }
    }
}

/// The start of every client.
pub(crate) fn builder(timeouts: Timeouts, reach: Reach) -> Result<reqwest::ClientBuilder, ClientError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config().map_err(ClientError::Tls)?)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.request)
        .user_agent(concat!("sessile/", env!("CARGO_PKG_VERSION")));
    Ok(match reach {
        Reach::Loopback => builder.no_proxy(),
        Reach::Network => builder,
    })
}

/// A client as it is meant for most.
pub(crate) fn client(timeouts: Timeouts, reach: Reach) -> Result<reqwest::Client, ClientError> {
    builder(timeouts, reach)?.build().map_err(ClientError::Http)
}

/// The base of an API: https, or http that stays on this machine. It ends with a slash.
pub(crate) fn base_url(value: &str) -> Result<Url, BadAddress> {
    let mut url = Url::parse(value).map_err(|_| BadAddress::Invalid)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadAddress::Invalid);
    }
    private(&url)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Refuses an address on the way to which others could read along, and one with a password in it.
pub(crate) fn private(url: &Url) -> Result<(), BadAddress> {
    let bare = url.username().is_empty() && url.password().is_none() && url.has_host();
    match url.scheme() {
        _ if !bare => Err(BadAddress::Invalid),
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err(BadAddress::Insecure),
        _ => Err(BadAddress::Invalid),
    }
}

/// Whether the URL stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether an id may stand in a path: nothing in it can lead anywhere else.
pub(crate) fn is_plain_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain)
}

/// A connection that took too long counts as none: nothing was sent on it.
pub(crate) fn failure(error: reqwest::Error) -> HttpFailure {
    let error = error.without_url();
    if error.is_connect() {
        HttpFailure::Connect(error)
    } else if error.is_timeout() {
        HttpFailure::Timeout
    } else if error.is_builder() {
        HttpFailure::Request
    } else {
        HttpFailure::Interrupted(error)
    }
}

/// Reads an answer up to a limit.
pub(crate) async fn whole_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, HttpFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(HttpFailure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// `Retry-After` in seconds, within bounds; a date or anything else counts as absent.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// A provider's words, fit for one log line.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_base_is_https_or_this_machine_and_ends_with_a_slash() {
        for (given, taken) in [
            ("https://api.example", "https://api.example/"),
            ("https://api.example/v1", "https://api.example/v1/"),
            ("http://127.0.0.1:4000/x/", "http://127.0.0.1:4000/x/"),
            ("http://localhost:1", "http://localhost:1/"),
            ("http://[::1]:1", "http://[::1]:1/"),
        ] {
            assert_eq!(base_url(given).unwrap().as_str(), taken);
        }
        for bad in ["http://api.example", "http://127.0.0.1.example/", "http://10.0.0.1/"] {
            assert_eq!(base_url(bad), Err(BadAddress::Insecure), "{bad}");
        }
        for bad in
            ["", "api.example", "file:///etc/passwd", "https://u:p@api.example", "https://a.example/?k=1"]
        {
            assert_eq!(base_url(bad), Err(BadAddress::Invalid), "{bad}");
        }
    }

    #[test]
    fn an_id_in_a_path_leads_nowhere_else() {
        for good in ["cs_test_a1B2", "998d1ea1-9198-450b-a869-5d23185a0a6a", &"x".repeat(255)] {
            assert!(is_plain_id(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "é", "a\n", &"x".repeat(256)] {
            assert!(!is_plain_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_within_bounds() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)])).map(|wait| wait.as_secs())
        };
        assert_eq!((read("7"), read("999999"), read("soon")), (Some(7), Some(3600), None));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
