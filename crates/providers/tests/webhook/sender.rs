//! What is sent, what counts as delivered, and what is never done.

use crate::receiver::{Receiver, Says};
use serde_json::{Value, json};
use sessile_providers::webhook::{
    Delivery, Event, HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Secrets, Sender, TIMEOUTS, Timeouts,
};
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NOW_S: i64 = 1_795_201_200;

fn sender(url: &Url) -> Sender {
    let timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_millis(500) };
    Sender::new(url, [SECRET, OLD], timeouts).unwrap()
}

async fn send(url: &Url) -> Delivery {
    let data = json!({ "orderId": "ckabcdefghijklmnopqrstuv", "amountMinor": 9_007_199_254_740_993_i64 });
    let timestamp = "2026-11-21T00:00:00.000Z";
    let event = Event { id: "evt_1", topic: "payment.completed", timestamp, data: &data };
    sender(url).send(event, NOW_S).await
}

#[tokio::test]
async fn an_event_arrives_signed_with_every_secret() {
    let receiver = Receiver::saying(&[Says::Status(204)]).await;
    assert_eq!(send(&receiver.url).await, Delivery::Delivered);
    let [got] = receiver.got().try_into().unwrap();
    assert_eq!((got.line.as_str(), got.header("content-type").as_str()), ("POST /hooks", "application/json"));
    assert_eq!((got.header(HEADER_ID).as_str(), got.header(HEADER_TIMESTAMP)), ("evt_1", NOW_S.to_string()));
    for secret in [SECRET, OLD] {
        let secrets = Secrets::parse([secret]).unwrap();
        let [id, timestamp, signature] =
            [HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE].map(|name| got.header(name));
        assert_eq!(secrets.verify(&id, &timestamp, &signature, &got.body, NOW_S), Ok(()));
    }
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "payment.completed",
            "timestamp": "2026-11-21T00:00:00.000Z",
            "data": { "orderId": "ckabcdefghijklmnopqrstuv", "amountMinor": 9_007_199_254_740_993_i64 },
        })
    );
}

#[tokio::test]
async fn only_a_success_is_delivered_and_only_410_is_given_up() {
    for (says, expected) in [
        (Says::Status(200), Delivery::Delivered),
        (Says::Bytes(1024 * 1024), Delivery::Delivered),
        (Says::Status(410), Delivery::Gone),
        (Says::Status(404), Delivery::Failed("the receiver answered 404".into())),
        (Says::Status(500), Delivery::Failed("the receiver answered 500".into())),
        (Says::Silence, Delivery::Failed("no answer in time".into())),
    ] {
        let receiver = Receiver::saying(&[says]).await;
        assert_eq!(send(&receiver.url).await, expected);
        assert_eq!(receiver.got().len(), 1, "one attempt is one request");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::saying(&[Says::Status(200)]).await;
    let receiver = Receiver::saying(&[Says::Redirect(other.url.to_string())]).await;
    let Delivery::Failed(what) = send(&receiver.url).await else { panic!("a redirect is no delivery") };
    assert!(what.contains("307"), "{what}");
    assert!(other.got().is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_named_without_secrets() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = Url::parse(&format!("http://{nobody}/hooks?token=hush")).unwrap();
    let Delivery::Failed(what) = send(&url).await else { panic!("nobody listens") };
    assert!(what.contains("no connection") && !what.contains("hush"), "{what}");
    let shown = format!("{:?}", sender(&url));
    assert!(!shown.contains("MfKQ9r8GKYqr") && !shown.contains("hush"), "{shown}");
}

#[test]
fn settings_are_checked_before_anything_is_sent() {
    let new = |url: &str, secret: &str| {
        Sender::new(&Url::parse(url).unwrap(), [secret], TIMEOUTS).unwrap_err().to_string()
    };
    assert!(new("http://app.example/hooks", SECRET).contains("https://"));
    assert!(new("https://u:hush@app.example/", SECRET).contains("SESSILE_WEBHOOK_URL"));
    let short = new("https://app.example/", "whsec_aHVzaA==");
    assert!(
        short.contains("SESSILE_WEBHOOK_SECRET") && short.contains("openssl") && !short.contains("aHVzaA")
    );
}
