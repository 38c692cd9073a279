//! A payment from Click's side, and what Click does when the merchant is slow, silent, or says no.

use sessile_sandbox::click::{AfterRefusal, AttemptState as S, ClickConfig, ClickError, Unanswered};
use sessile_sandbox::{Sandbox, SandboxError};
use std::time::Duration;

use crate::merchant::{AMOUNT, Script};
use crate::world::{ORDER, World, config};

#[tokio::test]
async fn prepare_debit_complete() {
    let world = World::start().await;
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!((attempt.state, attempt.debited_tiyin, attempt.returned_tiyin), (S::Successful, 100_000, 0));
    assert_eq!((attempt.confirmed, attempt.already_paid), (1, 0));
    assert_eq!(world.merchant.story(), ["prepare", "complete"]);
    let received = world.merchant.received();
    let (prepare, complete) = (&received[0], &received[1]);
    assert_eq!(prepare["click_trans_id"], attempt.click_trans_id.to_string());
    assert_eq!(prepare["click_paydoc_id"], attempt.click_paydoc_id.to_string());
    assert_eq!((&*prepare["service_id"], &*prepare["merchant_trans_id"]), ("12345", ORDER));
    assert_eq!(prepare["error_note"], "Success");
    assert!(!prepare.contains_key("merchant_prepare_id"));
    assert_eq!(Some(&complete["merchant_prepare_id"]), attempt.merchant_prepare_id.as_ref());
    assert_eq!(prepare["sign_time"].len(), 19);
    assert!(attempt.messages.iter().all(|exchange| exchange.complaints.is_empty()), "{attempt:?}");
}

#[tokio::test]
async fn a_refused_prepare_debits_nothing_and_is_cancelled() {
    let world = World::start().await;
    let attempt = world.click().pay("unknown", AMOUNT).await.unwrap();
    assert_eq!((attempt.state, attempt.refusal, attempt.debited_tiyin), (S::Refused, Some(-5), 0));
    assert_eq!(world.merchant.story(), ["prepare", "cancel"]);

    let mut config = config();
    config.after_refusal = AfterRefusal::Stop;
    let world = World::with(config, []).await;
    world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!(world.merchant.story(), ["prepare"]);
}

#[tokio::test]
async fn silence_is_repeated_with_the_same_ids() {
    let world = World::start().await;
    let hang = Script::Hang(Duration::from_secs(2));
    world.merchant.script(&[hang, Script::Status(503), Script::Body("<html>")]);
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!(attempt.state, S::Successful);
    assert_eq!(world.merchant.story(), ["prepare", "prepare", "prepare", "prepare", "complete"]);
    let replies: Vec<_> = attempt.messages.iter().map(|exchange| exchange.reply.status()).collect();
    assert_eq!(replies, [None, Some(503), Some(200), Some(200), Some(200)]);
    let first = &attempt.messages[0];
    assert_eq!(first.reply, sessile_sandbox::click::Reply::Unanswered(Unanswered::Timeout));
    assert!(
        attempt
            .messages
            .iter()
            .all(|exchange| exchange.sent("click_trans_id") == first.sent("click_trans_id"))
    );
    assert_eq!(attempt.messages[2].complaints, ["the answer is not a JSON object"]);
}

#[tokio::test]
async fn a_merchant_that_never_answers_the_prepare_gets_no_money() {
    let world = World::start().await;
    world.merchant.script(&vec![Script::Status(500); 4]);
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!((attempt.state, attempt.debited_tiyin), (S::Cancelled, 0));
    assert_eq!(world.merchant.story(), ["prepare"; 4]);
}

#[tokio::test]
async fn after_the_debit_click_insists() {
    let world = World::start().await;
    world.click().start_payment(ORDER, AMOUNT).await.unwrap();
    // Done and the answer was a 500, refused, silent; then the repeated Complete finds the order paid.
    world.merchant.script(&[Script::DoneThen500, Script::Error(-7), Script::Status(502)]);
    let attempt = world.click().finish(ORDER).await.unwrap();
    assert_eq!((attempt.state, attempt.confirmed, attempt.already_paid), (S::Successful, 0, 1));
    assert_eq!(world.merchant.story(), ["prepare", "complete", "complete", "complete", "complete"]);
    assert_eq!(world.merchant.fulfilled(ORDER), 1);
}

#[tokio::test]
async fn minus_nine_returns_the_money_and_other_refusals_hang() {
    let world = World::with(config(), [ORDER.to_owned(), "other".to_owned()]).await;
    world.click().start_payment(ORDER, AMOUNT).await.unwrap();
    world.merchant.script(&[Script::Error(-9)]);
    let attempt = world.click().finish(ORDER).await.unwrap();
    assert_eq!(
        (attempt.state, attempt.debited_tiyin, attempt.returned_tiyin),
        (S::Returned, 100_000, 100_000)
    );

    world.click().start_payment("other", AMOUNT).await.unwrap();
    world.merchant.script(&vec![Script::Error(-6); 4]);
    let attempt = world.click().finish("other").await.unwrap();
    assert_eq!((attempt.state, attempt.debited_tiyin, attempt.returned_tiyin), (S::Hanging, 100_000, 0));
    assert!(attempt.note.contains("-6"), "{}", attempt.note);
}

#[tokio::test]
async fn a_prepared_payment_is_cancelled_once() {
    let world = World::start().await;
    assert_eq!(world.click().start_payment(ORDER, AMOUNT).await.unwrap().state, S::Prepared);
    world.merchant.script(&[Script::Status(500)]);
    let attempt = world.click().cancel(ORDER).await.unwrap();
    assert_eq!((attempt.state, attempt.debited_tiyin), (S::Cancelled, 0));
    assert_eq!(world.merchant.story(), ["prepare", "cancel", "cancel"]);
    assert_eq!(world.merchant.received()[1]["error"], "-5017");
    let nothing = ClickError::NothingPrepared(ORDER.to_owned());
    assert_eq!(world.click().cancel(ORDER).await.unwrap_err(), nothing);
    assert_eq!(world.click().finish(ORDER).await.unwrap_err(), nothing);
}

#[tokio::test]
async fn an_answer_without_a_prepare_id_is_no_agreement() {
    let world = World::start().await;
    let body = r#"{"error":0,"error_note":"Success","click_trans_id":1,"merchant_trans_id":"x"}"#;
    world.merchant.script(&[Script::Body(body)]);
    let attempt = world.click().pay(ORDER, AMOUNT).await.unwrap();
    assert_eq!(world.merchant.story(), ["prepare", "prepare", "complete"]);
    let complaints = attempt.messages[0].complaints.join(" ");
    for field in ["click_trans_id", "merchant_trans_id", "merchant_prepare_id"] {
        assert!(complaints.contains(field), "{complaints}");
    }
}

#[tokio::test]
async fn only_loopback_merchants_are_called_and_only_with_an_amount() {
    for url in ["https://127.0.0.1/x", "http://example.com/x", "http://10.0.0.1/x", "nonsense"] {
        let config = ClickConfig::demo().with_callbacks("http://localhost:1/prepare", url);
        let error = Sandbox::start(config).await.unwrap_err();
        assert!(matches!(error, SandboxError::Click(ClickError::NotLoopback(_))), "{url}: {error}");
    }
    let sandbox = Sandbox::start(ClickConfig::demo()).await.unwrap();
    assert_eq!(sandbox.click().pay(ORDER, AMOUNT).await.unwrap_err(), ClickError::NoCallbacks);
    let world = World::start().await;
    for amount in ["0", "-1", "1.234", "1e3", ""] {
        assert_eq!(world.click().pay(ORDER, amount).await.unwrap_err(), ClickError::Amount(amount.into()));
    }
    assert_eq!(world.click().pay("", AMOUNT).await.unwrap_err(), ClickError::Order);
    assert!(world.merchant.received().is_empty() && world.click().payments().is_empty());
}
