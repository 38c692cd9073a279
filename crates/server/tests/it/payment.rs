//! The drop-in payment routes: making a payment, every error in its order, keys, looking, waiting, coming back.

use crate::shop::{CATALOGUE, Said, user};
use crate::world::{World, location};
use reqwest::Method;
use serde_json::{Value, json};
use sessile_core::{Clock, ManualClock, SystemClock};
use sessile_sandbox::click::AttemptState;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

const CREATE: &str = "/api/click/create-transaction";

fn refused(message: &str) -> Value {
    json!({ "success": false, "message": message })
}

fn wish(user: &str) -> Value {
    json!({ "amount": 1000, "userId": user, "userEmail": "ada@example.com" })
}

#[tokio::test]
async fn a_payment_is_made_paid_and_seen_by_its_owner_alone() {
    let world = World::priced().await;
    let ada = world.browser();
    ada.sign_in().await;
    let id = ada.me().await["id"].as_str().unwrap().to_owned();
    let made = ada.post_json(CREATE, &wish(&id)).await;
    assert_eq!(made.status, 200, "{made:?}");
    let body = made.json();
    let order = body["orderId"].as_str().unwrap().to_owned();
    made.is(
        200,
        &json!({
            "success": true, "paymentUrl": body["paymentUrl"], "orderId": order, "merchantTransId": order,
            "transactionId": body["transactionId"], "amount": 1000, "appliedCoupon": null,
        }),
    );
    let link = Url::parse(body["paymentUrl"].as_str().unwrap()).unwrap();
    let query: Vec<(String, String)> = link.query_pairs().into_owned().collect();
    let home = &world.home;
    let expected = [
        ("service_id", "12345".to_owned()),
        ("merchant_id", "54321".to_owned()),
        ("amount", "1000.00".to_owned()),
        ("transaction_param", order.clone()),
        ("return_url", format!("{home}/api/click/return?order={order}")),
    ];
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value)));
    assert!(!link.as_str().contains(&id) && !link.as_str().contains("example"), "no user data in a link");

    let status = format!("/api/click/status/{order}");
    let pending = json!({ "success": true, "orderId": order, "status": "pending" });
    ada.read(&status).await.is(200, &pending);
    let attempt = world.sandbox.click().pay(&order, "1000.00").await.unwrap();
    assert_eq!((attempt.state, attempt.confirmed), (AttemptState::Successful, 1), "{attempt:?}");
    assert!(attempt.messages.iter().all(|message| message.complaints.is_empty()), "{attempt:?}");
    let done = json!({ "success": true, "orderId": order, "status": "completed" });
    ada.read(&status).await.is(200, &done);
    world.backend().get(&status).await.is(200, &done);
    let wait = format!("/api/click/wait-payment/{order}");
    ada.read(&wait).await.is(200, &json!({ "success": true, "message": "Payment completed" }));

    let grace = world.browser();
    let callback = grace.consent("/auth/whop", "grace").await;
    grace.get(&callback).await;
    for stranger in [&world.browser(), &grace] {
        for path in ["/api/click/status/", "/api/click/wait-payment/"] {
            let foreign = stranger.read(&format!("{path}{order}")).await;
            foreign.is(404, &refused("Payment not found"));
            for missing in ["ckabcdefghijklmnopqrstuv", "%00", "x"] {
                assert_eq!(stranger.read(&format!("{path}{missing}")).await, foreign);
            }
        }
    }
    let again = ada.post_json(CREATE, &wish(&id)).await;
    again.is(400, &refused("User already has premium access"));
}

#[tokio::test]
async fn errors_come_in_their_order() {
    let world = World::selling().await;
    let (stranger, backend) = (world.browser(), world.backend());
    let invalid = refused("Invalid amount");
    for amount in [
        json!(0),
        json!(-1),
        json!(1000.5),
        json!(1000.0),
        json!(1e3),
        json!("1000"),
        json!(null),
        json!([1000]),
        json!(true),
        json!(1e300),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(10_000_000_001_i64),
    ] {
        let mut body = wish("not a user");
        body["amount"] = amount.clone();
        stranger.post_json(CREATE, &body).await.is(400, &invalid);
        backend.post(CREATE, &body).await.is(400, &invalid);
    }
    let huge = r#"{"amount":99999999999999999999999,"userId":"x"}"#;
    let request = backend.request(Method::POST, CREATE).header("content-type", "application/json").body(huge);
    Said::of(request.send().await.unwrap()).await.is(400, &invalid);
    backend.post(CREATE, &json!({})).await.is(400, &invalid);
    let nan = r#"{"amount":NaN}"#;
    let request = backend.request(Method::POST, CREATE).header("content-type", "application/json").body(nan);
    let said = Said::of(request.send().await.unwrap()).await;
    assert_eq!((said.status, &said.json()["success"]), (400, &json!(false)));

    let anonymous = refused("Authentication required");
    stranger.post_json(CREATE, &wish(&user())).await.is(401, &anonymous);
    stranger.post_json(CREATE, &wish("not a user")).await.is(401, &anonymous);
    backend.post(CREATE, &json!({ "amount": 1000 })).await.is(401, &anonymous);
    backend.post(CREATE, &json!({ "amount": 1000, "userId": "" })).await.is(401, &anonymous);
    let unknown = refused("User not found");
    for name in ["not a user", "7", "00000000-0000-0000-0000-00000000000g"] {
        backend.post(CREATE, &wish(name)).await.is(401, &unknown);
    }
    backend.post(CREATE, &json!({ "amount": 1000, "userId": 7 })).await.is(401, &unknown);
    let ada = world.browser();
    ada.sign_in().await;
    let other = ada.post_json(CREATE, &wish(&user())).await;
    other.is(401, &anonymous);
    let mine = wish(ada.me().await["id"].as_str().unwrap());
    ada.post_json(CREATE, &mine).await.is(400, &invalid);
    let mut body = wish(&user());
    body["checkoutSessionId"] = json!("cs_AAAAAAAAAAAAAAAAAAAAAAAA");
    backend.post(CREATE, &body).await.is(400, &refused("This checkout session is no longer valid."));
    body["checkoutSessionId"] = json!(7);
    backend.post(CREATE, &body).await.is(400, &refused("This checkout session is no longer valid."));
    assert!(world.whole_ledger().await.lines().count() <= 3, "nothing was made");
}

#[tokio::test]
async fn where_users_have_to_be_known_others_do_not_pay() {
    let settings = [("SESSILE_STRICT_USERS", "1"), ("SESSILE_CATALOGUE", CATALOGUE)];
    let world = World::shop(&settings, Arc::new(SystemClock)).await;
    world.backend().post(CREATE, &wish(&user())).await.is(401, &refused("User not found"));
    let ada = world.browser();
    ada.sign_in().await;
    let id = ada.me().await["id"].as_str().unwrap().to_owned();
    let mut odd = wish(&id);
    odd["amount"] = json!(999);
    ada.post_json(CREATE, &odd).await.is(400, &refused("Invalid amount"));
    assert_eq!(ada.post_json(CREATE, &wish(&id)).await.status, 200, "a price of the catalogue");
}

#[tokio::test]
async fn one_key_is_one_payment_and_the_same_bytes() {
    let world = World::selling().await;
    let (backend, ada, bob) = (world.backend(), user(), user());
    let first = backend.post_with_key(CREATE, "key-1", &wish(&ada)).await;
    assert_eq!(first.status, 200);
    assert_eq!(backend.post_with_key(CREATE, "key-1", &wish(&ada)).await, first);
    let reused = backend.post_with_key(CREATE, "key-1", &wish(&bob)).await;
    assert_eq!((reused.status, &reused.json()["success"]), (422, &json!(false)), "{reused:?}");
    let order = first.json()["orderId"].as_str().unwrap().to_owned();
    world.sandbox.click().pay(&order, "1000.00").await.unwrap();
    assert_eq!(backend.post_with_key(CREATE, "key-1", &wish(&ada)).await, first, "also once it is paid");
    let entitled = backend.post_with_key(CREATE, "key-2", &wish(&ada)).await;
    entitled.is(400, &refused("User already has premium access"));
    for key in ["", &"x".repeat(256), "a b"] {
        let said = backend.post_with_key(CREATE, key, &wish(&bob)).await;
        assert_eq!((said.status, &said.json()["success"]), (400, &json!(false)), "{key}");
    }
    assert_eq!(backend.post_with_key(CREATE, &"x".repeat(255), &wish(&bob)).await.status, 200);
    let twice = backend.request(Method::POST, CREATE).header("idempotency-key", "a");
    let twice = twice.header("idempotency-key", "b").json(&wish(&bob)).send().await.unwrap();
    assert_eq!(twice.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_makes_one() {
    let world = World::selling().await;
    let ada = user();
    let clicks: Vec<_> = (0..16)
        .map(|_| {
            let (backend, body) = (world.backend(), wish(&ada));
            tokio::spawn(async move { backend.post(CREATE, &body).await })
        })
        .collect();
    let mut said = Vec::new();
    for click in clicks {
        said.push(click.await.unwrap());
    }
    assert_eq!(said[0].status, 200);
    assert!(said.iter().all(|other| *other == said[0]), "{said:?}");
    let listed = world.backend().get("/v1/payments").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn coupons_take_off_and_a_full_one_grants_at_once() {
    let world = World::selling().await;
    let (backend, operator) = (world.backend(), world.operator());
    for (code, kind, value) in
        [("HALF", "percentage", 50), ("FLAT", "fixed", 300), ("FREE", "percentage", 100)]
    {
        let body = json!({ "code": code, "discountType": kind, "discountValue": value, "maxUses": 1 });
        assert_eq!(operator.post_with_key("/v1/admin/coupons", code, &body).await.status, 201);
    }
    let pay = |user: &str, code: &str| {
        let mut body = wish(user);
        body["couponCode"] = json!(code);
        body
    };
    let half = backend.post(CREATE, &pay(&user(), "half")).await.json();
    assert_eq!(half["amount"], 500);
    let applied = json!({ "code": "HALF", "discountAmount": 500, "discountPercent": 50 });
    assert_eq!(half["appliedCoupon"], applied);
    assert!(half["paymentUrl"].as_str().unwrap().contains("amount=500.00"));
    let flat = backend.post(CREATE, &pay(&user(), "FLAT")).await.json();
    let applied = json!({ "code": "FLAT", "discountAmount": 300, "discountPercent": 30 });
    assert_eq!((&flat["amount"], &flat["appliedCoupon"]), (&json!(700), &applied));
    let used = backend.post(CREATE, &pay(&user(), "FLAT")).await.json();
    assert_eq!(
        (&used["amount"], &used["appliedCoupon"]),
        (&json!(1000), &Value::Null),
        "used up: full price"
    );
    let typo = backend.post(CREATE, &pay(&user(), "not a code!")).await.json();
    assert_eq!((&typo["amount"], &typo["appliedCoupon"]), (&json!(1000), &Value::Null));

    let ada = user();
    let said = backend.post_with_key(CREATE, "free", &pay(&ada, "FREE")).await;
    let body = said.json();
    said.is(
        200,
        &json!({
            "success": true, "isFullDiscount": true, "transactionId": body["transactionId"],
            "merchantTransId": body["merchantTransId"], "amount": 0, "message": body["message"],
            "appliedCoupon": { "code": "FREE", "discountAmount": 1000, "discountPercent": 100 },
        }),
    );
    assert_eq!(backend.post_with_key(CREATE, "free", &pay(&ada, "FREE")).await, said);
    let order = body["merchantTransId"].as_str().unwrap();
    let status = backend.get(&format!("/api/click/status/{order}")).await.json();
    assert_eq!(status["status"], "completed");
    backend.post(CREATE, &wish(&ada)).await.is(400, &refused("User already has premium access"));
}

#[tokio::test]
async fn the_buyer_comes_back_to_our_page_or_the_applications() {
    let world = World::priced().await;
    let browser = world.browser();
    let order = "ckabcdefghijklmnopqrstuv";
    let back = |query: &str| format!("/api/click/return{query}");
    for query in [
        format!("?order={order}"),
        format!("?order={order}&payment_id=7&payment_status=2"),
        format!("?order={order}?payment_id=7&payment_status=-1"),
        format!("?x=%ff&order={order}"),
    ] {
        let answer = browser.get(&back(&query)).await;
        assert_eq!(
            (answer.status().as_u16(), location(&answer)),
            (302, format!("/payment/{order}")),
            "{query}"
        );
    }
    for odd in ["", "?order=", "?order=//evil.example", "?order=https://evil.example", "?order=%0d%0ax:y"] {
        assert_eq!(location(&browser.get(&back(odd)).await), "/dashboard", "{odd}");
    }
    let settings = [("SESSILE_PAYMENT_RETURN_URL", "https://app.example/done?from=click")];
    let world = World::shop(&settings, Arc::new(SystemClock)).await;
    let answer = world.browser().get(&back(&format!("?order={order}"))).await;
    assert_eq!(location(&answer), format!("https://app.example/done?from=click&orderId={order}"));

    let settings = [("CLICK_RETURN_URL", "https://app.example/processing")];
    let world = World::shop(&settings, Arc::new(SystemClock)).await;
    let link = Url::parse(world.payment_of(&user()).await["paymentUrl"].as_str().unwrap()).unwrap();
    assert!(
        link.query_pairs().any(|(name, to)| name == "return_url" && to == "https://app.example/processing")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_payment_or_the_server() {
    let world = World::selling().await;
    let order = world.payment().await;
    let wait = |order: &str| {
        let (backend, path) = (world.backend(), format!("/api/click/wait-payment/{order}"));
        tokio::spawn(async move { backend.get(&path).await })
    };
    let (began, waiting) = (Instant::now(), wait(&order));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "it waits");
    world.sandbox.click().pay(&order, "1000.00").await.unwrap();
    waiting.await.unwrap().is(200, &json!({ "success": true, "message": "Payment completed" }));
    assert!(began.elapsed() < Duration::from_secs(10));

    let order = world.payment().await;
    world.sandbox.click().start_payment(&order, "1000.00").await.unwrap();
    let waiting = wait(&order);
    world.sandbox.click().cancel(&order).await.unwrap();
    waiting.await.unwrap().is(200, &refused("Payment failed"));

    let order = world.payment().await;
    let (began, waiting) = (Instant::now(), wait(&order));
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.app.stop_waiting();
    waiting.await.unwrap().is(200, &refused("Payment still processing"));
    assert!(began.elapsed() < Duration::from_secs(5), "a stop does not wait for waits");
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let world = World::selling().await;
    let order = world.payment().await;
    let began = Instant::now();
    let said = world.backend().get(&format!("/api/click/wait-payment/{order}")).await;
    said.is(200, &refused("Payment still processing"));
    let took = began.elapsed();
    assert!((Duration::from_secs(14)..Duration::from_secs(25)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_payment_expires_when_its_time_is_over() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::at(clock.clone(), &[]).await;
    let order = world.payment().await;
    clock.advance(Duration::from_secs(30 * 60));
    let status = world.backend().get(&format!("/api/click/status/{order}")).await.json();
    assert_eq!(status["status"], "expired");
    let wait = world.backend().get(&format!("/api/click/wait-payment/{order}")).await;
    wait.is(200, &refused("Payment expired"));
}

#[tokio::test]
async fn without_click_the_routes_name_what_to_set() {
    let world = World::start(&[("SESSILE_ENV", "development")]).await;
    let said = world.browser().post_json(CREATE, &json!({ "amount": 1000 })).await;
    assert_eq!(said.code(), (501, "not_configured".into()));
    assert!(said.json()["detail"].as_str().unwrap().contains("CLICK_SERVICE_ID"), "{said:?}");
    let callback = world.browser().post_json("/api/click/prepare", &json!({})).await;
    assert_eq!(callback.code(), (501, "not_configured".into()));
}
