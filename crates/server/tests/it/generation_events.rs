//! Stripe's messages to paid jobs: any number of times, in any order, early, late, about nothing and from nobody.

use crate::generation_world::{Fault, PATIENCE, SINGLE, Studio, WEBHOOK_SECRET, until};
use crate::shop::Said;
use reqwest::Method;
use serde_json::{Value, json};
use sessile_core::generation::{Flag, Money, Refund, Status};
use sessile_core::{Clock as _, SystemClock};
use sessile_sandbox::stripe::{Decline, Misbehaviour, PayWith, Settlement, Switch, signature_header};
use sessile_sandbox::superduperai::GENERATE;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_messages_is_one_job() {
    let (studio, _workers) = Studio::open().await;
    let orders = [("a storm", 3), ("a squall", 1)];
    let mut events = Vec::new();
    let mut ids = Vec::new();
    for (prompt, count) in orders {
        let id = studio.order(prompt, count).await;
        studio.stripe().pay(&id, PayWith::Card).unwrap();
        events.extend(studio.stripe().events_of(&id).into_iter().map(|event| event.id));
        ids.push(id);
    }
    let kinds: Vec<String> = studio.stripe().events().into_iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&"payment_intent.succeeded".to_owned()), "{kinds:?}");
    let answers = studio.stripe().deliver_shuffled(&events, 100, 16).await.unwrap();
    assert!(answers.len() >= 400 && answers.iter().all(|answer| answer.acknowledges()), "{}", answers.len());
    for ((prompt, count), id) in orders.into_iter().zip(&ids) {
        studio.becomes(id, "completed").await;
        assert_eq!(studio.maker().generations_of(prompt).len(), count as usize);
        // Once more, when all is over.
        studio.stripe().deliver_shuffled(&events, 5, 16).await.unwrap();
        studio.all_applied().await;
        let job = studio.job(id).await;
        assert_eq!((job.status, job.own().money), (Status::Completed, Money::Paid));
        assert_eq!(job.own().events.len(), 1, "{:?}", job.own().events);
        assert_eq!(studio.maker().generations_of(prompt).len(), count as usize);
    }
    assert_eq!(studio.maker().count(GENERATE), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn payment_intent_succeeded_starts_nothing() {
    let (studio, _workers) = Studio::open().await;
    let on = "checkout.session.completed";
    studio.stripe().misbehave(&[Switch::standing(Misbehaviour::Withhold).on(on)]).unwrap();
    let id = studio.order("a cat", 1).await;
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    studio.all_applied().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(studio.status(&id).await["status"], json!("pending"));
    assert_eq!(studio.maker().count(GENERATE), 0);
    let held = studio.stripe().events_of(&id).into_iter().find(|event| event.kind == on).unwrap();
    studio.stripe().deliver_again(&held.id, 2, 2).await.unwrap();
    studio.becomes(&id, "completed").await;
    assert_eq!(studio.maker().count(GENERATE), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_on_its_way_arrives_or_does_not() {
    let (studio, _workers) = Studio::open().await;
    let (comes, stays_away) = (studio.order("comes", 1).await, studio.order("does not come", 1).await);
    for id in [&comes, &stays_away] {
        studio.stripe().pay(id, PayWith::BankDebit).unwrap();
    }
    studio.all_applied().await;
    for id in [&comes, &stays_away] {
        assert_eq!(studio.status(id).await["status"], json!("pending"));
        assert_eq!(studio.job(id).await.own().money, Money::Delayed);
    }
    assert_eq!(studio.maker().count(GENERATE), 0);
    studio.stripe().settle(&comes, Settlement::Succeeds).unwrap();
    studio.stripe().settle(&stays_away, Settlement::Fails).unwrap();
    studio.becomes(&comes, "completed").await;
    let failed = studio.becomes(&stays_away, "error").await;
    assert_eq!(failed["error"], json!("The payment did not go through. Nothing was charged."));
    assert_eq!(studio.maker().count(GENERATE), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_declined_refunded_and_disputed() {
    let (studio, _workers) = Studio::open().await;
    let expired = studio.order("late", 1).await;
    studio.stripe().expire(&expired).unwrap();
    let over = studio.becomes(&expired, "error").await;
    assert!(over["error"].as_str().unwrap().contains("expired"), "{over}");

    let declined = studio.order("second try", 1).await;
    studio.stripe().pay(&declined, PayWith::DeclinedCard(Decline::InsufficientFunds)).unwrap();
    assert!(studio.stripe().delivered(PATIENCE).await);
    assert_eq!(studio.status(&declined).await["status"], json!("pending"));
    studio.stripe().pay(&declined, PayWith::Card).unwrap();
    studio.becomes(&declined, "completed").await;
    until("the decline is noted", async || {
        studio.job(&declined).await.own().flags.contains(&Flag::PaymentFailed)
    })
    .await;

    let refunded = studio.order("refunded", 1).await;
    let disputed = studio.order("disputed", 1).await;
    for id in [&refunded, &disputed] {
        studio.stripe().pay(id, PayWith::Card).unwrap();
        studio.becomes(id, "completed").await;
    }
    studio.stripe().refund(&refunded, None).unwrap();
    studio.stripe().dispute(&disputed).unwrap();
    studio.all_applied().await;
    let (refunded, disputed) = (studio.job(&refunded).await, studio.job(&disputed).await);
    assert_eq!((refunded.own().flags.clone(), refunded.own().refund), (vec![Flag::Refunded], Refund::Done));
    assert_eq!(disputed.own().flags, [Flag::Disputed]);
    assert_eq!((refunded.status, disputed.status), (Status::Completed, Status::Completed));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_finds_the_job_of_a_payment() {
    let studio = Studio::closed().await;
    let id = studio.order("a cat", 1).await;
    let first = studio.workers();
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    studio.becomes(&id, "completed").await;
    first.stop().await;
    // It never saw the payment of this session.
    let _second = studio.workers();
    studio.stripe().refund(&id, None).unwrap();
    studio.all_applied().await;
    assert_eq!(studio.job(&id).await.own().flags, [Flag::Refunded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_be_faster_than_the_answer() {
    let (studio, _workers) = Studio::open().await;
    let switch = Switch::once(Misbehaviour::WebhookBeforeReply).on("POST /v1/checkout/sessions");
    studio.stripe().misbehave(&[switch]).unwrap();
    let id = studio.order("fast", 2).await;
    studio.becomes(&id, "completed").await;
    assert_eq!(studio.maker().generations_of("fast").len(), 2);
    let own = studio.stripe().session(&id).unwrap().client_reference_id.unwrap();
    assert_eq!(studio.job(&own).await.key().as_str(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_session_is_kept_tried_again_and_shown() {
    let (studio, _workers) = Studio::open().await;
    let session = json!({ "id": "cs_test_nobody", "object": "checkout.session", "payment_status": "paid",
        "status": "complete", "payment_intent": "pi_nobody" });
    let completed = studio.stripe().emit("checkout.session.completed", session);
    let charge =
        json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_stranger", "refunded": true });
    let refunded = studio.stripe().emit("charge.refunded", charge);
    assert!(studio.stripe().delivered(PATIENCE).await);
    let shown =
        async || studio.staff(Method::GET, "/v1/generations/events", None).await.json()["data"].clone();
    until("both are tried again", async || {
        let waiting = shown().await;
        let tried = |id: &str| {
            let all = waiting.as_array().unwrap();
            all.iter().any(|event| event["id"] == id && event["attempts"].as_u64().unwrap() >= 2)
        };
        tried(&completed) && tried(&refunded)
    })
    .await;
    let waiting = shown().await;
    let about = |id: &str| {
        let event = waiting.as_array().unwrap().iter().find(|event| event["id"] == id);
        event.unwrap()["sessionId"].clone()
    };
    assert_eq!((about(&completed), about(&refunded)), (json!("cs_test_nobody"), Value::Null));
    assert_eq!(studio.maker().count(GENERATE), 0);
    let said = studio.get("/v1/generations/events").await;
    assert_eq!(said.code(), (401, "token_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_stripe_is_believed() {
    let studio = Studio::closed().await;
    let body = json!({ "id": "evt_1", "object": "event", "type": "invoice.paid", "data": { "object": {} } })
        .to_string();
    let now = SystemClock.now().unix_seconds();
    let sign = |secret: &str, at: i64| signature_header(&[secret.to_owned()], at, body.as_bytes());
    let ours = sign(WEBHOOK_SECRET, now);
    let wrong = json!({ "error": "Invalid signature" });
    let two_times = format!("t={now},{ours}");
    let refused = [
        None,
        Some(String::new()),
        Some("t=1".to_owned()),
        Some(sign("whsec_other", now)),
        Some(sign(WEBHOOK_SECRET, now - 305)),
        Some(sign(WEBHOOK_SECRET, now + 305)),
        Some(two_times),
        Some(ours.to_uppercase()),
    ];
    for signature in refused {
        let answer = studio.stripe().post_raw(signature.as_deref(), &body).await.unwrap();
        assert_eq!(answer.status(), Some(400), "{signature:?}");
    }
    let post = async |signature: &str, body: &str| {
        let request =
            studio.request(Method::POST, "/api/webhooks/stripe").header("stripe-signature", signature);
        Said::of(request.body(body.to_owned()).send().await.unwrap()).await
    };
    post(&ours, "").await.is(400, &json!({ "error": "Empty payload" }));
    post(&ours, &body.replace("invoice", "Invoice")).await.is(400, &wrong);
    assert!(studio.store.waiting(10).await.unwrap().is_empty(), "nothing of that was kept");
    let received = json!({ "received": true });
    post(&ours, &body).await.is(200, &received);
    post(&sign("whsec_rotated", now), &body).await.is(200, &received);
    let rolling =
        signature_header(&["whsec_new".to_owned(), WEBHOOK_SECRET.to_owned()], now - 290, body.as_bytes());
    post(&rolling, &body).await.is(200, &received);
    assert_eq!(studio.store.waiting(10).await.unwrap().len(), 1, "one message, however often");
    for misbehaviour in [
        Misbehaviour::WrongSignature,
        Misbehaviour::ChangedBody,
        Misbehaviour::OldTimestamp,
        Misbehaviour::FutureTimestamp,
        Misbehaviour::MissingSignature,
        Misbehaviour::RotatedSecret,
    ] {
        studio.stripe().misbehave(&[Switch::once(misbehaviour)]).unwrap();
        let event = studio.stripe().emit("invoice.paid", json!({}));
        assert!(studio.stripe().delivered(PATIENCE).await);
        drop(event);
    }
    assert_eq!(studio.store.waiting(10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_kept_is_not_answered() {
    let studio = Studio::begin(&[], Some(Fault::Before(1))).await;
    let body = json!({ "id": "evt_1", "object": "event", "type": "invoice.paid", "data": { "object": {} } })
        .to_string();
    let signature =
        signature_header(&[WEBHOOK_SECRET.to_owned()], SystemClock.now().unix_seconds(), body.as_bytes());
    let request = studio.request(Method::POST, "/api/webhooks/stripe").header("stripe-signature", signature);
    let said = Said::of(request.body(body).send().await.unwrap()).await;
    said.is(500, &json!({ "error": "Webhook processing failed" }));
    let status = studio.get("/api/webhook-status/cs_test_1").await;
    status.is(500, &json!({ "error": "Internal server error" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_routes() {
    let (studio, _workers) = Studio::open().await;
    let id = studio.order("a cat", 1).await;
    let list = studio.staff(Method::GET, "/v1/generations?status=pending", None).await;
    let first: Value = list.json()["data"][0].clone();
    assert_eq!((list.status, &first["sessionId"], &first["promptBytes"]), (200, &json!(id), &json!(5)));
    assert!(
        first["prompt"].is_null() && first["remedy"].as_str().unwrap().contains("Nothing has to be done")
    );
    let show = studio.staff(Method::GET, &format!("/v1/generations/{id}"), None).await.json();
    assert_eq!((&show["prompt"], &show["priceId"]), (&json!("a cat"), &json!(SINGLE)));
    for (method, path, status, code) in [
        (Method::GET, "/v1/generations/cs_test_nobody".to_owned(), 404, "generation_not_found"),
        (Method::GET, "/v1/generations?status=lost".to_owned(), 400, "invalid_parameter"),
        (Method::POST, format!("/v1/generations/{id}/retry"), 409, "generation_not_retryable"),
        (Method::POST, format!("/v1/generations/{id}/refund"), 409, "nothing_to_refund"),
        (Method::POST, "/v1/generations/gen_nobody/retry".to_owned(), 404, "generation_not_found"),
    ] {
        assert_eq!(studio.staff(method, &path, None).await.code(), (status, code.to_owned()), "{path}");
    }
    let stranger = studio.get(&format!("/v1/generations/{id}")).await;
    assert_eq!(stranger.code(), (401, "token_required".to_owned()));
}
