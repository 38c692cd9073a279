//! Arbitrary bytes as a callback of CLICK: reading takes everything and never panics, nothing is believed without CLICK's
//! secret, and whatever is believed was signed with it.
//!
//! The first byte chooses: the rest is a body as it is, or the fields of a body, separated by line feeds, which are then
//! signed as CLICK would sign them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use md5::{Digest, Md5};
use secrecy::SecretString;
use sessile_providers::click::{Action, PREPARE_ID_MAX, PREPARE_ID_MIN, Refusal, parse};
use std::sync::LazyLock;

const SECRET: &str = "a-secret-of-click";
const SERVICE: u64 = 12345;
const FORM: &str = "application/x-www-form-urlencoded";

static OURS: LazyLock<Vec<SecretString>> = LazyLock::new(|| vec![SECRET.into(), "an-older-one".into()]);
static OTHERS: LazyLock<Vec<SecretString>> = LazyLock::new(|| vec!["somebody-else's".into()]);

fuzz_target!(|bytes: &[u8]| {
    let Some((how, rest)) = bytes.split_first() else { return };
    let types = [None, Some(FORM), Some("application/json"), Some("multipart/form-data; boundary=x"), Some("text/plain")];
    if how % 2 == 0 {
        if let Ok(callback) = parse(types[usize::from(how / 2) % types.len()], rest) {
            assert!(matches!(callback.verify(&OTHERS, SERVICE), Err(Refusal::Signature)));
        }
        return;
    }
    let text = String::from_utf8_lossy(rest);
    let mut fields = text.split('\n');
    let mut field = || fields.next().unwrap_or_default();
    let names = ["click_trans_id", "merchant_trans_id", "merchant_prepare_id", "amount", "action", "sign_time"];
    let [trans, order, prepare, amount, action, time] = names.map(|_| field());
    let is_complete = action == "1";
    let mut md5 = Md5::new();
    for part in [trans, "12345", SECRET, order, if is_complete { prepare } else { "" }, amount, action, time] {
        md5.update(part);
    }
    let sign: String = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(names.into_iter().zip([trans, order, prepare, amount, action, time]));
    form.extend_pairs([("service_id", "12345"), ("sign_string", &sign), ("click_paydoc_id", field())]);
    form.extend_pairs([("error", field()), ("error_note", field())]);
    let Ok(callback) = parse(Some(FORM), form.finish().as_bytes()) else { return };
    assert!(matches!(callback.clone().verify(&OTHERS, SERVICE), Err(Refusal::Signature)));
    assert!(matches!(callback.clone().verify(&OURS, SERVICE + 1), Err(Refusal::Service)));
    match callback.verify(&OURS, SERVICE) {
        Ok(message) => {
            assert!(message.click_trans_id > 0);
            assert_eq!(matches!(message.action, Action::Complete { .. }), is_complete);
            if let Action::Complete { prepare_id: Some(id) } = message.action {
                assert!((PREPARE_ID_MIN..=PREPARE_ID_MAX).contains(&id) && id.to_string() == prepare);
            }
        }
        Err(refusal) => assert!(matches!(refusal, Refusal::Action), "signed and refused: {refusal}"),
    }
});
