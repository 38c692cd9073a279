//! Click's own fifteen cases, driven by hand against the recording merchant, and messages nobody would send.

use sessile_sandbox::click::Message;

use crate::merchant::AMOUNT;
use crate::world::{World, config};

async fn error(world: &World, message: &Message) -> i64 {
    world.click().send(message).await.error().unwrap()
}

#[tokio::test]
async fn the_official_cases_can_be_driven_by_hand() {
    let world = World::with(config(), ["a", "b", "c"].map(str::to_owned)).await;
    let click = world.click();
    let prepare = click.prepare_message("a", AMOUNT);
    assert_eq!(error(&world, &prepare.clone().tampered("sign_string", "x")).await, -1);
    assert_eq!(error(&world, &prepare.clone().with("merchant_trans_id", "nobody")).await, -5);
    let id = |reply: sessile_sandbox::click::Reply| reply.merchant_prepare_id().unwrap();
    let complete = click.complete_message(&prepare, &id(click.send(&prepare).await));
    assert_eq!(error(&world, &complete.clone().tampered("sign_string", "x")).await, -1);
    assert_eq!(error(&world, &complete.clone().with("amount", "300")).await, -2);
    assert_eq!(error(&world, &complete).await, 0);
    assert_eq!(error(&world, &complete).await, -4);
    assert_eq!(error(&world, &complete.clone().with("error", "-5017")).await, -9);

    let prepare = click.prepare_message("b", AMOUNT);
    let complete = click.complete_message(&prepare, &id(click.send(&prepare).await));
    assert_eq!(error(&world, &complete.clone().with("merchant_prepare_id", "999999999")).await, -6);
    assert_eq!(error(&world, &complete).await, 0);

    let prepare = click.prepare_message("c", AMOUNT);
    let complete = click.complete_message(&prepare, &id(click.send(&prepare).await));
    let cancel = complete.clone().with("error", "-5017");
    assert_eq!(error(&world, &cancel).await, -9);
    assert_eq!(error(&world, &cancel).await, -9);
    assert_eq!(error(&world, &complete).await, -9);
    assert!(click.payments().is_empty(), "messages by hand are not in Click's books");
}

#[tokio::test]
async fn any_field_and_any_url_can_be_chosen() {
    let world = World::with(config(), ["a".to_owned()]).await;
    let prepare = world.click().prepare_message("a", AMOUNT).with("click_trans_id", "9007199254740993");
    let reply = world.click().send_complete(&prepare.clone().with("action", "7")).await;
    assert!(reply.error().is_some());
    let reply = world.click().send_prepare(&prepare.omitted("error_note").appended("extra", "1")).await;
    assert_eq!(
        (reply.error(), reply.field("click_trans_id").as_deref()),
        (Some(0), Some("9007199254740993"))
    );
    let received = world.merchant.received();
    assert_eq!(received[0]["action"], "7");
    assert!(!received[1].contains_key("error_note") && received[1]["extra"] == "1");
}
