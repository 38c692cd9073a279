//! `/v1`: who may see what, lists with cursors, cancels, refunds, coupons, the outbox, and what refusals look like.

use crate::shop::{Said, choice, user};
use crate::world::{ADMIN_TOKEN, World, client};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn paid(world: &World) -> Value {
    let made = world.payment_of(&user()).await;
    world.sandbox.click().pay(made["orderId"].as_str().unwrap(), "1000.00").await.unwrap();
    made
}

fn id_of(made: &Value) -> &str {
    made["transactionId"].as_str().unwrap()
}

#[tokio::test]
async fn a_body_of_another_kind_is_not_guessed_at() {
    let world = World::selling().await;
    let request = client().post(format!("{}/v1/admin/coupons", world.home)).bearer_auth(ADMIN_TOKEN);
    let request = request.header("idempotency-key", "c-0").header("content-type", "text/plain").body("{}");
    assert_eq!(Said::of(request.send().await.unwrap()).await.code(), (415, "unsupported_media_type".into()));
}

#[tokio::test]
async fn lists_are_for_staff_and_go_on_where_they_ended() {
    let world = World::selling().await;
    let backend = world.backend();
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(id_of(&world.payment_of(&user()).await).to_owned());
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = backend.get(&format!("/v1/payments?limit=3{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        assert!(page["data"].as_array().unwrap().len() <= 3);
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    assert_eq!(sorted(seen), sorted(made.clone()), "every row once");
    world.operator().post(&format!("/v1/payments/{}/cancel", made[0]), &json!({})).await;
    let count = async |query: &str| {
        backend.get(&format!("/v1/payments?{query}")).await.json()["data"].as_array().unwrap().len()
    };
    assert_eq!((count("status=failed").await, count("status=pending").await), (1, 6));
    let who =
        backend.get(&format!("/v1/payments/{}", made[0])).await.json()["userId"].as_str().unwrap().to_owned();
    assert_eq!((count(&format!("user={who}")).await, count(&format!("user={}", user())).await), (1, 0));
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "status=paid", "staus=failed", "user="] {
        let said = backend.get(&format!("/v1/payments?{bad}")).await;
        assert_eq!(said.code(), (400, "invalid_parameter".into()), "{bad}");
    }
    let ada = world.browser();
    ada.sign_in().await;
    for path in ["/v1/payments", "/v1/checkouts", "/v1/refunds"] {
        assert_eq!(ada.read(path).await.code(), (401, "token_required".into()));
        assert_eq!(world.operator().get(path).await.status, 200);
    }
}

#[tokio::test]
async fn one_payment_is_for_its_owner_and_staff() {
    let world = World::priced().await;
    let ada = world.browser();
    ada.sign_in().await;
    let made = ada.post_json("/api/click/create-transaction", &json!({ "amount": 1000 })).await.json();
    let path = format!("/v1/payments/{}", id_of(&made));
    let mine = ada.read(&path).await.json();
    assert_eq!(
        (&mine["status"], &mine["amountMinor"], &mine["currency"]),
        (&json!("pending"), &json!(100_000), &json!("UZS"))
    );
    assert!(mine.get("history").is_none() && mine.get("provider").is_none() && mine.get("email").is_none());
    world.sandbox.click().pay(made["orderId"].as_str().unwrap(), "1000.00").await.unwrap();
    let theirs = world.backend().get(&path).await.json();
    let events: Vec<&str> =
        theirs["history"].as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["payment.created", "payment.prepared", "payment.confirmed"]);
    assert_eq!((&theirs["disposition"]["did"], &theirs["reason"]), (&json!("granted"), &json!("confirmed")));
    assert!(theirs["provider"]["transactionId"].is_i64(), "{theirs}");
}

/// Requests for each of two names on each route.
const STRANGERS_ROUNDS: usize = 200;

/// How long requests took, for a person to compare: what a busy machine does is no reason to fail.
fn quantiles(mut took: Vec<Duration>) -> String {
    took.sort();
    let at = |percent: usize| took[took.len() * percent / 100];
    format!("p10 {:?} p50 {:?} p90 {:?} p99 {:?}", at(10), at(50), at(90), at(99))
}

#[tokio::test]
async fn foreign_and_missing_are_the_same_bytes() {
    let world = World::priced().await;
    let (ada, stranger) = (world.browser(), world.browser());
    ada.sign_in().await;
    let payment = ada.post_json("/api/click/create-transaction", &json!({ "amount": 1000 })).await.json();
    let checkout = ada.choose("basic").await;
    let callback = stranger.consent("/auth/whop", "grace").await;
    stranger.get(&callback).await;
    let (payment, order) = (id_of(&payment).to_owned(), payment["orderId"].as_str().unwrap().to_owned());
    let routes = [
        (Method::GET, "/v1/payments/{}", &payment, "pay_AAAAAAAAAAAAAAAAAAAAAAAA"),
        (Method::POST, "/v1/payments/{}/cancel", &payment, "pay_AAAAAAAAAAAAAAAAAAAAAAAA"),
        (Method::GET, "/v1/checkouts/{}", &checkout, "cs_AAAAAAAAAAAAAAAAAAAAAAAA"),
        (Method::POST, "/v1/checkouts/{}/cancel", &checkout, "cs_AAAAAAAAAAAAAAAAAAAAAAAA"),
        (Method::GET, "/api/click/status/{}", &order, "ckabcdefghijklmnopqrstuv"),
        (Method::GET, "/api/click/wait-payment/{}", &order, "ckabcdefghijklmnopqrstuv"),
    ];
    for (method, route, foreign, missing) in routes {
        let mut answers = Vec::new();
        let mut took = [Vec::new(), Vec::new()];
        for round in 0..STRANGERS_ROUNDS {
            // In turns, so that whatever else the machine does meets both.
            for which in [round % 2, 1 - round % 2] {
                let path = route.replace("{}", [foreign.as_str(), missing][which]);
                let request = stranger.request(method.clone(), &path);
                let began = Instant::now();
                let said =
                    Said::of(stranger.send(request.header("sec-fetch-site", "same-origin")).await).await;
                took[which].push(began.elapsed());
                assert_eq!(said.status, 404, "{route}");
                answers.push(said.without_id());
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{route}");
        let [foreign, missing] = took.map(quantiles);
        println!("{method} {route}: foreign {foreign}; missing {missing}");
    }
    assert_eq!(ada.read(&format!("/v1/payments/{payment}")).await.json()["status"], "pending");
    assert_eq!(ada.read(&format!("/v1/checkouts/{checkout}")).await.json()["status"], "active");
}

#[tokio::test]
async fn problems_name_code_remedy_and_request() {
    let world = World::selling().await;
    let request =
        world.backend().request(Method::GET, "/v1/payments/nothing").header("x-request-id", "trace-7");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let said = Said::of(answer).await;
    let body = said.json();
    assert_eq!(
        (&body["code"], &body["request_id"], &body["status"]),
        (&json!("payment_not_found"), &json!("trace-7"), &json!(404))
    );
    assert!(body["remedy"].is_string() && body["type"].as_str().unwrap().ends_with("/payment_not_found.md"));
    // Also those of the layers around.
    let me = world.browser().read("/api/me").await.json();
    assert!(me["request_id"].is_string(), "{me}");
}

#[tokio::test]
async fn a_cancel_comes_before_the_provider() {
    let world = World::selling().await;
    let operator = world.operator();
    let made = world.payment_of(&user()).await;
    let path = format!("/v1/payments/{}/cancel", id_of(&made));
    for _ in 0..2 {
        let said = operator.post(&path, &json!({})).await;
        assert_eq!(
            (said.status, &said.json()["status"], &said.json()["reason"]),
            (200, &json!("failed"), &json!("cancelled"))
        );
    }
    let made = paid(&world).await;
    let said = operator.post(&format!("/v1/payments/{}/cancel", id_of(&made)), &json!({})).await;
    assert_eq!(said.code(), (409, "payment_not_cancellable".into()));
}

#[tokio::test]
async fn a_refund_has_a_key_and_goes_back_once() {
    let world = World::selling().await;
    let (operator, backend) = (world.operator(), world.backend());
    let (made, other) = (paid(&world).await, paid(&world).await);
    let path = format!("/v1/payments/{}/refund", id_of(&made));
    assert_eq!(backend.post(&path, &json!({})).await.code(), (400, "idempotency_key_missing".into()));
    assert_eq!(
        backend.post_with_key(&path, "a b", &json!({})).await.code(),
        (400, "idempotency_key_invalid".into())
    );
    let first = backend.post_with_key(&path, "r-1", &json!({})).await;
    assert_eq!((first.status, &first.json()["amountMinor"]), (201, &json!(100_000)), "{first:?}");
    assert_eq!(backend.post_with_key(&path, "r-1", &json!({})).await, first);
    assert_eq!(
        backend.post_with_key(&path, "r-2", &json!({})).await.code(),
        (409, "nothing_to_refund".into())
    );
    let elsewhere = format!("/v1/payments/{}/refund", id_of(&other));
    assert_eq!(
        backend.post_with_key(&elsewhere, "r-1", &json!({})).await.code(),
        (422, "idempotency_key_reused".into())
    );
    assert_eq!(
        backend.post_with_key("/v1/payments/x/refund", "r-3", &json!({})).await.code(),
        (404, "payment_not_found".into())
    );
    let ada = world.browser();
    ada.sign_in().await;
    assert_eq!(
        ada.post_json(&path, &json!({})).await.code(),
        (401, "token_required".into()),
        "no buyer orders a refund"
    );

    let listed = operator.get("/v1/refunds").await.json();
    let refund = &listed["data"][0];
    assert_eq!((&refund["id"], &refund["status"]), (&first.json()["id"], &json!("requested")));
    let settle = format!("/v1/admin/refunds/{}/settle", refund["id"].as_str().unwrap());
    let note = json!({ "note": "by hand" });
    assert_eq!(operator.post(&settle, &note).await.code(), (409, "refund_not_manual".into()));
    let id = sessile_core::payment::RefundId::parse(refund["id"].as_str().unwrap()).unwrap();
    refuse(&world, &id).await;
    for bad in
        [json!({}), json!({ "note": "" }), json!({ "note": "x".repeat(501) }), json!({ "note": "a", "b": 1 })]
    {
        assert_eq!(operator.post(&settle, &bad).await.code(), (400, "invalid_body".into()), "{bad}");
    }
    let settled = operator.post(&settle, &note).await.json();
    assert_eq!((&settled["status"], &settled["note"]), (&json!("succeeded"), &json!("by hand")));
    assert_eq!(
        operator.post("/v1/admin/refunds/x/settle", &note).await.code(),
        (404, "refund_not_found".into())
    );
}

/// What the worker writes when the provider will not do it.
async fn refuse(world: &World, id: &sessile_core::payment::RefundId) {
    use sessile_core::payment::{Payments, RefundEvent, Terms};
    use std::sync::Arc;
    let payments = Payments::new(
        world.ledger.clone().unwrap(),
        Arc::new(Terms::default()),
        Arc::new(sessile_core::SystemClock),
        Arc::new(sessile_core::OsEntropy),
    );
    payments.refunded(id, RefundEvent::Submit, "worker").await.unwrap();
    payments.refunded(id, RefundEvent::Refused("an earlier month".into()), "worker").await.unwrap();
}

#[tokio::test]
async fn coupons_are_made_listed_and_switched_by_the_operator() {
    let world = World::selling().await;
    let operator = world.operator();
    let path = "/v1/admin/coupons";
    let wanted = json!({
        "code": "spring", "description": "Spring", "discountType": "fixed", "discountValue": 300, "maxUses": 5,
        "originalPrice": 1000, "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2126-01-01T00:00:00Z",
    });
    assert_eq!(operator.post(path, &wanted).await.code(), (400, "idempotency_key_missing".into()));
    let made = operator.post_with_key(path, "c-1", &wanted).await;
    assert_eq!(
        (made.status, &made.json()["code"], &made.json()["discountValue"]),
        (201, &json!("SPRING"), &json!(300))
    );
    assert_eq!(operator.post_with_key(path, "c-1", &wanted).await, made);
    let mut other = wanted.clone();
    other["discountValue"] = json!(301);
    assert_eq!(
        operator.post_with_key(path, "c-1", &other).await.code(),
        (422, "idempotency_key_reused".into())
    );
    assert_eq!(operator.post_with_key(path, "c-2", &wanted).await.code(), (409, "coupon_code_taken".into()));
    for (field, value) in [
        ("code", json!("a b")),
        ("discountType", json!("half")),
        ("discountValue", json!(0)),
        ("discountValue", json!(-5)),
        ("discountValue", json!("5")),
        ("maxUses", json!(0)),
        ("validUntil", json!("2025-01-01T00:00:00Z")),
        ("validFrom", json!("soon")),
        ("colour", json!("red")),
        ("originalPrice", json!(-1)),
    ] {
        let mut bad = wanted.clone();
        bad[field] = value;
        assert_eq!(
            operator.post_with_key(path, "c-3", &bad).await.code(),
            (400, "invalid_body".into()),
            "{bad}"
        );
    }
    let percent = json!({ "code": "X", "discountType": "percentage", "discountValue": 101 });
    assert_eq!(operator.post_with_key(path, "c-4", &percent).await.code(), (400, "invalid_body".into()));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let off = operator.post(&format!("{path}/{id}/disable"), &json!({})).await.json();
    assert_eq!((&off["isActive"], &off["usedCount"]), (&json!(false), &json!(0)));
    assert_eq!(operator.post(&format!("{path}/{id}/enable"), &json!({})).await.json()["isActive"], true);
    assert_eq!(
        operator.post(&format!("{path}/x/enable"), &json!({})).await.code(),
        (404, "coupon_not_found".into())
    );
    let listed = operator.get(path).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_operators_routes_are_the_operators() {
    let world = World::selling().await;
    let ada = world.browser();
    ada.sign_in().await;
    for (method, path) in [
        (Method::GET, "/v1/admin/coupons"),
        (Method::POST, "/v1/admin/coupons"),
        (Method::POST, "/v1/admin/coupons/x/enable"),
        (Method::POST, "/v1/admin/refunds/x/settle"),
        (Method::GET, "/v1/admin/outbox"),
        (Method::POST, "/v1/admin/outbox/x/requeue"),
        (Method::GET, "/v1/admin/census"),
    ] {
        let request = || ada.request(method.clone(), path).header("sec-fetch-site", "same-origin");
        assert_eq!(
            Said::of(ada.send(request()).await).await.code(),
            (401, "not_the_operator".into()),
            "{path}"
        );
        let backend = world.backend().request(method.clone(), path).send().await.unwrap();
        assert_eq!(Said::of(backend).await.code(), (401, "not_the_operator".into()), "{path}");
        let wrong = Said::of(ada.send(request().bearer_auth("x")).await).await;
        assert_eq!(wrong.status, 401, "{path}");
    }
    let wrong = ada.request(Method::GET, "/v1/payments").bearer_auth("x");
    assert_eq!(Said::of(ada.send(wrong).await).await.code(), (401, "unknown_token".into()));
}

#[tokio::test]
async fn the_outbox_and_the_census_show_what_there_is() {
    let world = World::shop(
        &[
            // Nobody listens there.
            ("SESSILE_WEBHOOK_URL", "http://127.0.0.1:9/hook"),
            ("SESSILE_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ],
        std::sync::Arc::new(sessile_core::SystemClock),
    )
    .await;
    let operator = world.operator();
    paid(&world).await;
    world.browser().choose("basic").await;
    let rows = operator.get("/v1/admin/outbox?state=pending").await.json();
    assert_eq!(
        (&rows["data"][0]["kind"], &rows["data"][0]["about"]["topic"]),
        (&json!("webhook"), &json!("payment.completed"))
    );
    let id = rows["data"][0]["id"].as_str().unwrap().to_owned();
    let requeue = format!("/v1/admin/outbox/{id}/requeue");
    assert_eq!(
        operator.post(&requeue, &json!({})).await.code(),
        (404, "effect_not_found".into()),
        "it is not dead"
    );
    world.ledger().undone(&id, sessile_core::ledger::Retry::GiveUp, "HTTP 500").await.unwrap();
    let dead = operator.get("/v1/admin/outbox?state=dead").await.json();
    assert_eq!((&dead["data"][0]["id"], &dead["data"][0]["error"]), (&json!(id), &json!("HTTP 500")));
    let census = operator.get("/v1/admin/census").await.json();
    assert_eq!(census["effectsDead"], 1, "{census}");
    let counted = |kind: &str, status: &str| {
        let counts = census["counts"].as_array().unwrap();
        counts
            .iter()
            .find(|row| row["kind"] == kind && row["status"] == status)
            .map(|row| row["count"].clone())
    };
    assert_eq!(counted("payment", "completed"), Some(json!(1)), "{census}");
    assert_eq!(counted("checkout", "active"), Some(json!(1)), "{census}");
    assert_eq!(operator.post(&requeue, &json!({})).await.status, 204);
    assert_eq!(operator.get("/v1/admin/outbox?state=dead").await.json()["data"], json!([]));
    for bad in ["state=all", "limit=0", "cursor=MTph", "x=1"] {
        let said = operator.get(&format!("/v1/admin/outbox?{bad}")).await;
        assert_eq!(said.code(), (400, "invalid_parameter".into()), "{bad}");
    }
}

#[tokio::test]
async fn checkouts_are_listed_shown_and_cancelled() {
    let world = World::selling().await;
    let (guest, operator) = (world.browser(), world.operator());
    let id = guest.choose("basic").await;
    let mine = guest.read(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&mine["status"], &mine["isGuest"]), (&json!("active"), &json!(true)));
    assert_eq!(mine["sessionData"]["selectedPackages"], choice("basic")["selectedPackages"]);
    assert_eq!(operator.get("/v1/checkouts").await.json()["data"][0]["id"], json!(id));
    let cancel = format!("/v1/checkouts/{id}/cancel");
    let gone = operator.post(&cancel, &json!({})).await.json();
    assert_eq!((&gone["status"], &gone["reason"]), (&json!("invalidated"), &json!("cancelled")));
    assert_eq!(operator.post(&cancel, &json!({})).await.status, 200, "again is the same");
    let id = guest.choose("pro").await;
    guest.post_json("/api/complete-checkout-session", &json!({ "sessionId": id })).await;
    let said = operator.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await;
    assert_eq!(said.code(), (409, "checkout_not_active".into()));
    assert_eq!(
        operator.post("/v1/checkouts/x/cancel", &json!({})).await.code(),
        (404, "checkout_not_found".into())
    );
}
