//! One signed text, one meaning: whoever has a genuine signature moves the boundaries between the fields it covers.
//!
//! Accepted means what the caller would act on: verified, an order of our shape, and (Complete) a prepare id that we may
//! have given out. Every other reading must end in a refusal or name nothing of ours.

#![expect(clippy::expect_used, reason = "a search that begins with a bad callback proves nothing")]

use crate::signed::{SECRET, Sent};
use sessile_providers::click::{Action, Message, Order};

const SIGN_TIME_CHARS: usize = 19;

/// The message, if a caller would look it up.
fn accepted(sent: &Sent) -> Option<Message> {
    let message = sent.received().ok()?;
    let ours = matches!(message.order, Order::Ours(_));
    let possible = !matches!(message.action, Action::Complete { prepare_id: None });
    (ours && possible).then_some(message)
}

/// Every place where one field could end and the next begin.
fn cuts(text: &str) -> impl Iterator<Item = (&str, &str)> {
    (0..=text.len()).map(|at| text.split_at(at))
}

/// Every way to cut what follows the secret into order, prepare id, amount and action before a time of 19 characters.
fn readings_after(genuine: &Sent) -> Vec<Sent> {
    let text = genuine.text("|");
    let after = text.split('|').nth(1).unwrap_or_default();
    let (fields, time) = after.split_at(after.len() - SIGN_TIME_CHARS);
    let mut readings = Vec::new();
    for (order, rest) in cuts(fields) {
        for (prepare_id, rest) in cuts(rest) {
            for (amount, action) in cuts(rest) {
                // Without a prepare id the field is left out, as in a Prepare.
                let mut reading = genuine.clone().without("merchant_prepare_id");
                for (name, value) in [
                    ("merchant_trans_id", order),
                    ("amount", amount),
                    ("action", action),
                    ("sign_time", time),
                ] {
                    reading = reading.with(name, value);
                }
                if !prepare_id.is_empty() {
                    reading = reading.with("merchant_prepare_id", prepare_id);
                }
                readings.push(reading);
            }
        }
    }
    readings
}

/// All readings keep the genuine signature; those that hash to it are the dangerous ones.
fn only_the_genuine_is_accepted(genuine: &Sent) {
    let expected = accepted(genuine).expect("the genuine one must be accepted");
    let readings = readings_after(genuine);
    let same_text = readings.iter().filter(|reading| reading.text(SECRET) == genuine.text(SECRET)).count();
    assert!(same_text > 400, "the search is too small: {same_text}");
    let found: Vec<Message> = readings.iter().filter_map(accepted).collect();
    assert!(!found.is_empty(), "the search missed the genuine one");
    assert!(found.iter().all(|message| *message == expected), "{found:#?}");
}

#[test]
fn a_signed_prepare_has_one_meaning() {
    for amount in ["1000.00", "1000", "11000000001", "10000000011000.00", "1111111111"] {
        only_the_genuine_is_accepted(&Sent::prepare().with("amount", amount).signed());
    }
}

#[test]
fn a_signed_complete_has_one_meaning() {
    for (prepare_id, amount) in [
        ("1000000001", "1000.00"),
        ("1111111111", "1111111111"),
        ("2147483647", "1000"),
        ("1000000000", "0.01"),
        ("1010101010", "101.10"),
    ] {
        let sent = Sent::complete().with("merchant_prepare_id", prepare_id).with("amount", amount);
        only_the_genuine_is_accepted(&sent.signed());
    }
}

#[test]
fn an_order_with_digits_inside_has_one_meaning() {
    let order = "c1111111111111111111111v";
    only_the_genuine_is_accepted(&Sent::prepare().with("merchant_trans_id", order).signed());
    only_the_genuine_is_accepted(&Sent::complete().with("merchant_trans_id", order).signed());
}

#[test]
fn a_name_that_somebody_else_made_up_never_becomes_a_complete() {
    // CLICK signs whatever order a stranger pays for: here one that carries a prepare id and an amount of ours.
    for (order, amount) in [
        ("ckabcdefghijklmnopqrstuv10000000011000.001", "500.00"),
        ("ckabcdefghijklmnopqrstuv1000000001", "1000.00"),
        ("ckabcdefghijklmnopqrstuv1000000001", "1000.001"),
    ] {
        let stranger = Sent::prepare().with("merchant_trans_id", order).with("amount", amount).signed();
        assert!(accepted(&stranger).is_none());
        let completes = readings_after(&stranger);
        let completes =
            completes.iter().filter_map(accepted).filter(|message| message.action != Action::Prepare);
        assert_eq!(completes.count(), 0, "{order}");
    }
}

#[test]
fn a_prepare_is_not_a_complete() {
    for wrong in [
        Sent::prepare().with("action", "1").with("merchant_prepare_id", "1000000001"),
        Sent::complete().with("action", "0"),
        Sent::complete().with("action", "0").without("merchant_prepare_id"),
        // The prepare id moved into the amount, and into the order.
        Sent::complete().with("action", "0").with("amount", "10000000011000.00"),
        Sent::complete().with("action", "0").with("merchant_trans_id", "ckabcdefghijklmnopqrstuv1000000001"),
        // The end of the amount as the action.
        Sent::prepare().with("amount", "1000.0").with("action", "00"),
        Sent::complete().with("amount", "1000.0").with("action", "01"),
    ] {
        assert!(accepted(&wrong).is_none(), "{}", wrong.text(SECRET));
    }
}

#[test]
fn ids_before_the_secret_have_one_meaning() {
    // Also with a service id that occurs twice at the end of the text before the secret.
    for attempt in ["123456789", "12345", "1234512345"] {
        let genuine = Sent::prepare().with("click_trans_id", attempt).signed();
        let expected = accepted(&genuine).expect("the genuine one must be accepted");
        let ids = format!("{attempt}12345");
        let readings = cuts(&ids).map(|(attempt, service)| {
            genuine.clone().with("click_trans_id", attempt).with("service_id", service)
        });
        let found: Vec<Message> = readings
            .inspect(|reading| {
                assert_eq!(reading.text(SECRET), genuine.text(SECRET));
            })
            .filter_map(|reading| accepted(&reading))
            .collect();
        assert_eq!(found, [expected]);
    }
}

#[test]
fn the_secret_itself_has_one_place() {
    // The worst secret there could be: digits that repeat, and look like our service id.
    let secret = "1234512345";
    let genuine = Sent::prepare().with("click_trans_id", "91234512345").signed_with(secret);
    let expected = genuine.received_under(secret).expect("the genuine one must be accepted");
    let text = genuine.text(secret);
    let places: Vec<usize> = (0..text.len()).filter(|at| text[*at..].starts_with(secret)).collect();
    assert!(places.len() > 2, "{places:?}");
    let mut found = Vec::new();
    for place in places {
        let (ids, after) = (&text[..place], &text[place + secret.len()..]);
        let (fields, _) = after.split_at(after.len() - SIGN_TIME_CHARS - 1);
        for (attempt, service) in cuts(ids) {
            for (order, amount) in cuts(fields) {
                let reading = genuine.clone().with("click_trans_id", attempt).with("service_id", service);
                let reading = reading.with("merchant_trans_id", order).with("amount", amount);
                assert_eq!(reading.text(secret), text);
                found.extend(reading.received_under(secret));
            }
        }
    }
    found.retain(|message| matches!(message.order, Order::Ours(_)));
    assert_eq!(found, [expected]);
}

#[test]
fn the_time_cannot_lend_its_digits() {
    let genuine = Sent::complete();
    let text = format!("1{}", genuine.get("sign_time"));
    for (action, time) in cuts(&text).filter(|(action, _)| *action != "1") {
        let reading = genuine.clone().with("action", action).with("sign_time", time);
        assert!(accepted(&reading).is_none(), "{action} {time}");
    }
    let short = genuine
        .clone()
        .with("amount", "1000.0")
        .with("action", "0")
        .with("sign_time", "12026-11-21 10:00:00");
    assert!(accepted(&short).is_none());
}
