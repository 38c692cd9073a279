//! `Stripe-Signature`: `t=<unix seconds>,v1=<hex>[,v1=…]`, HMAC-SHA256 over `<t>.<raw body>` under one of our secrets.
//!
//! The body is the bytes as they came, before anybody parsed them. Other schemes (`v0`) count as absent. A signature is
//! looked at before the time, so that a stranger learns nothing about our clock; comparing takes the same time whatever
//! differs and whichever of our secrets is right.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The header's name.
pub const HEADER: &str = "stripe-signature";
/// The longest header that is read; with two secrets rotating, Stripe's own is about 200 bytes.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// How far a message's time may be from ours, in either direction.
pub const TOLERANCE_S: u64 = 300;

/// Characters of a signature.
const HEX_CHARS: usize = 64;
/// Digits of a time: enough for any that is near ours.
const TIME_DIGITS_MAX: usize = 12;

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header cannot be read.
    #[error("the Stripe-Signature header is {0}")]
    Malformed(&'static str),
    /// Nobody who has one of our secrets made it.
    #[error(
        "no signature fits; compare STRIPE_WEBHOOK_SECRET with the signing secret of this endpoint in Stripe's \
         dashboard, and see that nothing changes the body on its way"
    )]
    NoMatch,
    /// A recorded message, or a clock that is wrong.
    #[error(
        "the message is {age_s} s old and at most {TOLERANCE_S} s are accepted; compare this machine's clock with the \
         true time"
    )]
    TooOld {
        /// How old.
        age_s: u64,
    },
    /// A clock that is wrong.
    #[error(
        "the message is from {ahead_s} s ahead and at most {TOLERANCE_S} s are accepted; compare this machine's clock \
         with the true time"
    )]
    TooNew {
        /// How far ahead.
        ahead_s: u64,
    },
}

/// Whether Stripe sent these bytes, lately. `now_s`: unix seconds.
///
/// # Errors
/// [`SignatureError`]: answer 400 and change nothing.
pub fn verify(header: &str, body: &[u8], secrets: &[SecretString], now_s: i64) -> Result<(), SignatureError> {
    let (time, signatures) = parsed(header)?;
    let mut fits = Choice::from(0);
    for secret in secrets {
        let Some(ours) = signature(secret, time, body) else { continue };
        for theirs in &signatures {
            fits |= ours.as_bytes().ct_eq(theirs.as_bytes());
        }
    }
    if !bool::from(fits) {
        return Err(SignatureError::NoMatch);
    }
    let time_s: i64 = time.parse().map_err(|_| SignatureError::Malformed("without a usable time"))?;
    let apart_s = now_s.abs_diff(time_s);
    match (apart_s > TOLERANCE_S, time_s > now_s) {
        (false, _) => Ok(()),
        (true, false) => Err(SignatureError::TooOld { age_s: apart_s }),
        (true, true) => Err(SignatureError::TooNew { ahead_s: apart_s }),
    }
}

/// The header for a body: one signature for every secret, in their order. For stand-ins and tests.
#[must_use]
pub fn sign(body: &[u8], secrets: &[SecretString], time_s: i64) -> String {
    let time = time_s.to_string();
    let mut header = format!("t={time}");
    for signature in secrets.iter().filter_map(|secret| signature(secret, &time, body)) {
        header.push_str(",v1=");
        header.push_str(&signature);
    }
    header
}

/// The time as it is written, and every `v1`.
fn parsed(header: &str) -> Result<(&str, Vec<&str>), SignatureError> {
    if header.is_empty() {
        return Err(SignatureError::Malformed("empty"));
    }
    if header.len() > HEADER_BYTES_MAX {
        return Err(SignatureError::Malformed("too long"));
    }
    let (mut time, mut signatures) = (None, Vec::new());
    for item in header.split(',') {
        match item.split_once('=').ok_or(SignatureError::Malformed("not a list of name=value"))? {
            ("t", _) if time.is_some() => return Err(SignatureError::Malformed("with more than one time")),
            ("t", text) if is_time(text) => time = Some(text),
            ("t", _) => return Err(SignatureError::Malformed("without a usable time")),
            ("v1", text) => signatures.push(text),
            _ => {}
        }
    }
    let time = time.ok_or(SignatureError::Malformed("without a time"))?;
    if signatures.is_empty() {
        return Err(SignatureError::Malformed("without a v1 signature"));
    }
    Ok((time, signatures))
}

/// Digits as a number is written: what is signed is the text, so that one time has one text.
fn is_time(text: &str) -> bool {
    let digits =
        (1..=TIME_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

/// Lower-case hex.
fn signature(secret: &SecretString, time: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut hex = String::with_capacity(HEX_CHARS);
    for byte in mac.finalize().into_bytes() {
        hex.extend([byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).unwrap_or('0')));
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"id":"evt_test_1","object":"event","type":"checkout.session.completed","data":{"object":{"id":"cs_test_1","object":"checkout.session","status":"complete","payment_status":"paid"}}}"#;
    const V1: &str = "d44310e344a66f6e4a98f24621633cfd43a50ccd7b5ee91a2e66280381a10736";

    fn secrets(list: &[&str]) -> Vec<SecretString> {
        list.iter().map(|secret| SecretString::from(*secret)).collect()
    }

    fn read(header: &str) -> Result<(), SignatureError> {
        verify(header, BODY, &secrets(&["whsec_test_secret"]), NOW_S)
    }

    #[test]
    fn the_vector_holds() {
        let header = format!("t={NOW_S},v1={V1}");
        assert_eq!(read(&header), Ok(()));
        assert_eq!(sign(BODY, &secrets(&["whsec_test_secret"]), NOW_S), header);
    }

    #[test]
    fn any_v1_under_any_secret_is_good() {
        let ours = secrets(&["whsec_new", "whsec_old"]);
        for signer in ["whsec_new", "whsec_old"] {
            let right = sign(BODY, &secrets(&[signer]), NOW_S);
            let v1 = right.split_once(",v1=").unwrap().1;
            for header in [
                format!("t={NOW_S},v1={V1},v1={v1}"),
                format!("v0=abc,v1={v1},v1={V1},t={NOW_S}"),
                format!("t={NOW_S},v1=,v1=short,v1={v1}"),
            ] {
                assert_eq!(verify(&header, BODY, &ours, NOW_S), Ok(()), "{header}");
            }
        }
        let both = sign(BODY, &ours, NOW_S);
        assert_eq!(both.matches("v1=").count(), 2);
        assert_eq!(verify(&both, BODY, &secrets(&["whsec_old"]), NOW_S), Ok(()));
        assert_eq!(verify(&both, BODY, &secrets(&["whsec_other"]), NOW_S), Err(SignatureError::NoMatch));
        assert_eq!(verify(&both, BODY, &[], NOW_S), Err(SignatureError::NoMatch));
    }

    #[test]
    fn three_hundred_seconds_are_good_and_one_more_is_not() {
        let header = format!("t={NOW_S},v1={V1}");
        let at = |now_s| verify(&header, BODY, &secrets(&["whsec_test_secret"]), now_s);
        assert_eq!((at(NOW_S + 300), at(NOW_S - 300)), (Ok(()), Ok(())));
        assert_eq!(at(NOW_S + 301), Err(SignatureError::TooOld { age_s: 301 }));
        assert_eq!(at(NOW_S - 301), Err(SignatureError::TooNew { ahead_s: 301 }));
        assert!(matches!(at(i64::MIN), Err(SignatureError::TooNew { .. })));
        assert!(matches!(at(i64::MAX), Err(SignatureError::TooOld { .. })));
    }

    #[test]
    fn every_byte_of_the_body_and_every_digit_counts() {
        let header = format!("t={NOW_S},v1={V1}");
        for at in 0..BODY.len() {
            let mut changed = BODY.to_vec();
            changed[at] ^= 1;
            let answer = verify(&header, &changed, &secrets(&["whsec_test_secret"]), NOW_S);
            assert_eq!(answer, Err(SignatureError::NoMatch), "byte {at}");
        }
        for at in 0..V1.len() {
            let digit = if &V1[at..=at] == "0" { "1" } else { "0" };
            let wrong = format!("{}{digit}{}", &V1[..at], &V1[at + 1..]);
            assert_eq!(read(&format!("t={NOW_S},v1={wrong}")), Err(SignatureError::NoMatch), "digit {at}");
        }
        assert_eq!(read(&format!("t={},v1={V1}", NOW_S + 1)), Err(SignatureError::NoMatch));
    }

    #[test]
    fn only_lower_case_v1_counts() {
        assert_eq!(read(&format!("t={NOW_S},v1={}", V1.to_uppercase())), Err(SignatureError::NoMatch));
        assert_eq!(read(&format!("t={NOW_S},v1= {V1}")), Err(SignatureError::NoMatch));
        for name in ["v0", "v2", "V1", " v1"] {
            let answer = read(&format!("t={NOW_S},{name}={V1}"));
            assert_eq!(answer, Err(SignatureError::Malformed("without a v1 signature")), "{name}");
        }
    }

    #[test]
    fn a_header_that_could_be_read_in_two_ways_is_refused() {
        for (header, why) in [
            (String::new(), "empty"),
            (format!("t={NOW_S},v1={V1},t={NOW_S}"), "with more than one time"),
            (format!("v1={V1}"), "without a time"),
            (format!("t=,v1={V1}"), "without a usable time"),
            (format!("t=+{NOW_S},v1={V1}"), "without a usable time"),
            (format!("t=0{NOW_S},v1={V1}"), "without a usable time"),
            (format!("t=-1,v1={V1}"), "without a usable time"),
            (format!("t=9999999999999,v1={V1}"), "without a usable time"),
            (format!("t={NOW_S},v1={V1},"), "not a list of name=value"),
            (format!("t={NOW_S}"), "without a v1 signature"),
            (format!("t={NOW_S},v1={V1},v0={}", "x".repeat(HEADER_BYTES_MAX)), "too long"),
        ] {
            assert_eq!(read(&header), Err(SignatureError::Malformed(why)), "{header:.80}");
        }
    }
}
