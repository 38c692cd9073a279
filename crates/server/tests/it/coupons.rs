//! `POST /api/coupons/validate`: what it says, and what guessing does not teach.

use crate::shop::Said;
use crate::world::World;
use serde_json::{Value, json};
use sessile_core::{Clock, ManualClock, SystemClock};
use sessile_server::limits::{COUPON_TRIES_BURST, COUPON_TRY_EVERY};
use std::sync::Arc;

const VALIDATE: &str = "/api/coupons/validate";

async fn make(world: &World, body: Value) -> Value {
    let key = body["code"].as_str().unwrap().to_owned();
    let said = world.operator().post_with_key("/v1/admin/coupons", &key, &body).await;
    assert_eq!(said.status, 201, "{said:?}");
    said.json()
}

async fn tried(world: &World, body: Value) -> Said {
    world.backend().post(VALIDATE, &body).await
}

#[tokio::test]
async fn a_coupon_says_what_it_takes_off() {
    let world = World::selling().await;
    let ten =
        json!({ "code": "ten", "discountType": "percentage", "discountValue": 10, "description": "Ten off" });
    let id = make(&world, ten).await["id"].clone();
    let body = json!({
        "valid": true,
        "coupon": {
            "id": id, "code": "TEN", "description": "Ten off",
            "discountType": "percentage", "discountValue": 10,
            "originalAmount": 1005, "discountAmount": 100.5, "finalAmount": 904.5,
            "discountPercent": 10, "isFullDiscount": false,
        },
        "message": "Coupon applied",
    });
    tried(&world, json!({ "code": " Ten ", "amount": 1005 })).await.is(200, &body);
    let seen = tried(&world, json!({ "code": "TEN" })).await.json();
    assert_eq!(seen["coupon"]["finalAmount"], Value::Null);

    make(
        &world,
        json!({ "code": "FLAT", "discountType": "fixed", "discountValue": 300, "originalPrice": 900 }),
    )
    .await;
    let seen = tried(&world, json!({ "code": "FLAT" })).await.json()["coupon"].clone();
    assert_eq!(
        [
            &seen["discountType"],
            &seen["discountValue"],
            &seen["originalAmount"],
            &seen["finalAmount"],
            &seen["discountPercent"]
        ],
        [&json!("fixed"), &json!(300), &json!(900), &json!(600), &json!(33)]
    );
    let seen = tried(&world, json!({ "code": "FLAT", "amount": 200 })).await.json()["coupon"].clone();
    assert_eq!((&seen["finalAmount"], &seen["isFullDiscount"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn what_cannot_be_used_reads_alike() {
    let world = World::selling().await;
    let off = make(&world, json!({ "code": "OFF", "discountType": "percentage", "discountValue": 5 })).await;
    let path = format!("/v1/admin/coupons/{}/disable", off["id"].as_str().unwrap());
    assert_eq!(world.operator().post(&path, &json!({})).await.json()["isActive"], false);
    make(&world, json!({ "code": "ONCE", "discountType": "percentage", "discountValue": 100, "maxUses": 1 }))
        .await;
    let free =
        json!({ "amount": 1000, "userId": crate::shop::user(), "userEmail": "", "couponCode": "ONCE" });
    let made = world.backend().post("/api/click/create-transaction", &free).await.json();
    assert_eq!(made["isFullDiscount"], true);
    let past = json!({ "code": "PAST", "discountType": "fixed", "discountValue": 1, "validUntil": "2020-01-01T00:00:00Z" });
    make(&world, past).await;
    let later = json!({ "code": "LATER", "discountType": "fixed", "discountValue": 1, "validFrom": "2120-01-01T00:00:00Z" });
    make(&world, later).await;
    let unknown = tried(&world, json!({ "code": "NOBODY" })).await;
    assert_eq!((unknown.status, &unknown.json()["valid"]), (404, &json!(false)));
    for code in ["OFF", "ONCE", "PAST", "LATER", "not a code", &"x".repeat(500), "ж"] {
        assert_eq!(tried(&world, json!({ "code": code })).await, unknown, "{code}");
    }
}

#[tokio::test]
async fn bad_requests_have_a_message() {
    let world = World::selling().await;
    for body in [json!({}), json!({ "code": "" }), json!({ "code": 7 })] {
        tried(&world, body).await.is(400, &json!({ "valid": false, "message": "Coupon code is required" }));
    }
    for amount in [json!(0), json!(-1), json!(1.5), json!("5"), json!(1e18)] {
        let said = tried(&world, json!({ "code": "X", "amount": amount })).await;
        said.is(400, &json!({ "valid": false, "message": "Invalid amount" }));
    }
}

#[tokio::test]
async fn tries_are_counted_for_strangers() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::at(clock.clone(), &[]).await;
    let guesser = world.browser();
    let guess = json!({ "code": "GUESS" });
    for _ in 0..COUPON_TRIES_BURST {
        assert_eq!(guesser.post_json(VALIDATE, &guess).await.status, 404);
    }
    let request = guesser.request(reqwest::Method::POST, VALIDATE).header("sec-fetch-site", "same-origin");
    let answer = request.json(&guess).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=COUPON_TRY_EVERY.as_secs() + 1).contains(&wait), "{wait}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["valid"], false);
    // The other routes that take a code are no way around it.
    let mut choice = crate::shop::choice("basic");
    choice["couponCode"] = json!("GUESS");
    assert_eq!(guesser.post_json("/api/create-checkout-session", &choice).await.status, 429);
    let pay = json!({ "amount": 1000, "couponCode": "GUESS" });
    assert_eq!(guesser.post_json("/api/click/create-transaction", &pay).await.status, 429);
    assert_eq!(world.backend().post(VALIDATE, &guess).await.status, 404, "a backend is not held up");
    clock.advance(COUPON_TRY_EVERY);
    assert_eq!(guesser.post_json(VALIDATE, &guess).await.status, 404);
}
