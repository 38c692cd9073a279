//! Whatever is posted, the answer is an answer: no panic, and nothing accepted that CLICK did not sign.

use crate::signed::{FORM, Sent, received};
use proptest::collection::vec;
use proptest::prelude::*;
use sessile_providers::click::{Answer, Refusal};

const NAMES: [&str; 11] = [
    "click_trans_id",
    "service_id",
    "click_paydoc_id",
    "merchant_trans_id",
    "merchant_prepare_id",
    "amount",
    "action",
    "error",
    "error_note",
    "sign_time",
    "sign_string",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{0,25}",
        "-?[0-9.e+-]{0,12}",
        "[a-z0-9]{20,28}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}",
        "[0-9a-fA-F]{32}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn bytes_are_refused(body in vec(any::<u8>(), 0..600)) {
        prop_assert!(received(Some(FORM), &body).is_err());
    }

    #[test]
    fn text_as_content_type_is_no_trouble(content_type in any::<String>()) {
        let _ = received(Some(&content_type), &Sent::prepare().body());
    }

    #[test]
    fn forms_with_wild_fields_are_refused(values in vec(value(), NAMES.len())) {
        let pairs = NAMES.iter().zip(&values);
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let refusal = received(Some(FORM), body.as_bytes());
        prop_assert!(refusal.is_err());
        prop_assert!(matches!(Answer::from(refusal.unwrap_err()).code().number(), -1 | -8));
    }

    /// One wild field in a callback that is signed anew: grammar decides, not luck.
    #[test]
    fn one_wild_field_that_is_signed(at in 0..NAMES.len() - 1, value in value()) {
        let _ = Sent::complete().with(NAMES[at], value).signed().received();
    }

    /// One byte of a genuine callback changed: refused, or changed where nothing is signed.
    #[test]
    fn one_byte_changed(at in 0..1000_usize, byte in any::<u8>(), complete in any::<bool>()) {
        let sent = if complete { Sent::complete() } else { Sent::prepare() };
        let mut body = sent.body();
        let at = at % body.len();
        body[at] = byte;
        if let Ok(message) = received(Some(FORM), &body) {
            let genuine = sent.received().unwrap();
            prop_assert_eq!(message.click_trans_id, genuine.click_trans_id);
            prop_assert_eq!(message.order, genuine.order);
            prop_assert_eq!(message.amount, genuine.amount);
            prop_assert_eq!(message.action, genuine.action);
            prop_assert_eq!(message.sign_time, genuine.sign_time);
        }
    }

    /// A callback cut short is never accepted.
    #[test]
    fn a_cut_body(length in 0..240_usize) {
        let mut body = Sent::complete().body();
        prop_assume!(length < body.len());
        body.truncate(length);
        let refusal = received(Some(FORM), &body).unwrap_err();
        prop_assert_ne!(refusal, Refusal::Service);
    }
}
