//! What is sent again, under which key, and what is known when it is given up.

use crate::client::{SESSION, client, key, session};
use crate::stub::{Says, Stub, json, nowhere};
use sessile_providers::stripe::StripeError;
use std::time::Duration;

const IN_USE: &str = r#"{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}"#;
const INVALID: &str = r#"{"error":{"type":"invalid_request_error","code":"parameter_invalid_integer"}}"#;

fn with(status: u16, headers: &'static [(&'static str, &'static str)], body: &str) -> Says {
    Says::Answer(status, headers, body.to_owned())
}

async fn create(stub: &Stub) -> Result<(), StripeError> {
    client(&stub.base).create_session(&session(), &key()).await.map(drop)
}

#[tokio::test]
async fn a_change_is_repeated_under_the_same_key() {
    for says in [
        json(500, ""),
        json(503, ""),
        json(409, IN_USE),
        json(429, ""),
        with(429, &[("retry-after", "1")], ""),
        with(400, &[("stripe-should-retry", "true")], INVALID),
        Says::HangUp,
        Says::Silence,
        Says::Part(SESSION.to_owned()),
        Says::Stream("begun, and never ended".to_owned()),
    ] {
        let stub = Stub::saying([says, json(200, SESSION)]);
        create(&stub).await.unwrap();
        let asked = stub.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|asked| asked.header("idempotency-key") == Some("gen_1")));
        assert_eq!(asked[0].body, asked[1].body);
    }
}

#[tokio::test]
async fn three_attempts_and_no_more() {
    let stub = Stub::saying([json(500, "")]);
    let error = create(&stub).await.unwrap_err();
    assert!(matches!(error, StripeError::OutcomeUnknown(_)) && error.may_pass(), "{error:?}");
    assert!(error.to_string().contains("the same Idempotency-Key"), "{error}");
    assert_eq!(stub.lines().len(), 3);

    let stub = Stub::saying([json(500, "")]);
    let error = client(&stub.base).session("cs_1").await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable(_)), "{error:?}");
    assert_eq!(stub.lines().len(), 3);
}

#[tokio::test]
async fn stripes_advice_wins() {
    for status in [409, 429, 500] {
        let stub = Stub::saying([with(status, &[("stripe-should-retry", "false")], IN_USE)]);
        create(&stub).await.unwrap_err();
        assert_eq!(stub.lines().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let stub = Stub::saying([with(429, &[("retry-after", "60")], "")]);
    let error = create(&stub).await.unwrap_err();
    assert!(matches!(error, StripeError::RateLimited { .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(stub.lines().len(), 1);

    let stub = Stub::saying([json(429, "")]);
    assert_eq!(create(&stub).await.unwrap_err().retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(stub.lines().len(), 3);
}

#[tokio::test]
async fn what_never_left_was_not_done() {
    let base = nowhere();
    let error = client(&base).create_session(&session(), &key()).await.unwrap_err();
    assert!(matches!(error, StripeError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn what_may_have_landed_is_not_forgotten() {
    // The first attempt was taken, and then nobody listens: not "unavailable".
    let stub = Stub::saying([Says::Vanish]);
    let error = create(&stub).await.unwrap_err();
    assert!(matches!(error, StripeError::OutcomeUnknown(_)), "{error:?}");

    for then in [with(429, &[("retry-after", "60")], ""), json(401, ""), json(404, "<html>")] {
        let stub = Stub::saying([Says::HangUp, then]);
        let error = create(&stub).await.unwrap_err();
        assert!(matches!(error, StripeError::OutcomeUnknown(_)), "{error:?}");
        assert_eq!(stub.lines().len(), 2);
    }

    // Somebody else's request, or our own earlier one, is under way.
    let stub = Stub::saying([json(409, IN_USE)]);
    assert!(matches!(create(&stub).await, Err(StripeError::OutcomeUnknown(_))));
}

#[tokio::test]
async fn stripes_word_on_the_operation_settles_it() {
    let stub = Stub::saying([Says::HangUp, json(400, INVALID)]);
    let error = create(&stub).await.unwrap_err();
    assert!(matches!(error, StripeError::Refused(_)), "{error:?}");
    assert_eq!(stub.lines().len(), 2);
}
