//! Arbitrary bytes as a message of Stripe: the signature's header and the event are read whatever they hold, and nothing is
//! believed that was not signed with a secret of ours within the time that Stripe allows.
//!
//! The header and the body are separated by the first line feed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use sessile_providers::stripe::{Event, sign, verify};
use std::sync::LazyLock;

const NOW: i64 = 1_700_000_000;
/// Seconds that Stripe's own libraries allow.
const TOLERANCE: i64 = 300;

static OURS: LazyLock<Vec<SecretString>> = LazyLock::new(|| vec!["whsec_ours".into(), "whsec_older".into()]);
static OTHERS: LazyLock<Vec<SecretString>> = LazyLock::new(|| vec!["whsec_others".into()]);

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = bytes.split_at(at);
    let body = body.get(1..).unwrap_or_default();
    let header = String::from_utf8_lossy(header);
    assert!(verify(&header, body, &OTHERS, NOW).is_err(), "believed without a secret");
    let signed = sign(body, &OURS, NOW);
    assert_eq!(verify(&signed, body, &OURS, NOW), Ok(()));
    assert_eq!(verify(&signed, body, &OURS[1..], NOW), Ok(()), "an older secret still counts");
    assert!(verify(&signed, body, &OURS, NOW + TOLERANCE + 1).is_err(), "too old");
    let more = [body, b" "].concat();
    assert!(verify(&signed, &more, &OURS, NOW).is_err(), "another body");
    // What a stranger puts before or behind a good header does not matter to what was signed.
    let _ = verify(&format!("{signed},{header}"), body, &OURS, NOW);
    if let Ok(event) = Event::parse(body) {
        assert!(!event.id.is_empty() && !event.type_name.is_empty());
        let _ = (event.object(), event.checkout_session(), event.charge(), event.dispute(), event.payment_intent());
    }
});
