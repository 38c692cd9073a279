//! Arbitrary bytes as `Cookie` headers: the scan and the signature check take everything and never panic, and nothing
//! passes whose signature would not be made again.
//!
//! The bytes are header lines, separated by line feeds, which no header value can hold.
#![no_main]

use http::header::{COOKIE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sessile::{COOKIES_TRIED_MAX, CookieSigner, SecretList, SignedBy, cookie_values};
use std::sync::LazyLock;

static SIGNER: LazyLock<CookieSigner> =
    LazyLock::new(|| CookieSigner::new(&SecretList::parse("keyboard cat,an older secret").unwrap()));

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|b| *b == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = lines.map(|line| (COOKIE, line)).collect();
    let mut seen = 0;
    for value in cookie_values(&headers, "sid") {
        seen += 1;
        let Ok(signed) = SIGNER.verify(value) else { continue };
        let again = SIGNER.verify(&SIGNER.sign(&signed.id)).expect("what we sign, we verify");
        assert_eq!((again.id, again.signed_by), (signed.id, SignedBy::Current));
    }
    assert!(seen <= COOKIES_TRIED_MAX);
});
