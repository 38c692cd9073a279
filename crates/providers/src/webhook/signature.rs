//! The signature: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for every secret while they rotate.
//!
//! Compared in constant time; a message from another time is refused, so that a recorded one cannot be sent again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Names the event; the same over every attempt.
pub const HEADER_ID: &str = "webhook-id";
/// When this attempt was made, in unix seconds.
pub const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// The signatures, separated by blanks.
pub const HEADER_SIGNATURE: &str = "webhook-signature";
/// How far a message's time may be from the receiver's.
pub const TOLERANCE_S: i64 = 5 * 60;

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
/// Bytes of a secret, as the specification recommends.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Signatures of one message that are looked at.
const SIGNATURES_MAX: usize = 16;

/// What signs and verifies: the newest secret first.
#[derive(Clone)]
pub struct Secrets(Vec<Zeroizing<Vec<u8>>>);

/// A secret that cannot be used. The sentence does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// There is none.
    #[error("no secret is set; make one with `echo whsec_$(openssl rand -base64 32)`")]
    Missing,
    /// It is not base64.
    #[error(
        "secret number {position} is not `whsec_` and base64; make one with `echo whsec_$(openssl rand -base64 32)`"
    )]
    Malformed {
        /// Position in the list, from 1.
        position: usize,
    },
    /// It can be guessed, or is longer than others accept.
    #[error(
        "secret number {position} has {bytes} bytes, and 24 to 64 are needed; make one with \
         `echo whsec_$(openssl rand -base64 32)`"
    )]
    Length {
        /// Position in the list, from 1.
        position: usize,
        /// How many it has.
        bytes: usize,
    },
}

/// Why a message was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing or is not what it should be.
    #[error("the message has no usable {0} header")]
    Header(&'static str),
    /// It is from another time.
    #[error("the message is older or newer than five minutes")]
    Time,
    /// Nobody who has the secret made it.
    #[error("the signature does not fit")]
    Signature,
}

impl Secrets {
    /// Reads `whsec_…` secrets, the newest first.
    ///
    /// # Errors
    /// [`BadSecret`] says which one and how to make another.
    pub fn parse<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, BadSecret> {
        let mut read = Vec::new();
        for (at, text) in secrets.into_iter().enumerate() {
            let position = at + 1;
            let encoded = text.trim();
            let encoded = encoded.strip_prefix(PREFIX).unwrap_or(encoded);
            let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret::Malformed { position })?;
            if !SECRET_BYTES.contains(&bytes.len()) {
                return Err(BadSecret::Length { position, bytes: bytes.len() });
            }
            read.push(Zeroizing::new(bytes));
        }
        if read.is_empty() { Err(BadSecret::Missing) } else { Ok(Self(read)) }
    }

    /// The signature header's value: one signature for every secret, the newest first.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().filter_map(|secret| {
            let digest = digest(secret, id, timestamp_s, body)?.finalize().into_bytes();
            Some(format!("{VERSION}{}", STANDARD.encode(digest)))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// Whether a message was made by somebody who has one of the secrets, within [`TOLERANCE_S`] of `now_s`. The
    /// arguments are the three headers as they came, and the body's bytes before anybody parsed them.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        now_s: i64,
    ) -> Result<(), Refused> {
        if id.is_empty() {
            return Err(Refused::Header(HEADER_ID));
        }
        let timestamp_s: i64 = timestamp.parse().map_err(|_| Refused::Header(HEADER_TIMESTAMP))?;
        if timestamp_s.to_string() != timestamp {
            return Err(Refused::Header(HEADER_TIMESTAMP));
        }
        if now_s.abs_diff(timestamp_s) > TOLERANCE_S.unsigned_abs() {
            return Err(Refused::Time);
        }
        let ours = signature.split(' ').filter_map(|one| one.strip_prefix(VERSION));
        for given in ours.take(SIGNATURES_MAX).filter_map(|text| STANDARD.decode(text).ok()) {
            let fits = |secret: &Zeroizing<Vec<u8>>| {
                digest(secret, id, timestamp_s, body).is_some_and(|mac| mac.verify_slice(&given).is_ok())
            };
            if self.0.iter().any(fits) {
                return Ok(());
            }
        }
        Err(Refused::Signature)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} secrets]", self.0.len())
    }
}

/// HMAC takes keys of every length, so this is never `None`.
fn digest(secret: &[u8], id: &str, timestamp_s: i64, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(id.as_bytes());
    mac.update(format!(".{timestamp_s}.").as_bytes());
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secrets(list: &[&str]) -> Secrets {
        Secrets::parse(list.iter().copied()).unwrap()
    }

    #[test]
    fn the_published_vector_is_made_and_believed() {
        for secret in [SECRET, &SECRET[PREFIX.len()..]] {
            let secrets = secrets(&[secret]);
            assert_eq!(secrets.sign(ID, AT, BODY), SIGNATURE);
            assert_eq!(secrets.verify(ID, "1614265330", SIGNATURE, BODY, AT), Ok(()));
        }
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let secrets = secrets(&[SECRET]);
        let at = AT.to_string();
        let refused = Err(Refused::Signature);
        assert_eq!(secrets.verify("msg_x", &at, SIGNATURE, BODY, AT), refused);
        assert_eq!(secrets.verify(ID, "1614265331", SIGNATURE, BODY, AT), refused);
        assert_eq!(secrets.verify(ID, &at, SIGNATURE, br#"{"test": 2432232315}"#, AT), refused);
        for signature in ["", "v1,", "v1,AAAA", &SIGNATURE.replace("v1", "v2"), &SIGNATURE[3..]] {
            assert_eq!(secrets.verify(ID, &at, signature, BODY, AT), refused, "{signature}");
        }
        assert_eq!(self::secrets(&[OTHER]).verify(ID, &at, SIGNATURE, BODY, AT), refused);
    }

    #[test]
    fn messages_of_another_time_are_refused() {
        let secrets = secrets(&[SECRET]);
        for (now_s, expected) in [
            (AT + TOLERANCE_S, Ok(())),
            (AT - TOLERANCE_S, Ok(())),
            (AT + TOLERANCE_S + 1, Err(Refused::Time)),
            (AT - TOLERANCE_S - 1, Err(Refused::Time)),
        ] {
            assert_eq!(secrets.verify(ID, &AT.to_string(), SIGNATURE, BODY, now_s), expected);
        }
        for timestamp in ["", "soon", "+1614265330", "01614265330", "1614265330.0"] {
            let refused = Err(Refused::Header(HEADER_TIMESTAMP));
            assert_eq!(secrets.verify(ID, timestamp, SIGNATURE, BODY, AT), refused, "{timestamp}");
        }
        assert_eq!(secrets.verify("", "1614265330", SIGNATURE, BODY, AT), Err(Refused::Header(HEADER_ID)));
    }

    #[test]
    fn while_secrets_rotate_either_side_may_have_the_old_one() {
        let both = secrets(&[OTHER, SECRET]);
        let signed = both.sign(ID, AT, BODY);
        assert_eq!(signed.split(' ').count(), 2);
        assert!(signed.ends_with(SIGNATURE));
        for receiver in [secrets(&[SECRET]), secrets(&[OTHER]), both.clone()] {
            assert_eq!(receiver.verify(ID, &AT.to_string(), &signed, BODY, AT), Ok(()));
        }
        assert_eq!(both.verify(ID, &AT.to_string(), &format!("v1a,xyz {SIGNATURE}"), BODY, AT), Ok(()));
        assert_eq!(format!("{both:?}"), "[2 secrets]");
    }

    #[test]
    fn secrets_are_checked_and_never_repeated() {
        let parse = |list: &[&str]| Secrets::parse(list.iter().copied()).unwrap_err();
        assert_eq!(parse(&[]), BadSecret::Missing);
        assert_eq!(parse(&[SECRET, "whsec_hush!"]), BadSecret::Malformed { position: 2 });
        assert_eq!(parse(&["whsec_aHVzaA=="]), BadSecret::Length { position: 1, bytes: 4 });
        assert!(!parse(&["whsec_hush!"]).to_string().contains("hush"));
    }
}
