//! What can be switched on, seen from the application.

use serde_json::Value;
use sessile_sandbox::stripe::{EventState, Misbehaviour as M, PayWith, SessionStatus, Switch};

use crate::application::SECRET;
use crate::world::{ORDER, SESSIONS, World, error};

const COMPLETED: &str = "checkout.session.completed";

/// Pays one session with these switched on, and waits until everything is told.
async fn paid_with(switches: &[Switch]) -> (World, String) {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().misbehave(switches).unwrap();
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    (world, id)
}

#[tokio::test]
async fn an_event_arrives_many_times_at_once() {
    let (world, id) = paid_with(&[Switch::once(M::Duplicate).on(COMPLETED).copies(100, 16)]).await;
    let kinds = world.application.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == COMPLETED).count(), 100);
    assert_eq!(world.stripe().events_of(&id).iter().map(|event| event.sent).sum::<u64>(), 101);
}

#[tokio::test]
async fn siblings_arrive_in_another_order() {
    let (world, _) = paid_with(&[Switch::once(M::Reorder)]).await;
    assert_eq!(world.application.kinds(), [COMPLETED, "payment_intent.succeeded"]);
}

#[tokio::test]
async fn an_event_arrives_late_and_does_not_hold_its_siblings_up() {
    let late = Switch::once(M::Delay).on("payment_intent.succeeded").delay_ms(60);
    let (world, _) = paid_with(&[late]).await;
    assert_eq!(world.application.kinds(), [COMPLETED, "payment_intent.succeeded"]);
}

#[tokio::test]
async fn a_lost_acknowledgement_is_delivered_again() {
    let (world, id) = paid_with(&[Switch::times(M::LostAcknowledgement, 2).on(COMPLETED)]).await;
    assert_eq!(world.application.kinds().iter().filter(|kind| *kind == COMPLETED).count(), 3);
    let event = world.stripe().events_of(&id).into_iter().find(|event| event.kind == COMPLETED).unwrap();
    assert_eq!((event.state, event.acknowledged), (EventState::Acknowledged, 1));
}

#[tokio::test]
async fn a_withheld_event_is_known_to_the_api_only() {
    let (world, id) = paid_with(&[Switch::standing(M::Withhold).on(COMPLETED)]).await;
    assert_eq!(world.application.kinds(), ["payment_intent.succeeded"]);
    let session = world.got(&format!("{SESSIONS}/{id}")).await;
    assert_eq!(session["payment_status"], "paid");
}

#[tokio::test]
async fn a_session_that_never_existed_is_told_of() {
    let (world, id) = paid_with(&[Switch::once(M::UnknownSession).on(COMPLETED)]).await;
    let completed: Vec<Value> = world
        .application
        .received()
        .iter()
        .map(|one| one.json())
        .filter(|event| event["type"] == COMPLETED)
        .collect();
    assert_eq!(completed.len(), 2);
    assert_ne!(completed[0]["data"]["object"]["id"], id.as_str());
    assert_ne!(completed[0]["id"], completed[1]["id"]);
    let unknown = completed[0]["data"]["object"]["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("{SESSIONS}/{unknown}")).await.status(), 404);
    assert!(world.application.received().iter().all(|one| one.signed_with(SECRET)));
}

#[tokio::test]
async fn signatures_can_be_wrong_in_every_way() {
    for (kind, right) in [
        (M::WrongSignature, false),
        (M::ChangedBody, false),
        (M::RotatedSecret, false),
        (M::MissingSignature, false),
        (M::RollingSecret, true),
        (M::OldTimestamp, true),
        (M::FutureTimestamp, true),
    ] {
        let (world, _) = paid_with(&[Switch::once(kind).on(COMPLETED)]).await;
        let received = world.application.received();
        let (bad, good) = (&received[1], &received[0]);
        assert_eq!(bad.signed_with(SECRET), right, "{kind:?}");
        assert!(good.signed_with(SECRET));
        let off = if bad.signature.is_some() { bad.time() - good.time() } else { 0 };
        match kind {
            M::OldTimestamp => assert!((-302..=-300).contains(&off), "{off}"),
            M::FutureTimestamp => assert!((300..=302).contains(&off), "{off}"),
            _ => assert!(off.abs() < 2, "{kind:?} {off}"),
        }
    }
}

#[tokio::test]
async fn the_webhook_can_be_faster_than_the_reply() {
    let world = World::start().await;
    world.stripe().set(&Switch::once(M::WebhookBeforeReply)).unwrap();
    let reply = world.post(SESSIONS, ORDER).send().await.unwrap();
    assert!(world.application.kinds().contains(&COMPLETED.to_owned()), "the reply was first");
    let session: Value = reply.json().await.unwrap();
    assert_eq!(session["status"], "open", "the reply is as the session was created");
    let id = session["id"].as_str().unwrap();
    assert_eq!(world.stripe().session(id).unwrap().status, SessionStatus::Complete);
}

#[tokio::test]
async fn the_api_can_refuse_without_doing_anything() {
    let world = World::start().await;
    let refusals = [
        (M::Api429, 429, "rate_limit", None),
        (M::LockTimeout, 429, "lock_timeout", Some("true")),
        (M::Api500, 500, "", Some("true")),
        (M::IdempotencyConflict, 409, "idempotency_key_in_use", None),
    ];
    for (kind, status, code, advice) in refusals {
        world.stripe().set(&Switch::once(kind).on("POST /v1/checkout/sessions")).unwrap();
        assert_eq!(world.get("prices").await.status(), 200, "{kind:?} hit another route");
        let call = || world.post(SESSIONS, ORDER).header("idempotency-key", "key").send();
        let response = call().await.unwrap();
        assert_eq!(
            response.headers().get("stripe-should-retry").map(|value| value.to_str().unwrap()),
            advice
        );
        assert_eq!(error(response, status).await["code"].as_str().unwrap_or_default(), code);
    }
    assert!(world.stripe().sessions().is_empty());
    let last = world.post(SESSIONS, ORDER).header("idempotency-key", "key").send().await.unwrap();
    assert_eq!(last.status(), 200, "a refusal used the key up");
}

#[tokio::test]
async fn the_api_can_hang_and_then_break() {
    let world = World::start().await;
    world.stripe().set(&Switch::once(M::ApiTimeout)).unwrap();
    world.post(SESSIONS, ORDER).send().await.unwrap_err();
    assert!(world.stripe().sessions().is_empty());
}

#[tokio::test]
async fn switches_come_by_request_and_from_the_page() {
    let world = World::start().await;
    let home = format!("{}/sandbox/stripe", world.sandbox.base_url());
    let list = r#"["api_500", {"kind": "duplicate", "copies": 2, "standing": true}]"#;
    let json = world.http.post(format!("{home}/misbehave")).header("content-type", "application/json");
    assert_eq!(json.body(list).send().await.unwrap().status(), 200);
    assert_eq!(world.stripe().active().len(), 2);
    let fields = [("kind", "delay"), ("lasts", "2"), ("on", ""), ("copies", ""), ("connections", "")];
    let fields: Vec<_> = fields.into_iter().chain([("delay_ms", "5"), ("message", "")]).collect();
    let sent = crate::world::form(world.http.post(format!("{home}/switch")), &fields).send().await.unwrap();
    assert_eq!(sent.status(), 303);
    assert_eq!(world.stripe().active()[2], Switch::times(M::Delay, 2).delay_ms(5));
    world.http.post(format!("{home}/clear")).send().await.unwrap();
    assert!(world.stripe().active().is_empty());
    let json = world.http.post(format!("{home}/misbehave")).header("content-type", "application/json");
    let wrong = json.body(r#"[{"kind":"delay","times":100001}]"#).send().await.unwrap();
    assert!(wrong.status().is_client_error());
}
