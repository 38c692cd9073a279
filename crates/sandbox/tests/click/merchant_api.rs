//! What the merchant asks Click: status by payment, status by order, reversal, and who may ask.

use reqwest::Method;
use serde_json::{Value, json};
use sessile_sandbox::click::{AttemptState as S, Misbehaviour as M, Switch};
use sha1::{Digest, Sha1};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::merchant::{AMOUNT, SECRET};
use crate::world::{ORDER, World, config};

/// 2026-11-21 10:00:00 in Tashkent.
const NOW_MS: i64 = 1_795_237_200_000;
const DAY_MS: i64 = 86_400_000;

struct Api {
    world: World,
    now_ms: Arc<AtomicI64>,
}

impl Api {
    async fn start() -> Self {
        let now_ms = Arc::new(AtomicI64::new(NOW_MS));
        let clock = Arc::clone(&now_ms);
        let mut config = config();
        config.clock = Arc::new(move || clock.load(Ordering::Relaxed));
        Self { world: World::with(config, [ORDER.to_owned()]).await, now_ms }
    }

    fn auth(&self, off_seconds: i64) -> String {
        auth("10101", SECRET, self.now_ms.load(Ordering::Relaxed) / 1000 + off_seconds)
    }

    async fn ask_as(&self, auth: &str, method: Method, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.world.sandbox.click_api_url());
        let request = self.world.http.request(method, url).header("auth", auth);
        let request = request.header("accept", "application/json").header("content-type", "application/json");
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask_as(&self.auth(0), Method::GET, path).await
    }

    async fn reverse(&self, payment: u64) -> Value {
        let path = format!("payment/reversal/12345/{payment}");
        let (status, answer) = self.ask_as(&self.auth(0), Method::DELETE, &path).await;
        assert_eq!(status, 200);
        answer
    }
}

fn auth(user: &str, secret: &str, timestamp: i64) -> String {
    let digest = Sha1::digest(format!("{timestamp}{secret}"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{user}:{digest}:{timestamp}")
}

#[tokio::test]
async fn status_follows_the_payment() {
    let api = Api::start().await;
    let click = api.world.click();
    let prepared = click.start_payment(ORDER, AMOUNT).await.unwrap();
    let id = prepared.click_paydoc_id;
    let path = format!("payment/status/12345/{id}");
    assert_eq!(api.get(&path).await.1["payment_status"], 1);
    click.finish(ORDER).await.unwrap();
    let expected = json!({ "error_code": 0, "error_note": "Success", "payment_id": id, "payment_status": 2 });
    assert_eq!(api.get(&path).await, (200, expected.clone()));

    let mut by_order = expected;
    by_order["merchant_trans_id"] = json!(ORDER);
    let path = format!("payment/status_by_mti/12345/{ORDER}");
    assert_eq!(api.get(&format!("{path}/2026-11-21")).await, (200, by_order));
    assert!(api.get(&format!("{path}/2026-11-20")).await.1["error_code"].as_i64().unwrap() < 0);
    assert_eq!(api.get(&format!("{path}/21.11.2026")).await.0, 400);
    assert!(api.get("payment/status/12345/1").await.1["error_code"].as_i64().unwrap() < 0);
    assert_eq!(api.get(&format!("payment/status/999/{id}")).await.0, 403);
}

#[tokio::test]
async fn only_the_api_knows_of_a_payment_without_a_complete_or_of_one_given_up() {
    let api = Api::start().await;
    api.world.click().set(&Switch::once(M::NeverComplete)).unwrap();
    let attempt = api.world.click().pay(ORDER, AMOUNT).await.unwrap();
    let path = format!("payment/status/12345/{}", attempt.click_paydoc_id);
    assert_eq!(api.get(&path).await.1["payment_status"], 2);

    let api = Api::start().await;
    let attempt = api.world.click().start_payment(ORDER, AMOUNT).await.unwrap();
    api.world.click().abandon(ORDER).unwrap();
    let path = format!("payment/status/12345/{}", attempt.click_paydoc_id);
    assert_eq!(api.get(&path).await.1["payment_status"], -5017);
    assert_eq!(api.world.merchant.story(), ["prepare"]);
}

#[tokio::test]
async fn who_may_ask() {
    let api = Api::start().await;
    let path = format!("payment/status_by_mti/12345/{ORDER}/2026-11-21");
    let seconds = NOW_MS / 1000;
    let refused = [
        auth("10102", SECRET, seconds),
        auth("10101", "another", seconds),
        api.auth(301),
        api.auth(-301),
        auth("10101", SECRET, 5),
        format!("{}:x", api.auth(0)),
        api.auth(0).replace(':', "."),
        String::new(),
    ];
    for auth in refused {
        assert_eq!(api.ask_as(&auth, Method::GET, &path).await.0, 401, "{auth}");
    }
    for off in [300, -300] {
        assert_eq!(api.ask_as(&api.auth(off), Method::GET, &path).await.0, 200);
    }
    let url = format!("{}{path}", api.world.sandbox.click_api_url());
    assert_eq!(api.world.http.get(&url).send().await.unwrap().status(), 401);
    let bare = api.world.http.get(&url).header("auth", api.auth(0)).send().await.unwrap();
    assert_eq!(bare.status(), 406, "the documented headers are required");
}

#[tokio::test]
async fn a_reversal_gives_the_money_back_once() {
    let api = Api::start().await;
    let prepared = api.world.click().start_payment(ORDER, AMOUNT).await.unwrap();
    let id = prepared.click_paydoc_id;
    assert!(api.reverse(id).await["error_code"].as_i64().unwrap() < 0, "nothing was paid yet");
    api.world.click().finish(ORDER).await.unwrap();
    api.world.click().set(&Switch::once(M::ReversalRefused)).unwrap();
    assert!(api.reverse(id).await["error_code"].as_i64().unwrap() < 0);
    let expected = json!({ "error_code": 0, "error_note": "Success", "payment_id": id });
    assert_eq!(api.reverse(id).await, expected);
    let attempt = api.world.click().payment(ORDER).unwrap().attempts[0].clone();
    assert_eq!((attempt.state, attempt.returned_tiyin), (S::Reversed, 100_000));
    assert!(api.reverse(id).await["error_code"].as_i64().unwrap() < 0, "reversed twice");
    assert!(api.reverse(1).await["error_code"].as_i64().unwrap() < 0);
}

#[tokio::test]
async fn last_months_payment_is_not_reversed() {
    let api = Api::start().await;
    let id = api.world.click().pay(ORDER, AMOUNT).await.unwrap().click_paydoc_id;
    api.now_ms.fetch_add(15 * DAY_MS, Ordering::Relaxed);
    assert!(api.reverse(id).await["error_note"].as_str().unwrap().contains("reporting month"));
    assert_eq!(api.world.click().payment(ORDER).unwrap().returned_tiyin(), 0);
}

#[tokio::test]
async fn the_status_can_be_down_broken_or_slow() {
    let api = Api::start().await;
    let id = api.world.click().pay(ORDER, AMOUNT).await.unwrap().click_paydoc_id;
    let path = format!("payment/status/12345/{id}");
    let switches = [Switch::once(M::StatusUnavailable), Switch::once(M::Status500)];
    api.world.click().misbehave(&switches).unwrap();
    assert_eq!(api.get(&path).await.0, 502);
    assert_eq!(api.get(&path).await.0, 500);
    api.world.click().set(&Switch::once(M::StatusSlow).delay_ms(100)).unwrap();
    let start = Instant::now();
    assert_eq!(api.get(&path).await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(100));
}
