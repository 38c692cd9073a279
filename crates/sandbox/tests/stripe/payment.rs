//! Ways to pay, and what each one tells the application.

use serde_json::Value;
use sessile_sandbox::stripe::{
    ChargeStatus, Decline, IntentStatus, Misbehaviour, Paid, PayWith, PaymentStatus, SessionStatus,
    Settlement, StripeError, Switch,
};

use crate::world::{SESSIONS, World, order_with};

fn states(world: &World, id: &str) -> (SessionStatus, PaymentStatus) {
    let session = world.stripe().session(id).unwrap();
    (session.status, session.payment_status)
}

#[tokio::test]
async fn a_card_pays_and_both_families_of_events_say_so() {
    let world = World::start().await;
    let id = world.session().await;
    assert_eq!(world.stripe().pay(&id, PayWith::Card), Ok(Paid::Complete));
    assert_eq!(states(&world, &id), (SessionStatus::Complete, PaymentStatus::Paid));
    world.told().await;
    assert_eq!(world.application.kinds(), ["payment_intent.succeeded", "checkout.session.completed"]);
    let completed = world.application.received()[1].json();
    let object = &completed["data"]["object"];
    assert_eq!((&object["id"], &object["payment_status"]), (&id.as_str().into(), &"paid".into()));
    assert_eq!(object["client_reference_id"], "gen_1");
    assert_eq!(object["payment_intent"], world.stripe().payment_intent(&id).unwrap().id.as_str());
    assert_eq!(completed["object"], "event");
    assert!(completed["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(completed["api_version"], sessile_sandbox::stripe::API_VERSION);
    assert_eq!((&completed["livemode"], &completed["pending_webhooks"]), (&false.into(), &1.into()));
    assert_eq!(completed["request"]["id"], Value::Null);
    let again = world.stripe().pay(&id, PayWith::Card).unwrap_err();
    assert_eq!(again, StripeError::NotOpen { id, status: SessionStatus::Complete });
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open() {
    let world = World::start().await;
    let id = world.session().await;
    let declined = world.stripe().pay(&id, PayWith::DeclinedCard(Decline::Generic));
    assert_eq!(declined, Ok(Paid::Declined(Decline::Generic)));
    assert_eq!(states(&world, &id), (SessionStatus::Open, PaymentStatus::Unpaid));
    world.told().await;
    assert_eq!(world.application.kinds(), ["payment_intent.payment_failed"]);
    let failed = world.application.received()[0].json();
    assert_eq!(failed["data"]["object"]["last_payment_error"]["message"], "Your card was declined.");
    assert_eq!(world.stripe().pay(&id, PayWith::Card), Ok(Paid::Complete));
    let charges: Vec<ChargeStatus> = world.stripe().charges(&id).iter().map(|charge| charge.status).collect();
    assert_eq!(charges, [ChargeStatus::Failed, ChargeStatus::Succeeded]);
}

#[tokio::test]
async fn a_bank_debit_completes_unpaid_and_settles_later() {
    let world = World::start().await;
    let id = world.session().await;
    assert_eq!(world.stripe().pay(&id, PayWith::BankDebit), Ok(Paid::Pending));
    assert_eq!(states(&world, &id), (SessionStatus::Complete, PaymentStatus::Unpaid));
    assert_eq!(world.stripe().payment_intent(&id).unwrap().status, IntentStatus::Processing);
    world.told().await;
    assert_eq!(world.application.received()[0].json()["data"]["object"]["payment_status"], "unpaid");
    world.stripe().settle(&id, Settlement::Succeeds).unwrap();
    assert_eq!(states(&world, &id), (SessionStatus::Complete, PaymentStatus::Paid));
    world.told().await;
    let settled = ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"];
    assert_eq!(world.application.kinds()[1..], settled);
    let twice = world.stripe().settle(&id, Settlement::Fails).unwrap_err();
    assert_eq!(twice, StripeError::NothingPending(id));
}

#[tokio::test]
async fn a_bank_debit_can_fail() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::BankDebit).unwrap();
    world.stripe().settle(&id, Settlement::Fails).unwrap();
    assert_eq!(states(&world, &id), (SessionStatus::Complete, PaymentStatus::Unpaid));
    world.told().await;
    let mut kinds = world.application.kinds();
    kinds.sort();
    let failed = [
        "checkout.session.async_payment_failed",
        "checkout.session.completed",
        "payment_intent.payment_failed",
    ];
    assert_eq!(kinds, failed);
}

#[tokio::test]
async fn a_bank_debit_settles_by_itself_where_that_is_configured() {
    let mut config = crate::world::config();
    config.settle_after = Some(std::time::Duration::from_millis(20));
    let world = World::with(config).await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::BankDebit).unwrap();
    let settled = async {
        while states(&world, &id).1 != PaymentStatus::Paid {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), settled).await.unwrap();
}

#[tokio::test]
async fn nothing_to_pay_needs_no_payment() {
    let world = World::start().await;
    let order = order_with("line_items[0][price]", "price_free");
    let session: Value = world.post(SESSIONS, &order).send().await.unwrap().json().await.unwrap();
    let id = session["id"].as_str().unwrap();
    world.stripe().pay(id, PayWith::Card).unwrap();
    assert_eq!(states(&world, id), (SessionStatus::Complete, PaymentStatus::NoPaymentRequired));
    world.told().await;
    assert_eq!(world.application.kinds(), ["checkout.session.completed"]);
    assert!(world.stripe().payment_intent(id).is_none());
}

#[tokio::test]
async fn a_card_can_complete_unpaid_on_request() {
    let world = World::start().await;
    let (other, id) = (world.session().await, world.session().await);
    world.stripe().set(&Switch::once(Misbehaviour::UnpaidCompleted).on(&id)).unwrap();
    assert_eq!(world.stripe().pay(&other, PayWith::Card), Ok(Paid::Complete));
    assert_eq!(world.stripe().pay(&id, PayWith::Card), Ok(Paid::Pending));
    world.stripe().settle(&id, Settlement::Succeeds).unwrap();
}

#[tokio::test]
async fn refunds_and_disputes_are_told() {
    let world = World::start().await;
    let id = world.session().await;
    assert!(world.stripe().dispute(&id).is_err(), "nothing was paid");
    world.stripe().pay(&id, PayWith::Card).unwrap();
    assert_eq!(world.stripe().refund(&id, Some(97)).unwrap().amount, 97);
    world.stripe().dispute(&id).unwrap();
    world.told().await;
    let intent = world.stripe().payment_intent(&id).unwrap().id;
    for received in world.application.received() {
        let event = received.json();
        let object = &event["data"]["object"];
        match event["type"].as_str().unwrap() {
            "charge.refunded" => {
                assert_eq!((&object["amount_refunded"], &object["refunded"]), (&97.into(), &false.into()));
                assert_eq!(object["payment_intent"], intent.as_str());
            }
            "charge.dispute.created" => {
                assert_eq!((&object["status"], &object["amount"]), (&"needs_response".into(), &897.into()));
                assert_eq!(object["payment_intent"], intent.as_str());
            }
            _ => {}
        }
    }
    let kinds = world.application.kinds();
    assert!(kinds.contains(&"charge.refunded".into()) && kinds.contains(&"charge.dispute.created".into()));
    assert!(world.stripe().charges(&id)[0].disputed);
}
