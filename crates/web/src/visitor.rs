//! What a request tells about the device behind it, for the owner's device list.
//!
//! On every request the header values are only borrowed by reference count; a text is made of them when a session
//! is created or renewed. Addresses are kept coarse (/24, /48): enough to recognise, not to track.

use crate::proxy::TrustProxy;
use http::header::{HeaderMap, USER_AGENT};
use http::{Extensions, HeaderName, HeaderValue};
use sessile_core::Timestamp;
use sessile_core::login::Device;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Characters of the `User-Agent` that are kept.
pub const AGENT_CHARS_MAX: usize = 200;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// One request's facts, as they came.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    agent: Option<HeaderValue>,
    forwarded: Option<HeaderValue>,
    peer: Option<IpAddr>,
}

impl Visitor {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions, trust: TrustProxy) -> Self {
        let forwarded = match trust {
            // The last hop was written by the proxy in front of us; what stands before it, anybody may have sent.
            TrustProxy::Yes => headers.get_all(FORWARDED_FOR).iter().next_back().cloned(),
            TrustProxy::No | TrustProxy::AssumeHttps => None,
        };
        Self { agent: headers.get(USER_AGENT).cloned(), forwarded, peer: peer(extensions) }
    }

    /// The device, for a session that begins at `now`.
    pub(crate) fn device(&self, now: Timestamp) -> Device {
        let agent = self
            .agent
            .as_ref()
            .map(|agent| String::from_utf8_lossy(agent.as_bytes()).chars().take(AGENT_CHARS_MAX).collect());
        let address = self.forwarded.as_ref().and_then(last_hop).or(self.peer).map(coarse);
        Device { created_at: now.unix_ms(), agent, address }
    }
}

#[cfg(feature = "axum")]
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<axum::extract::ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip())
        .or_else(|| extensions.get::<SocketAddr>().map(SocketAddr::ip))
}

#[cfg(not(feature = "axum"))]
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<SocketAddr>().map(SocketAddr::ip)
}

fn last_hop(header: &HeaderValue) -> Option<IpAddr> {
    let hop = header.to_str().ok()?.rsplit(',').next()?.trim();
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn coarse(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(trust: TrustProxy, peer: &str, headers: &[(HeaderName, &str)]) -> Device {
        let headers = headers.iter().map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap())).collect();
        let mut extensions = Extensions::new();
        extensions.insert(peer.parse::<SocketAddr>().unwrap());
        Visitor::of(&headers, &extensions, trust).device(Timestamp::from_unix_ms(7))
    }

    #[test]
    fn addresses_are_coarse_and_a_proxy_is_believed_only_when_trusted() {
        let forwarded = [(FORWARDED_FOR, "198.51.100.9, 203.0.113.77")];
        let at = |trust| device(trust, "10.1.2.3:80", &forwarded).address.unwrap();
        assert_eq!(at(TrustProxy::No), "10.1.2.0/24");
        assert_eq!(at(TrustProxy::AssumeHttps), "10.1.2.0/24");
        assert_eq!(at(TrustProxy::Yes), "203.0.113.0/24");
        let v6 = device(TrustProxy::No, "[2001:db8:1:2::3]:80", &[]);
        assert_eq!(v6.address.unwrap(), "2001:db8:1::/48");
        let mapped = device(TrustProxy::No, "[::ffff:192.0.2.5]:80", &[]);
        assert_eq!(mapped.address.unwrap(), "192.0.2.0/24");
        let odd = device(TrustProxy::Yes, "10.1.2.3:80", &[(FORWARDED_FOR, "unknown")]);
        assert_eq!(odd.address.unwrap(), "10.1.2.0/24");
        let port = device(TrustProxy::Yes, "10.1.2.3:80", &[(FORWARDED_FOR, "[2001:db8::1]:9")]);
        assert_eq!(port.address.unwrap(), "2001:db8::/48");
    }

    #[test]
    fn a_long_agent_is_cut() {
        let long = "x".repeat(500);
        let agent = device(TrustProxy::No, "10.1.2.3:80", &[(USER_AGENT, &long)]).agent.unwrap();
        assert_eq!(agent.chars().count(), AGENT_CHARS_MAX);
    }
}
