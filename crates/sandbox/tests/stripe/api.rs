//! The API: keys, parameters, objects, errors.

use serde_json::Value;
use sessile_sandbox::stripe::{PayWith, SessionStatus};
use std::collections::BTreeMap;

use crate::world::{KEY, ORDER, SESSIONS, World, error, form, order_with};

#[tokio::test]
async fn a_session_holds_what_was_asked_for_and_nothing_else() {
    let world = World::start().await;
    let response = world.post(SESSIONS, ORDER).send().await.unwrap();
    assert!(response.headers()["request-id"].to_str().unwrap().starts_with("req_"));
    assert_eq!(response.headers()["stripe-version"], sessile_sandbox::stripe::API_VERSION);
    let session: Value = response.json().await.unwrap();
    let id = session["id"].as_str().unwrap();
    assert!(id.starts_with("cs_test_"), "{id}");
    assert_eq!(session["url"], format!("{}/sandbox/stripe/c/pay/{id}", world.sandbox.base_url()));
    for (field, value) in [("object", "checkout.session"), ("status", "open"), ("payment_status", "unpaid")] {
        assert_eq!(session[field], value);
    }
    assert_eq!((&session["amount_total"], &session["currency"]), (&897.into(), &"usd".into()));
    assert_eq!((&session["livemode"], &session["payment_intent"]), (&false.into(), &Value::Null));
    assert_eq!(session["client_reference_id"], "gen_1");
    assert_eq!(session["expires_at"].as_i64().unwrap() - session["created"].as_i64().unwrap(), 86_400);
    assert_eq!(session["metadata"], serde_json::json!({ "video_count": "3", "tool": "veo3-generator" }));
    let kept = world.stripe().session(id).unwrap();
    let metadata = [("tool", "veo3-generator"), ("video_count", "3")];
    assert_eq!(kept.metadata, BTreeMap::from(metadata.map(|(key, value)| (key.into(), value.into()))));
    assert_eq!(world.got(&format!("{SESSIONS}/{id}")).await, session);
    assert_eq!(world.stripe().sessions_of("gen_1"), [kept]);
}

#[tokio::test]
async fn a_session_is_shown_in_full_on_request() {
    let world = World::start().await;
    let id = world.session().await;
    let items = world.got(&format!("{SESSIONS}/{id}?expand[]=line_items")).await["line_items"].clone();
    assert_eq!(
        (&items["data"][0]["quantity"], &items["data"][0]["price"]["id"]),
        (&3.into(), &"price_single".into())
    );
    assert_eq!(world.got(&format!("{SESSIONS}/{id}/line_items")).await, items);
    world.stripe().pay(&id, PayWith::Card).unwrap();
    let session = world.got(&format!("{SESSIONS}/{id}?expand[]=payment_intent")).await;
    assert_eq!(session["payment_intent"]["status"], "succeeded");
    assert_eq!(session["payment_intent"]["metadata"]["generation"], "gen_1");
    assert_eq!(session["url"], Value::Null, "a session that is done has no address");
    let error = error(world.get(&format!("{SESSIONS}/{id}?expand[]=customer")).await, 400).await;
    assert_eq!(error["param"], "expand");
}

#[tokio::test]
async fn the_key_is_checked_either_way_it_comes() {
    let world = World::start().await;
    let prices = world.url("prices");
    let none = error(world.http.get(&prices).send().await.unwrap(), 401).await;
    assert!(none["message"].as_str().unwrap().contains("did not provide an API key"));
    let wrong = world.http.get(&prices).bearer_auth("sk_test_wrong_and_long").send().await.unwrap();
    let wrong = error(wrong, 401).await;
    assert!(!wrong["message"].as_str().unwrap().contains("wrong_and_long"), "the key is shown");
    assert_eq!(world.http.get(&prices).basic_auth(KEY, Some("")).send().await.unwrap().status(), 200);
    let version = world.http.get(&prices).bearer_auth(KEY).header("stripe-version", "2024-06-20");
    assert_eq!(version.send().await.unwrap().headers()["stripe-version"], "2024-06-20");
    let version = world.http.get(&prices).bearer_auth(KEY).header("stripe-version", "newest");
    assert_eq!(version.send().await.unwrap().status(), 400);
    assert_eq!(error(world.get("customers").await, 404).await["type"], "invalid_request_error");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::start().await;
    let (long_value, long_key) = ("x".repeat(501), format!("metadata[{}]", "k".repeat(41)));
    let wrong: &[(&str, &str, &str, &str)] = &[
        ("mode", "", "mode", "parameter_missing"),
        ("mode", "setup", "mode", ""),
        ("success_url", "", "success_url", "parameter_missing"),
        ("success_url", "/relative", "success_url", "url_invalid"),
        ("cancel_url", "javascript:alert(1)", "cancel_url", "url_invalid"),
        ("line_items[0][price]", "", "line_items[0][price]", "parameter_missing"),
        ("line_items[0][price]", "price_none", "line_items[0][price]", "resource_missing"),
        ("line_items[0][price]", "price_old", "line_items[0][price]", ""),
        ("line_items[0][quantity]", "", "line_items[0][quantity]", "parameter_missing"),
        ("line_items[0][quantity]", "1.5", "line_items[0][quantity]", "parameter_invalid_integer"),
        ("line_items[0][quantity]", "0", "line_items[0][quantity]", "parameter_invalid_integer"),
        ("metadata[prompt]", &long_value, "metadata", ""),
        (&long_key, "v", "metadata", ""),
        ("client_reference_id", &long_value, "client_reference_id", ""),
        ("prompt", "mine", "prompt", "parameter_unknown"),
        ("expires_at", "1", "expires_at", ""),
    ];
    for (name, value, param, code) in wrong {
        let response = world.post(SESSIONS, &order_with(name, value)).send().await.unwrap();
        let error = error(response, 400).await;
        assert_eq!(error["type"], "invalid_request_error", "{name}={value}: {error}");
        assert_eq!((&error["param"], error["code"].as_str().unwrap_or_default()), (&(*param).into(), *code));
    }
    let json =
        world.http.post(world.url(SESSIONS)).bearer_auth(KEY).header("content-type", "application/json");
    assert_eq!(json.body("{}").send().await.unwrap().status(), 400);
    assert!(world.stripe().sessions().is_empty(), "a refused request made a session");
    assert_eq!(world.stripe().calls_of("POST /v1/checkout/sessions").carried_out, 0);
}

#[tokio::test]
async fn two_currencies_are_refused() {
    let world = World::start().await;
    let mut order = ORDER.to_vec();
    order.extend([("line_items[1][price]", "price_euro"), ("line_items[1][quantity]", "1")]);
    assert_eq!(world.post(SESSIONS, &order).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn an_open_session_is_expired_once() {
    let world = World::start().await;
    let id = world.session().await;
    let path = format!("{SESSIONS}/{id}/expire");
    let expired: Value = world.post(&path, &[]).send().await.unwrap().json().await.unwrap();
    assert_eq!((&expired["status"], &expired["url"]), (&"expired".into(), &Value::Null));
    let again = error(world.post(&path, &[]).send().await.unwrap(), 400).await;
    assert!(again["message"].as_str().unwrap().contains("status of `expired`"), "{again}");
    assert!(world.stripe().pay(&id, PayWith::Card).is_err());
    world.told().await;
    assert_eq!(world.application.kinds(), ["checkout.session.expired"]);
    let missing = world.post("checkout/sessions/cs_test_none/expire", &[]).send().await.unwrap();
    assert_eq!(error(missing, 404).await["code"], "resource_missing");
}

#[tokio::test]
async fn a_session_whose_time_is_over_expires_when_somebody_looks() {
    let mut config = crate::world::config();
    let now = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_800_000_000_000));
    let clock = std::sync::Arc::clone(&now);
    config.clock = std::sync::Arc::new(move || clock.load(std::sync::atomic::Ordering::Relaxed));
    let world = World::with(config).await;
    let id = world.session().await;
    now.fetch_add(86_400_000, std::sync::atomic::Ordering::Relaxed);
    assert!(world.stripe().pay(&id, PayWith::Card).is_err());
    assert_eq!(world.stripe().session(&id).unwrap().status, SessionStatus::Expired);
    world.told().await;
    assert_eq!(world.application.kinds(), ["checkout.session.expired"]);
}

#[tokio::test]
async fn prices_are_listed_by_what_is_asked() {
    let world = World::start().await;
    let ids = async |query: &str| -> Vec<String> {
        let page = world.got(&format!("prices?{query}")).await;
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|price| price["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids("").await.len(), 4);
    assert_eq!(ids("active=true").await, ["price_single", "price_free", "price_euro"]);
    assert_eq!(ids("active=false").await, ["price_old"]);
    assert_eq!(ids("currency=eur").await, ["price_euro"]);
    assert_eq!(ids("limit=1&starting_after=price_single").await, ["price_free"]);
    let page = world.got("prices?limit=2&expand[]=data.product").await;
    assert_eq!((&page["has_more"], &page["data"][0]["product"]["name"]), (&true.into(), &"One video".into()));
    let price = world.got("prices/price_single").await;
    assert_eq!((&price["unit_amount"], &price["type"]), (&299.into(), &"one_time".into()));
    assert_eq!(world.get("prices/price_none").await.status(), 404);
    assert_eq!(world.get("prices?limit=101").await.status(), 400);
}

#[tokio::test]
async fn money_goes_back_once() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::Card).unwrap();
    let intent = world.stripe().payment_intent(&id).unwrap().id;
    let part = [("payment_intent", intent.as_str()), ("amount", "100"), ("reason", "requested_by_customer")];
    let refund: Value = world.post("refunds", &part).send().await.unwrap().json().await.unwrap();
    assert_eq!((&refund["amount"], &refund["status"]), (&100.into(), &"succeeded".into()));
    let too_much = [("payment_intent", intent.as_str()), ("amount", "798")];
    assert_eq!(world.post("refunds", &too_much).send().await.unwrap().status(), 400);
    let rest: Value =
        world.post("refunds", &[("payment_intent", &intent)]).send().await.unwrap().json().await.unwrap();
    assert_eq!(rest["amount"], 797);
    let again = error(world.post("refunds", &[("payment_intent", &intent)]).send().await.unwrap(), 400).await;
    assert_eq!(again["code"], "charge_already_refunded");
    assert_eq!(world.stripe().refunds().len(), 2);
    assert_eq!(world.stripe().charges(&id)[0].amount_refunded, 897);
    let listed = world.got(&format!("refunds?payment_intent={intent}")).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert_eq!(world.got(&format!("refunds/{}", refund["id"].as_str().unwrap())).await["amount"], 100);
    world.told().await;
    let kinds = world.application.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "charge.refunded").count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn nothing_goes_back_that_was_not_paid() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().pay(&id, PayWith::BankDebit).unwrap();
    let intent = world.stripe().payment_intent(&id).unwrap().id;
    for params in [vec![("payment_intent", intent.as_str())], vec![("payment_intent", "pi_none")], vec![]] {
        assert_eq!(world.post("refunds", &params).send().await.unwrap().status(), 400);
    }
    let wrong = [("payment_intent", intent.as_str()), ("reason", "because")];
    assert_eq!(world.post("refunds", &wrong).send().await.unwrap().status(), 400);
    assert!(world.stripe().refund(&id, None).is_err() && world.stripe().refunds().is_empty());
}

#[tokio::test]
async fn sessions_and_events_can_be_listed() {
    let world = World::start().await;
    let (open, paid) = (world.session().await, world.session().await);
    world.stripe().pay(&paid, PayWith::Card).unwrap();
    let page = world.got(&format!("{SESSIONS}?status=complete")).await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["data"][0]["id"], paid.as_str());
    assert_eq!(
        world.got(&format!("{SESSIONS}?limit=1&starting_after={paid}")).await["data"][0]["id"],
        open.as_str()
    );
    let events = world.got("events?type=checkout.session.completed").await;
    let event = world.got(&format!("events/{}", events["data"][0]["id"].as_str().unwrap())).await;
    assert_eq!(event["data"]["object"]["id"], paid.as_str());
}

#[tokio::test]
async fn calls_are_counted_and_remembered() {
    let world = World::start().await;
    world.session().await;
    world.get("prices").await;
    form(world.http.post(world.url("refunds")).bearer_auth(KEY), &[]).send().await.unwrap();
    let calls = world.stripe().calls();
    assert_eq!(calls["POST /v1/checkout/sessions"].carried_out, 1);
    assert_eq!((calls["POST /v1/refunds"].received, calls["POST /v1/refunds"].carried_out), (1, 0));
    let log = world.stripe().log();
    assert!(log[0].params.contains(&("metadata[tool]".into(), "veo3-generator".into())));
    let url = format!("{}/sandbox/stripe", world.sandbox.base_url());
    let shown: Value = world.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["calls"]["GET /v1/prices"]["received"], 1);
}
