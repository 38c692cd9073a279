//! The one rule about who may be called: plain HTTP on this machine, nothing else.
//!
//! Demo money and demo jobs are for demo applications; a stand-in that is given any other address refuses it.

use std::net::IpAddr;
use url::{Host, Url};

/// Whether `url` is plain HTTP on loopback.
pub(crate) fn is_http_on_loopback(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return false;
    };
    let local = match parsed.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    };
    parsed.scheme() == "http" && local
}

#[cfg(test)]
mod tests {
    use super::is_http_on_loopback;

    #[test]
    fn nothing_but_plain_http_on_this_machine() {
        for url in ["http://127.0.0.1:1/x", "http://localhost/", "http://[::1]:80/", "http://127.9.9.9/"] {
            assert!(is_http_on_loopback(url), "{url}");
        }
        for url in ["https://127.0.0.1/", "http://10.0.0.1/", "http://localhost.example/", "/x", "", "http:"]
        {
            assert!(!is_http_on_loopback(url), "{url}");
        }
    }
}
