//! Good callbacks, the order of the guards, and every bad input that is known to have been sent.

use crate::signed::{FORM, ORDER, SECRET, SERVICE, Sent, received};
use secrecy::SecretString;
use serde_json::json;
use sessile_providers::click::{self, Action, Amount, Answer, BODY_BYTES_MAX, Code, Order, Refusal};

#[test]
fn the_documented_vectors_are_accepted() {
    let whole =
        Sent::prepare().with("amount", "1000").with("sign_string", "efbe060d4131d354757cbc3ab933e4f8");
    for sent in [Sent::prepare(), whole] {
        let message = sent.received().unwrap();
        assert_eq!((message.click_trans_id, message.paydoc_id, message.error), (123_456_789, 987_654_321, 0));
        assert_eq!((message.action, message.amount), (Action::Prepare, Amount::Tiyin(100_000)));
        assert_eq!(
            (message.sign_time.as_str(), message.error_note.as_str()),
            ("2026-11-21 10:00:00", "Success")
        );
        assert!(matches!(&message.order, Order::Ours(id) if id.as_str() == ORDER));
    }
    let beyond_doubles = Sent::complete()
        .with("click_trans_id", "9007199254740993")
        .with("sign_string", "c743205c0c69576dc21d14ff4637945b");
    for (sent, id) in [(Sent::complete(), 123_456_789), (beyond_doubles, 9_007_199_254_740_993)] {
        let message = sent.received().unwrap();
        assert_eq!(message.action, Action::Complete { prepare_id: Some(1_000_000_001) });
        assert_eq!(message.click_trans_id, id);
    }
}

#[test]
fn our_own_signing_in_these_tests_agrees_with_the_vectors() {
    for sent in [Sent::prepare(), Sent::complete()] {
        assert_eq!(sent.clone().signed().get("sign_string"), sent.get("sign_string"));
    }
}

#[test]
fn answers_are_what_click_reads() {
    let prepare = Sent::prepare().with("click_trans_id", "9007199254740993").signed().received().unwrap();
    let answer = Answer::new(&prepare, Code::Success).with_prepare_id(1_000_000_001);
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"click_trans_id":9007199254740993,"merchant_trans_id":"ckabcdefghijklmnopqrstuv","merchant_prepare_id":1000000001,"error":0,"error_note":"Success"}"#
    );
    let complete = Sent::complete().received().unwrap();
    let answer = Answer::new(&complete, Code::AlreadyPaid).with_confirm_id(1_000_000_001);
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"click_trans_id":123456789,"merchant_trans_id":"ckabcdefghijklmnopqrstuv","merchant_confirm_id":1000000001,"error":-4,"error_note":"Already paid"}"#
    );
    let refused = Answer::from(Sent::prepare().with("amount", "1").received().unwrap_err());
    assert_eq!(serde_json::to_string(&refused).unwrap(), r#"{"error":-1,"error_note":"SIGN CHECK FAILED!"}"#);
}

#[test]
fn every_code_has_the_number_and_the_words_of_clicks_table() {
    let table = [
        (Code::Success, 0, "Success"),
        (Code::SignCheckFailed, -1, "SIGN CHECK FAILED!"),
        (Code::IncorrectAmount, -2, "Incorrect parameter amount"),
        (Code::ActionNotFound, -3, "Action not found"),
        (Code::AlreadyPaid, -4, "Already paid"),
        (Code::UserDoesNotExist, -5, "User does not exist"),
        (Code::TransactionDoesNotExist, -6, "Transaction does not exist"),
        (Code::FailedToUpdateUser, -7, "Failed to update user"),
        (Code::ErrorInRequest, -8, "Error in request from click"),
        (Code::TransactionCancelled, -9, "Transaction cancelled"),
    ];
    for (code, number, note) in table {
        assert_eq!(json!(Answer::bare(code)), json!({ "error": number, "error_note": note }));
    }
}

#[test]
fn each_missing_field_is_minus_eight() {
    for sent in [Sent::prepare(), Sent::complete()] {
        for name in sent.names() {
            assert_eq!(sent.clone().without(name).received(), Err(Refusal::Missing(name)));
        }
    }
    assert_eq!(Refusal::Missing("amount").code(), Code::ErrorInRequest);
    assert_eq!(Sent::prepare().with("sign_string", "").received(), Err(Refusal::Missing("sign_string")));
}

#[test]
fn each_malformed_field_is_minus_eight_even_if_signed() {
    for (name, values) in [
        ("click_trans_id", &["", "0", "-1", "+1", "01", "1.0", "1e3", "9223372036854775808", "abc"][..]),
        ("service_id", &["", "012345", "-12345", "12345.0", " 12345", "1234５"]),
        ("click_paydoc_id", &["", "-1", "01", "x", "9223372036854775808"]),
        ("merchant_trans_id", &["", "a b", "ж", "a/b", "'; drop table payment_sessions; --", "a%b"]),
        (
            "amount",
            &["", "nan", "NaN", "inf", "1e3", "-1000.00", "+1000.00", "1000.", ".5", "1,000", "1000 "],
        ),
        ("amount", &["1000000000000000", "0x3e8", "1000.00.00", "١٠٠٠"]),
        ("action", &["", "00", "01", "-1", "0.0", "prepare"]),
        ("error", &["", "-0", "+0", "00", "0.0", "x", "2147483648"]),
        (
            "sign_time",
            &["", "2026-11-21", "2026-11-21T10:00:00", "2026-02-30 10:00:00", "2026-11-21 10:00:00 "],
        ),
        ("merchant_prepare_id", &["", "-1", "01000000001", "1000000001.0", "99999999999999999999"]),
    ] {
        for value in values {
            let sent = Sent::complete().with(name, *value).signed();
            assert_eq!(sent.received(), Err(Refusal::Malformed(name)), "{name}={value:?}");
        }
    }
    assert_eq!(Refusal::Malformed("amount").code(), Code::ErrorInRequest);
}

#[test]
fn a_fraction_of_a_tiyin_is_left_to_the_comparison_of_amounts() {
    let sent = Sent::prepare().with("amount", "1000.009");
    assert_eq!(sent.received(), Err(Refusal::Signature));
    assert_eq!(sent.signed().received().unwrap().amount, Amount::SubTiyin);
}

#[test]
fn bodies_that_are_no_form_are_minus_eight() {
    let good = Sent::prepare().body();
    let json = br#"{"click_trans_id":123456789,"action":0}"#;
    let padded = |bytes: usize| {
        let mut body = [&good[..], b"&padding="].concat();
        body.resize(bytes, b'x');
        body
    };
    let with = |text: &[u8]| [&good[..], text].concat();
    for (content_type, body, refusal) in [
        (Some("application/json"), json.to_vec(), Refusal::NotAForm),
        (Some("application/json"), good.clone(), Refusal::NotAForm),
        (None, good.clone(), Refusal::NotAForm),
        (Some(FORM), json.to_vec(), Refusal::Missing("click_trans_id")),
        (Some(FORM), Vec::new(), Refusal::Missing("click_trans_id")),
        (Some(FORM), padded(17 * 1024), Refusal::TooLarge),
        (Some(FORM), padded(BODY_BYTES_MAX + 1), Refusal::TooLarge),
        (Some(FORM), with(b"&amount=1000.00"), Refusal::RepeatedField),
        (Some(FORM), with(b"&%61mount=1"), Refusal::RepeatedField),
        (Some(FORM), with(b"&note=1&note=1"), Refusal::RepeatedField),
        (Some(FORM), with(b"&x=%00"), Refusal::ControlCharacter),
        (Some(FORM), with(b"\0"), Refusal::ControlCharacter),
        (Some(FORM), with(b"&x=%ff%fe"), Refusal::NotUtf8),
        (Some(FORM), with("&x=1".repeat(2).as_bytes()), Refusal::RepeatedField),
    ] {
        assert_eq!(received(content_type, &body), Err(refusal), "{:?}", String::from_utf8_lossy(&body));
        assert_eq!(refusal.code(), Code::ErrorInRequest);
    }
    assert!(received(Some(FORM), &padded(BODY_BYTES_MAX)).is_ok());
    assert!(received(Some("application/x-www-form-urlencoded; charset=UTF-8"), &with(b"&extra=1")).is_ok());
}

#[test]
fn guards_come_in_order() {
    let elsewhere = Sent::prepare().with("service_id", "54321");
    let unknown_action = Sent::prepare().with("action", "2");
    let both = elsewhere.clone().with("action", "7");
    for unsigned in [&elsewhere, &unknown_action, &both] {
        assert_eq!(unsigned.received(), Err(Refusal::Signature));
    }
    assert_eq!(elsewhere.signed().received(), Err(Refusal::Service));
    assert_eq!(both.signed().received(), Err(Refusal::Service));
    assert_eq!(unknown_action.signed().received(), Err(Refusal::Action));
    let codes =
        [Refusal::Signature, Refusal::Service, Refusal::Action].map(|refusal| refusal.code().number());
    assert_eq!(codes, [-1, -8, -3]);
    // A stranger learns nothing about orders: without a signature, ours and others read alike.
    let other = Sent::prepare().with("merchant_trans_id", "nobody");
    assert_eq!(other.received(), Err(Refusal::Signature));
    assert_eq!(other.signed().received().unwrap().order, Order::Foreign("nobody".into()));
}

#[test]
fn any_other_signature_is_minus_one() {
    for wrong in ["0", "wrong", "1bfd197c3b45263cccc6878881ef09c3", "1bfd197c3b45263cccc6878881ef09c", "é"] {
        assert_eq!(Sent::prepare().with("sign_string", wrong).received(), Err(Refusal::Signature), "{wrong}");
    }
    for sent in [Sent::prepare(), Sent::complete()] {
        for (name, value) in [("amount", "1000.01"), ("amount", "1000"), ("sign_time", "2026-11-21 10:00:01")]
        {
            assert_eq!(sent.clone().with(name, value).received(), Err(Refusal::Signature), "{name}");
        }
    }
    assert_eq!(
        Sent::complete().with("merchant_prepare_id", "1000000002").received(),
        Err(Refusal::Signature)
    );
    assert_eq!(Sent::prepare().signed_with("other").received(), Err(Refusal::Signature));
}

#[test]
fn secrets_rotate() {
    let body = Sent::prepare().signed_with("old").body();
    let verify = |secrets: &[&str]| {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        click::parse(Some(FORM), &body).unwrap().verify(&secrets, SERVICE)
    };
    assert!(verify(&[SECRET, "old"]).is_ok() && verify(&["old", SECRET]).is_ok());
    assert_eq!(verify(&[SECRET]), Err(Refusal::Signature));
    assert_eq!(verify(&[]), Err(Refusal::Signature));
}

#[test]
fn prepare_ids_that_we_never_gave_out_match_nothing() {
    for id in ["0", "1", "999999999", "2147483648", "9999999999", "18446744073709551615"] {
        let message = Sent::complete().with("merchant_prepare_id", id).signed().received().unwrap();
        assert_eq!(message.action, Action::Complete { prepare_id: None }, "{id}");
    }
    for (text, id) in [("1000000000", 1_000_000_000), ("2147483647", 2_147_483_647)] {
        let message = Sent::complete().with("merchant_prepare_id", text).signed().received().unwrap();
        assert_eq!(message.action, Action::Complete { prepare_id: Some(id) });
    }
}

#[test]
fn a_prepare_needs_no_prepare_id_and_reads_none() {
    for extra in ["", "1000000001", "nonsense"] {
        let message = Sent::prepare().with("merchant_prepare_id", extra).received().unwrap();
        assert_eq!(message.action, Action::Prepare);
    }
}

#[test]
fn clicks_own_error_is_passed_on_as_it_is_unsigned() {
    let sent =
        Sent::complete().with("error", "-5017").with("error_note", "Отменено пользователем".repeat(20));
    let message = sent.received().unwrap();
    assert_eq!(message.error, -5017);
    assert_eq!(message.error_note.chars().count(), 200);
    assert_eq!(Sent::complete().with("error_note", "").received().unwrap().error_note, "");
    assert_eq!(Sent::complete().with("click_paydoc_id", "0").received().unwrap().paydoc_id, 0);
}

#[test]
fn an_unverified_callback_shows_nothing() {
    let callback = click::parse(Some(FORM), &Sent::prepare().body()).unwrap();
    assert_eq!(format!("{callback:?}"), "Callback { .. }");
}
