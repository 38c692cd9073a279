//! Idempotency-Keys, as Stripe documents them.

use serde_json::Value;
use sessile_sandbox::stripe::{Misbehaviour, Switch};

use crate::world::{ORDER, SESSIONS, World, error, order_with};

const ROUTE: &str = "POST /v1/checkout/sessions";

#[tokio::test]
async fn the_same_request_gets_the_first_answer_again() {
    let world = World::start().await;
    let call = || world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send();
    let first = call().await.unwrap();
    let request = first.headers()["request-id"].clone();
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let first = first.bytes().await.unwrap();
    let again = call().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.headers()["original-request"], request);
    assert_eq!(again.headers()["idempotency-key"], "key-1");
    assert_eq!(again.bytes().await.unwrap(), first);
    assert_eq!(world.stripe().sessions().len(), 1);
    let calls = world.stripe().calls_of(ROUTE);
    assert_eq!((calls.received, calls.carried_out, calls.replayed), (2, 1, 1));
}

#[tokio::test]
async fn other_parameters_are_an_error() {
    let world = World::start().await;
    world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send().await.unwrap();
    let other = order_with("line_items[0][quantity]", "2");
    let other = world.post(SESSIONS, &other).header("idempotency-key", "key-1").send().await.unwrap();
    assert_eq!(error(other, 400).await["type"], "idempotency_error");
    let elsewhere = world.post("refunds", ORDER).header("idempotency-key", "key-1").send().await.unwrap();
    assert_eq!(error(elsewhere, 400).await["type"], "idempotency_error");
    assert_eq!(world.stripe().sessions().len(), 1);
}

#[tokio::test]
async fn a_refused_request_leaves_the_key_unused() {
    let world = World::start().await;
    let wrong = order_with("line_items[0][quantity]", "0");
    let wrong = world.post(SESSIONS, &wrong).header("idempotency-key", "key-1").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    let right = world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send().await.unwrap();
    assert_eq!(right.status(), 200);
}

#[tokio::test]
async fn a_key_is_in_use_while_its_first_call_is_under_way_even_when_that_caller_is_gone() {
    let world = World::start().await;
    world.stripe().set(&Switch::once(Misbehaviour::ApiSlow).delay_ms(300)).unwrap();
    let call = || world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send();
    let gone = tokio::time::timeout(std::time::Duration::from_millis(100), call()).await;
    assert!(gone.is_err(), "the slow call answered at once");
    let second = error(call().await.unwrap(), 409).await;
    assert_eq!(second["code"], "idempotency_key_in_use");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    let third = call().await.unwrap();
    assert_eq!((third.status().as_u16(), &third.headers()["idempotent-replayed"] == "true"), (200, true));
    assert_eq!(world.stripe().sessions().len(), 1);
}

#[tokio::test]
async fn sixteen_at_once_make_one_session() {
    let world = World::start().await;
    let call = || async {
        let response = world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let answers = futures_util::future::join_all((0..16).map(|_| call())).await;
    assert!(answers.iter().all(|(status, _)| [200, 409].contains(status)), "{answers:?}");
    assert_eq!(world.stripe().sessions().len(), 1);
}

#[tokio::test]
async fn a_lost_reply_is_had_by_asking_again() {
    let world = World::start().await;
    world.stripe().set(&Switch::once(Misbehaviour::LostReply).on(ROUTE)).unwrap();
    let call = || world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send();
    call().await.unwrap_err();
    assert_eq!(world.stripe().sessions().len(), 1, "the call was not carried out");
    let again: Value = call().await.unwrap().json().await.unwrap();
    assert_eq!(again["id"], world.stripe().sessions()[0].id.as_str());
    assert_eq!(world.stripe().sessions().len(), 1);
}

#[tokio::test]
async fn a_stored_500_stays_a_500() {
    let world = World::start().await;
    world.stripe().set(&Switch::once(Misbehaviour::Api500Stored)).unwrap();
    for _ in 0..2 {
        let answer = world.post(SESSIONS, ORDER).header("idempotency-key", "key-1").send().await.unwrap();
        assert_eq!(answer.headers()["stripe-should-retry"], "false");
        assert_eq!(answer.status(), 500);
    }
    assert_eq!(world.stripe().sessions().len(), 1, "the work was done all the same");
}
