//! What the client sends, and what it believes.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use crate::stub::{Says, Stub, json, nowhere, spoken};
use sessile_providers::Timeouts;
use sessile_providers::stripe::{
    API_VERSION, Client, Config, IdempotencyKey, NewRefund, NewSession, PaymentStatus, RefundStatus,
    SessionStatus, StripeError,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const SESSION: &str = r#"{"id":"cs_test_1","object":"checkout.session","url":"https://checkout.stripe.com/c/1",
    "status":"open","payment_status":"unpaid","client_reference_id":"gen_1","metadata":{"video_count":"3"}}"#;
const REFUND: &str = r#"{"id":"re_1","object":"refund","amount":900,"currency":"usd","status":"pending","payment_intent":"pi_1"}"#;

pub(crate) fn client(base: &str) -> Client {
    let mut config = Config::new("sk_test_hush".into(), vec!["whsec_quiet".into()]);
    config.api_url = base.to_owned();
    config.timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_millis(500) };
    Client::new(&config).unwrap()
}

pub(crate) fn session() -> NewSession {
    NewSession {
        price: "price_1".into(),
        quantity: 3,
        success_url: "https://app.example/en/payment-success/{CHECKOUT_SESSION_ID}".into(),
        cancel_url: "https://app.example/".into(),
        client_reference_id: "gen_1".into(),
        metadata: BTreeMap::from([("video_count".into(), "3".into())]),
        expires_at_s: None,
    }
}

pub(crate) fn key() -> IdempotencyKey {
    IdempotencyKey::new("gen_1").unwrap()
}

fn price(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"price","active":true,"currency":"usd","unit_amount":300,"recurring":null}}"#
    )
}

#[tokio::test]
async fn a_session_is_created_as_documented() {
    let stub = Stub::saying([json(200, SESSION)]);
    let made = client(&stub.base).create_session(&session(), &key()).await.unwrap();
    assert_eq!((made.id.as_str(), made.status), ("cs_test_1", SessionStatus::Open));
    assert_eq!(made.url.as_deref(), Some("https://checkout.stripe.com/c/1"));
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /v1/checkout/sessions");
    assert_eq!(asked.header("authorization"), Some("Bearer sk_test_hush"));
    assert_eq!(asked.header("stripe-version"), Some(API_VERSION));
    assert_eq!(asked.header("idempotency-key"), Some("gen_1"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(
        asked.text().starts_with("mode=payment&line_items%5B0%5D%5Bprice%5D=price_1&"),
        "{}",
        asked.text()
    );
    assert!(
        asked.text().ends_with("client_reference_id=gen_1&metadata%5Bvideo_count%5D=3"),
        "{}",
        asked.text()
    );
}

#[tokio::test]
async fn a_session_is_read_and_expired_by_its_id() {
    let paid = r#"{"id":"cs_test_1","status":"complete","payment_status":"paid","payment_intent":"pi_1"}"#;
    let stub = Stub::saying([json(200, paid), json(200, r#"{"id":"cs_test_1","status":"expired"}"#)]);
    let client = client(&stub.base);
    let read = client.session("cs_test_1").await.unwrap();
    assert_eq!((read.payment_status, read.payment_intent.as_deref()), (PaymentStatus::Paid, Some("pi_1")));
    let expired = client.expire_session("cs_test_1", &key()).await.unwrap();
    assert_eq!(expired.status, SessionStatus::Expired);
    assert_eq!(
        stub.lines(),
        ["GET /v1/checkout/sessions/cs_test_1", "POST /v1/checkout/sessions/cs_test_1/expire"]
    );
    assert_eq!(stub.asked()[0].header("idempotency-key"), None);
    for id in ["", "..", "cs_1/expire", "cs_1?x", "cs 1"] {
        assert!(matches!(client.session(id).await, Err(StripeError::Invalid("id"))), "{id}");
    }
    assert_eq!(stub.lines().len(), 2);
}

#[tokio::test]
async fn money_goes_back() {
    let stub = Stub::saying([json(200, REFUND)]);
    let refund = client(&stub.base).refund(&NewRefund::whole("pi_1"), &key()).await.unwrap();
    assert_eq!((refund.id.as_str(), refund.status, refund.amount), ("re_1", RefundStatus::Pending, 900));
    assert_eq!(
        (stub.lines()[0].as_str(), stub.asked()[0].text().as_str()),
        ("POST /v1/refunds", "payment_intent=pi_1")
    );
}

#[tokio::test]
async fn prices_are_read_page_by_page() {
    let first = format!(r#"{{"data":[{},{}],"has_more":true}}"#, price("price_2"), price("price_1"));
    let second = format!(r#"{{"data":[{}],"has_more":false}}"#, price("price_0"));
    let stub = Stub::saying([json(200, &first), json(200, &second)]);
    let prices = client(&stub.base).active_prices().await.unwrap();
    assert_eq!(
        prices.iter().map(|price| price.id.as_str()).collect::<Vec<_>>(),
        ["price_2", "price_1", "price_0"]
    );
    assert_eq!(
        stub.lines(),
        [
            "GET /v1/prices?active=true&limit=100",
            "GET /v1/prices?active=true&limit=100&starting_after=price_1"
        ]
    );
}

#[tokio::test]
async fn a_list_without_end_is_read_to_a_limit() {
    let page = format!(r#"{{"data":[{}],"has_more":true}}"#, price("price_1"));
    let stub = Stub::saying([json(200, &page)]);
    assert_eq!(client(&stub.base).active_prices().await.unwrap().len(), 10);
    assert_eq!(stub.lines().len(), 10);
}

#[tokio::test]
async fn an_unknown_price_is_none() {
    let missing = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"price"}}"#;
    let stub = Stub::saying([json(200, &price("price_1")), json(404, missing)]);
    let client = client(&stub.base);
    assert_eq!(client.price("price_1").await.unwrap().unwrap().unit_amount, Some(300));
    assert_eq!(client.price("price_9").await.unwrap(), None);
    assert_eq!(client.price("../refunds").await.unwrap(), None);
    assert_eq!(stub.lines(), ["GET /v1/prices/price_1", "GET /v1/prices/price_9"]);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (status, body, sentence) in [
        (
            400,
            r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"line_items[0][price]","message":"No such price"}}"#,
            "both live or both test",
        ),
        (
            400,
            r#"{"error":{"type":"idempotency_error","message":"Keys for idempotent requests …"}}"#,
            "one key per operation",
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","code":"charge_already_refunded"}}"#,
            "nothing is left",
        ),
        (402, r#"{"error":{"type":"card_error","code":"card_declined"}}"#, "402 card_declined"),
        (
            401,
            r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_hush"}}"#,
            "STRIPE_SECRET_KEY",
        ),
        (403, "", "STRIPE_SECRET_KEY"),
        (307, "", "STRIPE_API_URL"),
        (404, "<html>nginx</html>", "STRIPE_API_URL"),
    ] {
        let stub = Stub::saying([json(status, body)]);
        let error = client(&stub.base).create_session(&session(), &key()).await.unwrap_err();
        assert!(!matches!(error, StripeError::OutcomeUnknown(_)), "{error:?}");
        assert!(error.to_string().contains(sentence), "{error}");
        assert!(!spoken(&error).contains("hush"), "{error:?}");
        assert_eq!(stub.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_keeps_stripes_own_words_for_the_log() {
    let body = r#"{"error":{"type":"invalid_request_error","code":"parameter_missing","param":"price",
        "message":"Missing\nprice"}}"#;
    let stub = Stub::saying([Says::Answer(400, &[("request-id", "req_1")], body.to_owned())]);
    let error = client(&stub.base).create_session(&session(), &key()).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.status, refusal.message.as_str()), (400, "Missingprice"));
    assert_eq!(
        (refusal.code.as_deref(), refusal.request_id.as_deref()),
        (Some("parameter_missing"), Some("req_1"))
    );
}

#[tokio::test]
async fn a_reading_that_makes_no_sense_is_unreadable() {
    for body in ["", "<html>", "{}", &" ".repeat(1024 * 1024 + 1)] {
        let stub = Stub::saying([json(200, body)]);
        let error = client(&stub.base).session("cs_1").await.unwrap_err();
        assert!(matches!(error, StripeError::Unreadable(_)), "{error:?}");
        let error = client(&stub.base).refund(&NewRefund::whole("pi_1"), &key()).await.unwrap_err();
        assert!(matches!(error, StripeError::OutcomeUnknown(_)), "{error:?}");
    }
}

#[tokio::test]
async fn no_error_and_no_debug_tells_a_secret() {
    let mut all = format!("{:?}", client("http://127.0.0.1:1/"));
    let echo = r#"{"error":{"type":"x","code":"sk_test_hush","param":"sk_test_hush","message":"Bearer sk_test_hush"}}"#;
    for says in [Says::HangUp, json(500, ""), json(400, echo), json(409, echo), json(200, "x")] {
        let stub = Stub::saying([says]);
        all += &spoken(&client(&stub.base).session("cs_1").await.unwrap_err());
        all += &spoken(&client(&stub.base).create_session(&session(), &key()).await.unwrap_err());
    }
    all += &spoken(&client(&nowhere()).session("cs_1").await.unwrap_err());
    assert!(!all.contains("hush") && !all.contains("quiet"), "{all}");
}
