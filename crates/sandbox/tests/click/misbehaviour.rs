//! Every misbehaviour as the merchant sees it.

use sessile_sandbox::click::{Attempt, AttemptState as S, Misbehaviour as M, Step, Switch};
use std::time::{Duration, Instant};

use crate::merchant::{AMOUNT, Script};
use crate::world::{ORDER, World};

async fn pay_with(world: &World, switch: Switch) -> Attempt {
    world.click().set(&switch).unwrap();
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert!(world.click().active().is_empty(), "{switch:?} was not used up");
    attempt
}

#[tokio::test]
async fn bad_signature() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::BadSignature)).await;
    assert_eq!((attempt.state, attempt.refusal), (S::Refused, Some(-1)));

    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::BadSignature).on(Step::Complete)).await;
    assert_eq!(attempt.messages[1].reply.error(), Some(-1));
    assert_eq!((attempt.state, attempt.confirmed), (S::Successful, 1), "Click repeats it with the right one");
}

#[tokio::test]
async fn repeat() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::Repeat).copies(5, 5).on(Step::Complete)).await;
    assert_eq!(world.merchant.story().len(), 6);
    assert_eq!((attempt.confirmed, attempt.already_paid), (1, 4));
    assert_eq!((attempt.state, attempt.debited_tiyin), (S::Successful, 100_000));

    let world = World::start().await;
    world.click().misbehave(&[Switch::standing(M::Repeat).copies(3, 1)]).unwrap();
    world.click().pay(ORDER, AMOUNT).await.unwrap();
    let expected = ["prepare", "prepare", "prepare", "complete", "complete", "complete"];
    assert_eq!(world.merchant.story(), expected);
    assert_eq!(world.click().active().len(), 1, "a standing switch stays");
}

#[tokio::test]
async fn copies_come_over_so_many_connections_at_once() {
    for (connections, peak) in [(1, 1), (2, 2), (6, 6)] {
        let world = World::start().await;
        world.merchant.script(&vec![Script::Hang(Duration::from_millis(60)); 6]);
        let repeat = Switch::once(M::Repeat).copies(6, connections).on(Step::Prepare);
        pay_with(&world, repeat).await;
        assert_eq!(world.merchant.hanging_peak(), peak);
    }
}

#[tokio::test]
async fn lost_reply() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::LostReply).on(Step::Complete)).await;
    assert_eq!(world.merchant.story(), ["prepare", "complete", "complete"]);
    assert_eq!((attempt.confirmed, attempt.already_paid, attempt.state), (1, 1, S::Successful));
    assert!(attempt.messages[1].lost && !attempt.messages[2].lost);

    let world = World::start().await;
    pay_with(&world, Switch::once(M::LostReply)).await;
    assert_eq!(world.merchant.story(), ["prepare", "prepare", "complete"]);
}

#[tokio::test]
async fn wrong_amount() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::WrongAmount).amount("300")).await;
    assert_eq!(world.merchant.received()[1]["amount"], "300");
    assert_eq!((attempt.messages[1].reply.error(), attempt.state), (Some(-2), S::Successful));

    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::WrongAmount).on(Step::Prepare)).await;
    assert_eq!(world.merchant.received()[0]["amount"], "1001.00");
    assert_eq!((attempt.state, attempt.refusal), (S::Refused, Some(-2)));
}

#[tokio::test]
async fn other_paydoc() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::OtherPaydoc)).await;
    let received = world.merchant.received();
    assert_eq!(received[0]["click_paydoc_id"], attempt.click_paydoc_id.to_string());
    assert_ne!(received[1]["click_paydoc_id"], attempt.click_paydoc_id.to_string());
}

#[tokio::test]
async fn prepare_error() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::PrepareError).error(-77)).await;
    assert_eq!(world.merchant.story(), ["prepare!"]);
    assert_eq!(world.merchant.received()[0]["error"], "-77");
    assert_eq!((attempt.state, attempt.debited_tiyin), (S::Cancelled, 0));
}

#[tokio::test]
async fn complete_first() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::CompleteFirst)).await;
    assert_eq!(world.merchant.story(), ["complete", "prepare", "complete"]);
    assert_eq!((attempt.messages[0].reply.error(), attempt.state), (Some(-6), S::Successful));
}

#[tokio::test]
async fn second_attempt() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::SecondAttempt)).await;
    assert_eq!(world.merchant.story()[..2], ["prepare", "prepare"]);
    let received = world.merchant.received();
    assert_ne!(received[0]["click_trans_id"], received[1]["click_trans_id"]);
    let payment = world.click().payment(ORDER).unwrap();
    assert_eq!(payment.attempts[1].refusal, Some(-9));
    assert_eq!(payment.debited_tiyin(), 100_000, "one debit for two attempts");
    assert_eq!(payment.foremost().unwrap().click_trans_id, attempt.click_trans_id);
}

#[tokio::test]
async fn prepare_after_debit() {
    let world = World::start().await;
    pay_with(&world, Switch::once(M::PrepareAfterDebit)).await;
    assert_eq!(world.merchant.story(), ["prepare", "prepare", "complete"]);

    // After a Complete whose answer was lost the repeated Prepare says -4, and no Complete follows.
    let world = World::start().await;
    let lost = Switch::once(M::LostReply).on(Step::Complete);
    world.click().misbehave(&[Switch::times(M::PrepareAfterDebit, 2), lost]).unwrap();
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!(world.merchant.story(), ["prepare", "prepare", "complete", "prepare"]);
    assert_eq!((attempt.state, attempt.confirmed), (S::Successful, 1));
}

#[tokio::test]
async fn late_complete() {
    let world = World::start().await;
    let start = Instant::now();
    let attempt = pay_with(&world, Switch::once(M::LateComplete).delay_ms(120)).await;
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(attempt.state, S::Successful);
}

#[tokio::test]
async fn never_complete() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::NeverComplete)).await;
    assert_eq!(world.merchant.story(), ["prepare"]);
    assert_eq!((attempt.state, attempt.debited_tiyin, attempt.acknowledged()), (S::Successful, 100_000, 0));
}

#[tokio::test]
async fn complete_twice() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::CompleteTwice)).await;
    assert_eq!(world.merchant.story(), ["prepare", "complete", "complete"]);
    assert_eq!((attempt.confirmed, attempt.already_paid), (1, 1));
}

#[tokio::test]
async fn cancel_after_success() {
    let world = World::start().await;
    let attempt = pay_with(&world, Switch::once(M::CancelAfterSuccess)).await;
    assert_eq!(world.merchant.story(), ["prepare", "complete", "cancel"]);
    assert_eq!((attempt.state, attempt.returned_tiyin), (S::Successful, 0));
}

#[tokio::test]
async fn success_after_cancel() {
    let world = World::start().await;
    world.click().set(&Switch::once(M::SuccessAfterCancel)).unwrap();
    world.click().start_payment(ORDER, AMOUNT).await.unwrap();
    let attempt = world.click().cancel(ORDER).await.unwrap();
    assert_eq!(world.merchant.story(), ["prepare", "cancel", "complete"]);
    assert_eq!((attempt.state, attempt.debited_tiyin, attempt.acknowledged()), (S::Cancelled, 0, 0));
}

#[tokio::test]
async fn a_switch_for_one_order_leaves_the_others_alone() {
    let world = World::start().await;
    world.click().set(&Switch::once(M::NeverComplete).for_order("another")).unwrap();
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!(attempt.acknowledged(), 1);
    assert_eq!(world.click().active().len(), 1);
}

#[tokio::test]
async fn switches_come_by_request_and_by_form_and_the_page_shows_them() {
    let world = World::start().await;
    let base = format!("{}/sandbox/click", world.sandbox.base_url());
    let list =
        serde_json::json!(["bad_signature", { "kind": "late_complete", "delay_ms": 5, "standing": true }]);
    let response = world.http.post(format!("{base}/misbehave")).json(&list).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let form = "kind=repeat&lasts=2&order=&on=complete&copies=4&connections=2&delay_ms=&error=&amount=";
    let request = world.http.post(format!("{base}/switch")).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(request.send().await.unwrap().status(), 303);
    assert_eq!(
        world.click().active(),
        [
            Switch::once(M::BadSignature),
            Switch::standing(M::LateComplete).delay_ms(5),
            Switch::times(M::Repeat, 2).copies(4, 2).on(Step::Complete),
        ]
    );
    let page = world.http.get(&base).header("accept", "text/html").send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("late_complete") && page.contains("standing") && page.contains("2 more"), "{page}");
    let wrong = serde_json::json!([{ "kind": "repeat", "copies": 0 }]);
    let response = world.http.post(format!("{base}/misbehave")).json(&wrong).send().await.unwrap();
    assert_eq!((response.status().as_u16(), world.click().active().len()), (400, 3));
    assert_eq!(world.http.post(format!("{base}/clear")).send().await.unwrap().status(), 303);
    assert!(world.click().active().is_empty());
}
