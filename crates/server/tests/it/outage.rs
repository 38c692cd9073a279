//! The ledger fails: every call of a purchase, before and after its write. Callers hear 503 and how to go on; doing
//! the same again ends as if nothing had happened.

use crate::shop::{Said, user};
use crate::world::{World, client};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sessile_sandbox::click::{ClickConfig, Message, Step};
use sessile_store::contract::{Fault, Moment};

/// Faults that are tried at most; a purchase makes fewer calls.
const CALLS_MAX: u64 = 40;

/// Sends until it is answered with something else than 503; every 503 says when to come back.
async fn insisted(request: impl Fn() -> RequestBuilder) -> Said {
    for _ in 0..3 {
        let answer = request().send().await.unwrap();
        if answer.status() != 503 {
            return Said::of(answer).await;
        }
        assert_eq!(answer.headers()["retry-after"], "1");
        let body: Value = answer.json().await.unwrap();
        let said = [&body["error"], &body["message"], &body["code"]];
        assert!(said.iter().any(|word| word.is_string()), "{body}");
    }
    panic!("one fault is one 503");
}

impl World {
    async fn insist(&self, path: &str, body: &Value) -> Value {
        let backend = self.backend();
        let said = insisted(|| backend.request(Method::POST, path).json(body)).await;
        assert_eq!(said.status, 200, "{path}: {said:?}");
        said.json()
    }

    /// CLICK repeats what was answered with 503.
    async fn hear(&self, message: &Message) -> Value {
        let path = if message.step() == Step::Prepare { "prepare" } else { "complete" };
        let fields = message.signed(&ClickConfig::demo().secret_key);
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let url = format!("{}/api/click/{path}", self.home);
        let said = insisted(|| {
            client().post(&url).header("content-type", "application/x-www-form-urlencoded").body(form.clone())
        });
        said.await.json()
    }
}

/// Choosing, paying and looking, with everything repeated that was not answered.
async fn purchase(world: &World) {
    let (backend, click, who) = (world.backend(), world.sandbox.click(), user());
    let choice = json!({ "tracks": [1], "selectedPackages": ["basic"], "userId": who });
    let session = world.insist("/api/create-checkout-session", &choice).await["sessionId"].clone();
    let named = json!({ "sessionId": session });
    assert_eq!(world.insist("/api/validate-checkout-session", &named).await["isValid"], true);
    let wish = json!({ "amount": 1000, "userId": who, "checkoutSessionId": session });
    let made = world.insist("/api/click/create-transaction", &wish).await;
    let order = made["orderId"].as_str().unwrap();
    let prepare = click.prepare_message(order, "1000.00");
    let prepared = world.hear(&prepare).await;
    assert_eq!(prepared["error"], 0, "{prepared}");
    let complete = click.complete_message(&prepare, &prepared["merchant_prepare_id"].to_string());
    let confirmed = world.hear(&complete).await;
    assert!([json!(0), json!(-4)].contains(&confirmed["error"]), "{confirmed}");
    let status = format!("/api/click/status/{order}");
    let said = insisted(|| backend.request(Method::GET, &status)).await.json();
    assert_eq!(said["status"], "completed");
    let id = made["transactionId"].as_str().unwrap();
    let shown = insisted(|| backend.request(Method::GET, &format!("/v1/payments/{id}"))).await;
    assert_eq!(shown.json()["disposition"]["did"], "granted", "{shown:?}");
    let rows = world.whole_ledger().await;
    let count = |kind: &str| rows.lines().filter(|line| line.starts_with(kind)).count();
    let counted = ["Checkout(", "Payment(", "Grant(", "Refund("].map(count);
    assert_eq!(counted, [1, 1, 1, 0], "{rows}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_may_fail_once() {
    let mut faults = 0;
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        for call in 1.. {
            assert!(call < CALLS_MAX, "a purchase does not end");
            let world = World::faulty_shop(Fault { call, moment }).await;
            purchase(&world).await;
            if !world.faulty.as_ref().unwrap().has_fired() {
                break;
            }
            faults += 1;
        }
    }
    println!("a purchase on a failing ledger: {faults} faults, none of them seen in the end");
    assert!(faults >= 14, "{faults}");
}
