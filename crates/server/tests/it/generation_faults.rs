//! Creating a payment page while the store fails at any of its calls: before it is carried out or after, once or for good.
//! Whatever happens, the record is there before money can move, Stripe knows one page under one key, a page whose record
//! could not be bound is closed, and whatever was paid all the same has its prompt.

use crate::generation_world::{Fault, PATIENCE, SINGLE, Studio, until};
use crate::shop::Said;
use futures_util::future::join_all;
use serde_json::json;
use sessile_core::generation::{GenerationKey, Money, Status};
use sessile_core::{Clock as _, SystemClock};
use sessile_sandbox::stripe::{CheckoutSession, Misbehaviour, PayWith, SessionStatus, Switch};

const CREATE: &str = "POST /v1/checkout/sessions";
const EXPIRE: &str = "POST /v1/checkout/sessions/{id}/expire";
/// More than any order of calls has.
const CALLS_MAX: usize = 30;

async fn order(studio: &Studio) -> Said {
    let body = json!({ "priceId": SINGLE, "prompt": "a cat", "quantity": 2 });
    studio.post("/api/create-checkout", &body).await
}

/// What holds after any fault.
async fn hold(studio: &Studio, said: &Said, about: &str) {
    let sessions = studio.stripe().sessions();
    let open: Vec<&CheckoutSession> =
        sessions.iter().filter(|session| session.status == SessionStatus::Open).collect();
    if said.status == 200 {
        let id = said.json()["sessionId"].as_str().unwrap().to_owned();
        assert_eq!(studio.job(&id).await.prompt, "a cat", "{about}");
        assert_eq!(open.iter().map(|session| &session.id).collect::<Vec<_>>(), [&id], "{about}");
    } else {
        assert_eq!(said.status, 500, "{about}: {said:?}");
        assert!(said.text.contains("Failed to create checkout session"), "{about}: {said:?}");
        assert_eq!(open.len(), 0, "{about}: a page is open that nobody answers for");
    }
    for session in &sessions {
        let own = GenerationKey::parse(session.client_reference_id.as_deref().unwrap()).unwrap();
        let job = studio.store.load(&own, SystemClock.now()).await.unwrap();
        assert_eq!(job.unwrap().prompt, "a cat", "{about}: Stripe was asked and there was no record");
    }
    for call in studio.stripe().log().iter().filter(|call| call.route == CREATE) {
        let of = |name: &str| call.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!(call.idempotency_key, of("client_reference_id"), "{about}");
    }
}

/// The N-th call fails for N = 1, 2, 3… until none does any more; answers how many there are.
async fn every_call(fault: impl Fn(usize) -> Fault, stripe: &[Switch]) -> usize {
    for number in 1..CALLS_MAX {
        let fault = fault(number);
        let studio = Studio::begin(&[], Some(fault)).await;
        studio.stripe().misbehave(stripe).unwrap();
        let said = order(&studio).await;
        hold(&studio, &said, &format!("{fault:?}")).await;
        if studio.calls() < number {
            assert_eq!(said.status, 200, "{fault:?}: nothing failed");
            return number - 1;
        }
    }
    panic!("there is always one more call")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_dies_at_any_call() {
    assert_eq!(every_call(Fault::Before, &[]).await, 2, "one to store, one to bind");
    assert_eq!(every_call(Fault::After, &[]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_loses_any_one_call() {
    let stumbles = [Switch::once(Misbehaviour::LostReply).on(CREATE)];
    assert_eq!(every_call(Fault::BeforeOnce, &stumbles).await, 2);
    assert_eq!(every_call(Fault::AfterOnce, &stumbles).await, 2);
}

/// Neither the record can be bound nor the page be closed, and somebody pays: the record was there before.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stays_open_and_is_paid_has_its_prompt() {
    let studio = Studio::begin(&[], Some(Fault::Between(2, 5))).await;
    studio.stripe().misbehave(&[Switch::standing(Misbehaviour::Api500).on(EXPIRE)]).unwrap();
    let said = order(&studio).await;
    assert_eq!(said.status, 500, "{said:?}");
    let [page] = studio.stripe().sessions().try_into().unwrap();
    assert_eq!(page.status, SessionStatus::Open, "it could not be closed");
    let own = page.client_reference_id.clone().unwrap();
    assert_eq!(studio.job(&own).await.own().money, Money::Awaited);
    studio.stripe().pay(&page.id, PayWith::Card).unwrap();
    let _workers = studio.workers();
    studio.becomes(&page.id, "completed").await;
    let job = studio.job(&page.id).await;
    assert_eq!((job.prompt.as_str(), job.own().id.as_str()), ("a cat", own.as_str()));
    assert_eq!(studio.maker().generations_of("a cat").len(), 2);
}

/// The store fails some calls in a row, anywhere between the page and the videos.
#[tokio::test(flavor = "multi_thread")]
async fn whichever_calls_of_the_work_fail_every_video_is_made_once() {
    let lived = async |from: usize| {
        let settings = [("SESSILE_GENERATION_LEASE_SECONDS", Some("4"))];
        let studio = Studio::begin(&settings, Some(Fault::Between(from, from + 2))).await;
        let id = order(&studio).await.json()["sessionId"].as_str().unwrap().to_owned();
        studio.stripe().pay(&id, PayWith::Card).unwrap();
        let _workers = studio.workers();
        until("it is made", async || studio.job(&id).await.status == Status::Completed).await;
        assert!(studio.stripe().delivered(PATIENCE).await);
        assert_eq!(studio.maker().generations_of("a cat").len(), 2, "calls from {from} on");
    };
    join_all((3..13).map(lived)).await;
}

/// Who ordered has hung up before Stripe answered: nobody is sent to the page, and it is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_waits_for_any_more_is_closed() {
    let studio = Studio::closed().await;
    let slow = Switch::once(Misbehaviour::ApiSlow).on(CREATE).delay_ms(1500);
    studio.stripe().misbehave(&[slow]).unwrap();
    let hung_up = tokio::time::timeout(std::time::Duration::from_millis(500), order(&studio)).await;
    assert!(hung_up.is_err(), "it was answered before anybody could hang up");
    until("the page is closed", async || {
        studio.stripe().sessions().iter().any(|session| session.status == SessionStatus::Expired)
    })
    .await;
}
