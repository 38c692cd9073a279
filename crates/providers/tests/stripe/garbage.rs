//! Whatever is posted, the answer is an answer: no panic, and nothing believed that nobody signed.

use proptest::collection::vec;
use proptest::prelude::*;
use secrecy::SecretString;
use sessile_providers::stripe::{Event, SignatureError, sign, verify};

const NOW_S: i64 = 1_700_000_000;
const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"checkout.session.completed","created":1700000000,"livemode":true,"data":{"object":{"id":"cs_1","object":"checkout.session","payment_status":"paid","metadata":{"video_count":"3"}}}}"#;

fn secrets() -> Vec<SecretString> {
    vec!["whsec_new".into(), "whsec_old".into()]
}

/// Parts of headers, near the real thing and far from it.
fn header() -> impl Strategy<Value = String> {
    let item = prop_oneof![
        "t=[0-9]{0,14}",
        Just(format!("t={NOW_S}")),
        "t=[-+0-9a-z. ]{0,12}",
        "v[0-9]=[0-9a-f]{64}",
        "v1=[0-9a-fA-F]{0,80}",
        "[a-z0-9]{0,3}=?[ -~]{0,12}",
        any::<String>(),
    ];
    prop_oneof![
        vec(item, 0..8).prop_map(|items| items.join(",")),
        any::<String>(),
        "[tv01=,]{0,40}",
        (0..6_usize).prop_map(|size| "v1=a,".repeat(1 << (2 * size))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_is_trouble_and_none_is_believed(header in header(), now_s in prop_oneof![Just(NOW_S), any::<i64>()]) {
        prop_assert!(verify(&header, BODY, &secrets(), now_s).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_we_sign_is_believed_until_anything_changes(
        body in vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), byte in any::<u8>(), off_s in -600_i64..600,
    ) {
        let header = sign(&body, &secrets()[1..], NOW_S);
        prop_assert_eq!(verify(&header, &body, &secrets(), NOW_S + off_s).is_ok(), off_s.abs() <= 300);
        let mut longer = body.clone();
        longer.push(byte);
        prop_assert_eq!(verify(&header, &longer, &secrets(), NOW_S), Err(SignatureError::NoMatch));
        let mut changed = header.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = byte;
        let changed = String::from_utf8_lossy(&changed).into_owned();
        prop_assert_eq!(verify(&changed, &body, &secrets(), NOW_S).is_ok(), changed == header);
    }

    #[test]
    fn bytes_are_no_event(body in vec(any::<u8>(), 0..600)) {
        prop_assert!(Event::parse(&body).is_err());
    }

    /// One byte of a genuine event changed: an error, or an event that can be looked at from every side.
    #[test]
    fn one_byte_changed(at in 0..BODY.len(), byte in any::<u8>()) {
        let mut body = BODY.to_vec();
        body[at] = byte;
        if let Ok(event) = Event::parse(&body) {
            let _ = (event.checkout_session(), event.charge(), event.dispute(), event.payment_intent());
        }
    }

    #[test]
    fn an_event_cut_short_is_no_event(length in 0..BODY.len()) {
        prop_assert!(Event::parse(&BODY[..length]).is_err());
    }
}
