//! Deliveries: signed, repeated, given up, delivered again by hand.

use sessile_sandbox::stripe::{Answer, EventState, PayWith, StripeError, Webhook};
use std::time::Duration;

use crate::application::{Application, SECRET, Script};
use crate::world::World;

const COMPLETED: &str = "checkout.session.completed";

fn completed(world: &World, id: &str) -> sessile_sandbox::stripe::Event {
    world.stripe().events_of(id).into_iter().find(|event| event.kind == COMPLETED).unwrap()
}

#[tokio::test]
async fn every_delivery_is_signed_over_its_exact_body() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    let received = world.application.received();
    assert_eq!(received.len(), 2);
    for received in received {
        assert!(received.signed_with(SECRET) && !received.signed_with("whsec_other"));
    }
    assert_eq!(completed(&world, &id).body.as_bytes(), &world.application.received()[1].body[..]);
}

#[tokio::test]
async fn every_secret_adds_a_signature() {
    let world = World::start().await;
    let url = world.application.listen().await;
    world.stripe().set_webhook(url, ["whsec_new", SECRET]).unwrap();
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    for received in world.application.received() {
        assert!(received.signed_with(SECRET) && received.signed_with("whsec_new"));
        assert_eq!(received.signature.unwrap().matches(",v1=").count(), 2);
    }
}

#[tokio::test]
async fn what_is_not_answered_with_2xx_is_repeated_with_the_same_id_and_body() {
    let world = World::start().await;
    world.application.script(&[Script::Status(500), Script::Status(302), Script::Status(204)]);
    let id = world.session().await;
    world.stripe().expire(&id).unwrap();
    world.told().await;
    let received = world.application.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|one| one.body == received[0].body && one.signed_with(SECRET)));
    let event = &world.stripe().events_of(&id)[0];
    assert_eq!((event.state, event.sent, event.acknowledged), (EventState::Acknowledged, 3, 1));
    let statuses: Vec<Option<u16>> =
        event.deliveries.iter().map(|delivery| delivery.answer.status()).collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(204)]);
}

#[tokio::test]
async fn a_slow_application_is_told_again_and_a_deaf_one_is_given_up() {
    let world = World::start().await;
    world.application.script(&[Script::Hang(Duration::from_secs(2))]);
    let id = world.session().await;
    world.stripe().expire(&id).unwrap();
    world.told().await;
    let event = &world.stripe().events_of(&id)[0];
    assert_eq!(
        (event.state, event.deliveries[0].answer.clone()),
        (EventState::Acknowledged, Answer::Timeout)
    );

    world.application.script(&[Script::Status(500); 4]);
    let id = world.session().await;
    world.stripe().expire(&id).unwrap();
    world.told().await;
    let event = &world.stripe().events_of(&id)[0];
    assert_eq!((event.state, event.sent), (EventState::GivenUp, 4));
}

#[tokio::test]
async fn an_event_is_delivered_again_by_hand_as_often_as_one_likes() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    let event = completed(&world, &id);
    let answers = world.stripe().deliver_again(&event.id, 100, 16).await.unwrap();
    assert_eq!((answers.len(), answers.iter().all(Answer::acknowledges)), (100, true));
    assert_eq!(world.stripe().event(&event.id).unwrap().sent, 101);
    let events: Vec<String> = world.stripe().events_of(&id).iter().map(|event| event.id.clone()).collect();
    let before = world.application.received().len();
    world.stripe().deliver_shuffled(&events, 20, 16).await.unwrap();
    let kinds = world.application.kinds().split_off(before);
    assert_eq!(kinds.len(), events.len() * 20);
    let mut sorted = kinds.clone();
    sorted.sort();
    assert_ne!(kinds, sorted, "nothing was shuffled");
    let none = world.stripe().deliver_again("evt_none", 1, 1).await.unwrap_err();
    assert_eq!(none, StripeError::NoEvent("evt_none".into()));
}

#[tokio::test]
async fn several_processes_are_told_in_turn() {
    let world = World::start().await;
    let (one, two) = (Application::default(), Application::default());
    let webhook = Webhook::in_turn([one.listen().await, two.listen().await], [SECRET]);
    world.stripe().set_webhook_in_turn(webhook).unwrap();
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    assert_eq!((one.received().len(), two.received().len()), (1, 1));
}

#[tokio::test]
async fn what_nobody_listens_to_is_recorded_and_not_delivered() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    world.told().await;
    let charge =
        world.stripe().events_of(&id).into_iter().find(|event| event.kind == "charge.succeeded").unwrap();
    assert_eq!((charge.state, charge.sent), (EventState::NotSubscribed, 0));
}

#[tokio::test]
async fn hand_made_messages_go_out_as_they_are() {
    let world = World::start().await;
    let stripe = world.stripe();
    stripe.post_raw(None, "").await.unwrap();
    stripe.post_raw(Some("t=1,v1=ff"), "{}").await.unwrap();
    stripe.post_signed(r#"{"type":"x"}"#).await.unwrap();
    stripe.emit(COMPLETED, serde_json::json!({ "id": "cs_test_nobody", "object": "checkout.session" }));
    world.told().await;
    let received = world.application.received();
    assert_eq!((received[0].signature.as_deref(), received[0].body.len()), (None, 0));
    assert_eq!(received[1].signature.as_deref(), Some("t=1,v1=ff"));
    assert!(received[2].signed_with(SECRET) && received[3].signed_with(SECRET));
    assert_eq!(stripe.events_of("cs_test_nobody").len(), 1);
}

#[tokio::test]
async fn nobody_outside_this_machine_is_told() {
    let world = World::start().await;
    for url in ["https://127.0.0.1/hook", "http://10.0.0.1/hook", "http://example.com/hook", "nonsense"] {
        let refused = world.stripe().set_webhook(url, [SECRET]).unwrap_err();
        assert_eq!(refused, StripeError::NotLoopback(url.into()));
    }
    assert!(world.stripe().set_webhook("http://127.0.0.1:1/", [""]).is_err());
    assert!(!format!("{:?}", world.sandbox).contains(SECRET));
}
