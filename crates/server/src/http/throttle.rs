//! How often something may be tried that could be guessed - coupon codes, the operator's token: each address and each
//! buyer has a bucket of tries that refills steadily.
//!
//! Kept in this process alone: with N processes a guesser has N times the tries, which is still few. The map is
//! bounded; when it is full, those who were quiet longest are forgotten first. Trusted backends are not held up: they
//! speak for many buyers from one address.

use crate::limits::{
    COUPON_TRIES_BURST, COUPON_TRY_EVERY, OPERATOR_TRIES_BURST, OPERATOR_TRY_EVERY, THROTTLED_MAX,
};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use sessile::{Timestamp, TrustProxy, UserId};
use sessile_core::checkout::{Caller, GuestHash, Owner};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How many tries a bucket holds, and how long one takes to come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) burst: u32,
    pub(crate) every: Duration,
}

/// Coupon codes.
pub(crate) const COUPON_TRIES: Pace = Pace { burst: COUPON_TRIES_BURST, every: COUPON_TRY_EVERY };
/// The operator's token.
pub(crate) const OPERATOR_TRIES: Pace = Pace { burst: OPERATOR_TRIES_BURST, every: OPERATOR_TRY_EVERY };

/// The buckets.
#[derive(Debug)]
pub(crate) struct Throttle {
    pace: Pace,
    buckets: Mutex<Generations>,
}

/// Two halves of the map: what was used lately, and what was used before that.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Timestamp>,
    old: HashMap<Key, Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    User(UserId),
    Guest(GuestHash),
}

/// Too many tries; the next one is welcome after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

impl TooMany {
    /// For `Retry-After`.
    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs() + 1
    }
}

impl Throttle {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, buckets: Mutex::default() }
    }

    /// Takes one try from every bucket of whoever asks, or none of them.
    pub(crate) fn take(&self, from: Origin, caller: &Caller, now: Timestamp) -> Result<(), TooMany> {
        let Caller::Browser(Owner { user, guest }) = caller else { return Ok(()) };
        let keys: Vec<Key> = from
            .0
            .map(Key::Address)
            .into_iter()
            .chain(user.clone().map(Key::User))
            .chain(guest.clone().map(Key::Guest))
            .collect();
        let Pace { burst, every } = self.pace;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let slack = every * (burst - 1);
        // A bucket is the moment at which it will be full again.
        let full_at: Vec<Timestamp> = keys.iter().map(|key| buckets.full_at(key).max(now)).collect();
        let wait = full_at.iter().map(|full| full.since(now)).max().unwrap_or_default();
        if wait > slack {
            return Err(TooMany(wait.saturating_sub(slack)));
        }
        for (key, full) in keys.into_iter().zip(full_at) {
            buckets.put(key, full.plus(every));
        }
        Ok(())
    }
}

impl Generations {
    fn full_at(&self, key: &Key) -> Timestamp {
        self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or(Timestamp::EPOCH)
    }

    fn put(&mut self, key: Key, full_at: Timestamp) {
        if self.young.len() >= THROTTLED_MAX / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, full_at);
    }
}

/// Which network a request came from: the connection's, or what our own proxy wrote last. Of IPv6 the /64 counts, which
/// is what one household has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(Option<IpAddr>);

impl FromRequestParts<crate::app::App> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &crate::app::App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let forwarded = match app.trust_proxy {
            TrustProxy::Yes => last_hop(&parts.headers),
            TrustProxy::No | TrustProxy::AssumeHttps => None,
        };
        Ok(Self(forwarded.or(peer).map(network)))
    }
}

/// What stands before the last hop, anybody may have sent.
fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all(FORWARDED_FOR).iter().next_back()?;
    let hop = line.to_str().ok()?.rsplit(',').next()?.trim();
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Origin {
        Origin(Some(network(text.parse().unwrap())))
    }

    fn guest() -> Caller {
        Caller::Browser(Owner::default())
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let (throttle, now) = (Throttle::new(COUPON_TRIES), Timestamp::from_unix_ms(1_000_000));
        for _ in 0..COUPON_TRIES_BURST {
            throttle.take(at("192.0.2.1"), &guest(), now).unwrap();
        }
        assert_eq!(throttle.take(at("192.0.2.1"), &guest(), now), Err(TooMany(COUPON_TRY_EVERY)));
        assert_eq!(throttle.take(at("192.0.2.2"), &guest(), now), Ok(()));
        assert_eq!(throttle.take(at("192.0.2.1"), &guest(), now.plus(COUPON_TRY_EVERY)), Ok(()));
        assert_eq!(throttle.take(at("192.0.2.1"), &Caller::Backend("shop".into()), now), Ok(()));
    }

    #[test]
    fn a_buyer_cannot_walk_from_address_to_address() {
        let (throttle, now) = (Throttle::new(COUPON_TRIES), Timestamp::from_unix_ms(1_000_000));
        let ada = Caller::Browser(Owner::user(UserId::parse("ada").unwrap()));
        let answers: Vec<bool> = (0..=COUPON_TRIES_BURST)
            .map(|n| throttle.take(at(&format!("2001:db8:0:{n:x}::1")), &ada, now).is_ok())
            .collect();
        assert_eq!(answers.iter().filter(|ok| **ok).count(), COUPON_TRIES_BURST as usize);
        let same = [at("2001:db8::1"), at("2001:db8::2")].map(|origin| origin.0);
        assert_eq!(same[0], same[1], "one household");
    }

    #[test]
    fn the_map_is_bounded() {
        let (throttle, now) = (Throttle::new(COUPON_TRIES), Timestamp::from_unix_ms(1_000_000));
        for n in 0..u32::try_from(THROTTLED_MAX).unwrap() * 3 {
            let address = IpAddr::from(std::net::Ipv4Addr::from(n));
            throttle.take(Origin(Some(address)), &guest(), now).unwrap();
        }
        let buckets = throttle.buckets.lock().unwrap();
        assert!(buckets.young.len() + buckets.old.len() <= THROTTLED_MAX);
    }
}
