//! Click's signatures and times: md5 over a message's raw strings, sha1 for the Merchant API, Tashkent's clock.
//!
//! Written from Click's documents alone, apart from the code it is used to test. md5 and sha1 are what the protocol
//! prescribes; nothing else here may use them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use md5::{Digest, Md5};
use sha1::Sha1;
use std::fmt::Write;

/// Asia/Tashkent: UTC+5, no summer time.
const TASHKENT: Offset = Offset::constant(5);

/// `md5_hex` over the parts, written one after the other with nothing between them.
pub(crate) fn md5_hex(parts: &[&str]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// The Merchant API's digest: `sha1_hex(timestamp + secret)`.
pub(crate) fn api_digest(timestamp: &str, secret: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(timestamp.as_bytes());
    hash.update(secret.as_bytes());
    hex(&hash.finalize())
}

/// The wall clock in Tashkent.
pub(crate) fn tashkent(now_ms: i64) -> DateTime {
    TASHKENT.to_datetime(Timestamp::from_millisecond(now_ms).unwrap_or_default())
}

/// `YYYY-MM-DD HH:mm:ss` in Tashkent.
pub(crate) fn sign_time(now_ms: i64) -> String {
    tashkent(now_ms).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `YYYY-MM-DD` in Tashkent.
pub(crate) fn day(now_ms: i64) -> String {
    tashkent(now_ms).strftime("%Y-%m-%d").to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_the_published_ones() {
        // RFC 1321, A.5, and FIPS 180-1, both over "abc", cut anywhere.
        assert_eq!(md5_hex(&["a", "", "bc"]), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(api_digest("a", "bc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn times_are_five_hours_ahead_of_utc() {
        // 2026-12-31T19:30:05Z is already next year in Tashkent.
        assert_eq!(sign_time(1_798_745_405_000), "2027-01-01 00:30:05");
        assert_eq!(day(1_798_745_405_000 - 3_600_000), "2026-12-31");
    }
}
