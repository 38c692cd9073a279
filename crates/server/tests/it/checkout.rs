//! The drop-in checkout routes: every row of their table, every error and reason, whose a checkout is, and guests.

use crate::shop::{CATALOGUE, Said, choice, user};
use crate::world::World;
use reqwest::Method;
use serde_json::{Value, json};
use sessile_core::{Clock, ManualClock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

const CREATE: &str = "/api/create-checkout-session";
const VALIDATE: &str = "/api/validate-checkout-session";
const COMPLETE: &str = "/api/complete-checkout-session";
const RECOVER: &str = "/api/recover-checkout-session";
const CLEANUP: &str = "/api/cleanup-expired-sessions";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn named(id: &str) -> Value {
    json!({ "sessionId": id })
}

fn invalid(error: &str, reason: &str) -> Value {
    json!({ "error": error, "reason": reason })
}

fn not_found() -> Value {
    invalid("Session not found", "session_not_found")
}

fn now_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

#[tokio::test]
async fn a_choice_is_opened_validated_and_completed() {
    let world = World::selling().await;
    let buyer = world.browser();
    let id = buyer.choose("basic").await;
    assert!(buyer.guest_cookie().is_some(), "a guest owns by a cookie");
    let body = json!({
        "isValid": true,
        "sessionData": {
            "tracks": [{ "title": "one" }], "selectedPackages": { "0": "basic" }, "userId": null,
        },
    });
    buyer.post_json(VALIDATE, &named(&id)).await.is(200, &body);
    assert_eq!(buyer.choose("basic").await, id, "the same choice again is the same session");
    let done = json!({ "success": true, "message": "Session completed successfully" });
    buyer.post_json(COMPLETE, &named(&id)).await.is(200, &done);
    let used = invalid("This checkout session has already been completed.", "already_used");
    buyer.post_json(VALIDATE, &named(&id)).await.is(400, &used);
    buyer.post_json(COMPLETE, &named(&id)).await.is(400, &used);
    let recover = json!({ "userId": null, "expiredSessionId": id });
    let nothing = invalid("No recoverable session data found", "no_data");
    buyer.post_json(RECOVER, &recover).await.is(404, &nothing);
}

#[tokio::test]
async fn another_choice_takes_the_place_of_the_first_as_often_as_one_likes() {
    let world = World::selling().await;
    let buyer = world.browser();
    let mut last = buyer.choose("basic").await;
    for package in ["pro", "basic", "pro"] {
        let mut body = choice(package);
        body["existingSessionId"] = json!(last);
        let next = buyer.post_json(CREATE, &body).await.json()["sessionId"].as_str().unwrap().to_owned();
        assert_ne!(next, last);
        let gone = invalid("This checkout session is no longer valid.", "expired");
        buyer.post_json(VALIDATE, &named(&last)).await.is(400, &gone);
        buyer.post_json(COMPLETE, &named(&last)).await.is(400, &gone);
        assert_eq!(buyer.post_json(VALIDATE, &named(&next)).await.status, 200);
        last = next;
    }
}

#[tokio::test]
async fn what_is_missing_has_its_sentence() {
    let world = World::selling().await;
    let buyer = world.browser();
    let missing = json!({ "error": "Missing required data" });
    for body in [
        json!({}),
        json!({ "tracks": [1] }),
        json!({ "selectedPackages": { "0": "x" } }),
        json!({ "tracks": [], "selectedPackages": { "0": "x" } }),
        json!({ "tracks": [1], "selectedPackages": {} }),
        json!({ "tracks": null, "selectedPackages": null }),
        json!({ "tracks": [1], "selectedPackages": [1], "userId": user() }),
        json!({ "tracks": [1], "selectedPackages": [1], "userId": 7 }),
    ] {
        buyer.post_json(CREATE, &body).await.is(400, &missing);
    }
    let required = json!({ "error": "Session ID is required" });
    for path in [VALIDATE, COMPLETE] {
        for body in
            [json!({}), json!({ "sessionId": "" }), json!({ "sessionId": 7 }), json!({ "sessionId": null })]
        {
            buyer.post_json(path, &body).await.is(400, &required);
        }
        for id in ["cs_AAAAAAAAAAAAAAAAAAAAAAAA", "a b", "\u{0}", &"x".repeat(5000)] {
            buyer.post_json(path, &named(id)).await.is(400, &not_found());
        }
    }
    let needs_user = json!({ "error": "User ID is required for session recovery" });
    buyer.post_json(RECOVER, &json!({})).await.is(400, &needs_user);
    buyer.post_json(RECOVER, &json!({ "userId": null })).await.is(400, &needs_user);
    world.backend().post(RECOVER, &json!({ "expiredSessionId": "cs_x" })).await.is(400, &needs_user);
    let nothing = invalid("No recoverable session data found", "no_data");
    buyer.post_json(RECOVER, &json!({ "userId": user() })).await.is(404, &nothing);
    world.backend().post(RECOVER, &json!({ "userId": user() })).await.is(404, &nothing);
    assert_eq!(buyer.guest_cookie(), None, "nobody became a guest by being refused");
}

#[tokio::test]
async fn other_methods_bodies_and_sizes() {
    let world = World::selling().await;
    let buyer = world.browser();
    for path in [CREATE, VALIDATE, COMPLETE, RECOVER, CLEANUP] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let request = buyer.request(method.clone(), path).header("sec-fetch-site", "same-origin");
            let said = Said::of(buyer.send(request).await).await;
            said.is(405, &json!({ "error": "Method not allowed" }));
        }
    }
    let raw = |path: &str, kind: &str, body: String| {
        let request = buyer.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        buyer.send(request.header("content-type", kind.to_owned()).body(body))
    };
    for path in [CREATE, VALIDATE, COMPLETE, RECOVER] {
        for (kind, body) in [
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "\"x\""),
            ("text/plain", "{\"sessionId\":\"x\"}"),
            ("application/x-www-form-urlencoded", "sessionId=x"),
        ] {
            let said = Said::of(raw(path, kind, body.to_owned()).await).await;
            assert_eq!(said.status, 400, "{path} {kind} {body}");
            assert!(said.json()["error"].as_str().unwrap().ends_with('.'), "{said:?}");
        }
    }
    let of = |bytes: usize| json!({ "tracks": ["x".repeat(bytes)], "selectedPackages": ["basic"] });
    assert_eq!(buyer.post_json(CREATE, &of(255 * 1024)).await.status, 200);
    for bytes in [256 * 1024, 2 * 1024 * 1024] {
        let said = buyer.post_json(CREATE, &of(bytes)).await;
        assert_eq!(said.status, 413);
        assert!(said.json()["error"].as_str().unwrap().contains("bytes"), "{said:?}");
    }
    let nul = json!({ "tracks": ["a\u{0}b"], "selectedPackages": ["basic"] });
    assert_eq!(buyer.post_json(CREATE, &nul).await.status, 400);
}

#[tokio::test]
async fn somebody_elses_checkout_looks_like_a_missing_one() {
    let world = World::selling().await;
    let (owner, stranger, signed_in) = (world.browser(), world.browser(), world.browser());
    let id = owner.choose("basic").await;
    stranger.choose("pro").await;
    signed_in.sign_in().await;
    for browser in [&stranger, &signed_in, &world.browser()] {
        for path in [VALIDATE, COMPLETE] {
            let foreign = browser.post_json(path, &named(&id)).await;
            foreign.is(400, &not_found());
            assert_eq!(foreign, browser.post_json(path, &named("cs_AAAAAAAAAAAAAAAAAAAAAAAA")).await);
        }
    }
    let recover = |id: &str| json!({ "userId": null, "expiredSessionId": id });
    let foreign = stranger.post_json(RECOVER, &recover(&id)).await;
    assert_eq!(foreign, stranger.post_json(RECOVER, &recover("cs_AAAAAAAAAAAAAAAAAAAAAAAA")).await);
    assert_eq!(foreign.status, 404);
    // Naming it as one's own does not end it.
    let mut steal = choice("basic");
    steal["existingSessionId"] = json!(id);
    stranger.post_json(CREATE, &steal).await;
    assert_eq!(owner.post_json(VALIDATE, &named(&id)).await.status, 200);
    assert_eq!(world.backend().post(VALIDATE, &named(&id)).await.status, 200, "a backend is trusted");
}

#[tokio::test]
async fn a_browser_speaks_for_its_user_and_a_backend_for_anybody() {
    let world = World::selling().await;
    let (ada, backend) = (world.browser(), world.backend());
    ada.sign_in().await;
    let id = ada.me().await["id"].as_str().unwrap().to_owned();
    let mut body = choice("basic");
    body["userId"] = json!(id);
    let mine = ada.post_json(CREATE, &body).await;
    assert_eq!(mine.status, 200);
    assert_eq!(ada.guest_cookie(), None, "a user is no guest");
    let seen = ada.post_json(VALIDATE, &mine.json()).await.json();
    assert_eq!(seen["sessionData"]["userId"], json!(id));
    body["userId"] = json!(user());
    ada.post_json(CREATE, &body).await.is(400, &json!({ "error": "Missing required data" }));

    let other = user();
    body["userId"] = json!(other.to_uppercase());
    let theirs = backend.post(CREATE, &body).await.json();
    let seen = backend.post(VALIDATE, &theirs).await.json();
    assert_eq!(seen["sessionData"]["userId"], json!(other), "a user's id has one spelling");
    ada.post_json(VALIDATE, &theirs).await.is(400, &not_found());
    let wrong = ada.request(Method::POST, VALIDATE).header("sec-fetch-site", "same-origin");
    let wrong = wrong.bearer_auth("not-a-key-of-anybody-here-1234567890");
    assert_eq!(ada.send(wrong.json(&theirs)).await.status(), 401, "a wrong token is nobody's");
}

#[tokio::test]
async fn an_expired_checkout_is_recovered_once_by_its_owner() {
    let clock = now_clock();
    let world = World::at(clock.clone(), &[]).await;
    let (buyer, backend, who) = (world.browser(), world.backend(), user());
    let id = buyer.choose("basic").await;
    let mut body = choice("pro");
    body["userId"] = json!(who);
    let theirs = backend.post(CREATE, &body).await.json()["sessionId"].as_str().unwrap().to_owned();
    clock.advance(DAY);
    let expired = invalid("This checkout session has expired.", "expired");
    buyer.post_json(VALIDATE, &named(&id)).await.is(400, &expired);
    let gone = invalid("This checkout session is no longer valid.", "expired");
    buyer.post_json(VALIDATE, &named(&id)).await.is(400, &gone);

    let again = buyer.post_json(RECOVER, &json!({ "userId": null, "expiredSessionId": id })).await;
    let next = again.json()["sessionId"].as_str().unwrap().to_owned();
    again.is(
        200,
        &json!({ "sessionId": next, "recovered": true, "message": "Session recovered successfully" }),
    );
    assert_ne!(next, id);
    let tab = buyer.post_json(RECOVER, &json!({ "userId": null, "expiredSessionId": id })).await;
    assert_eq!(tab, again, "two tabs get one successor");
    assert_eq!(buyer.post_json(VALIDATE, &named(&next)).await.status, 200);

    let recovered = backend.post(RECOVER, &json!({ "userId": who, "expiredSessionId": theirs })).await;
    assert_eq!(recovered.status, 200, "{recovered:?}");
    clock.advance(DAY * 8);
    let late = backend.post(RECOVER, &json!({ "userId": who })).await;
    late.is(404, &invalid("No recoverable session data found", "no_data"));
}

#[tokio::test]
async fn a_sweep_is_for_operators_and_backends() {
    let clock = now_clock();
    let world = World::at(clock.clone(), &[]).await;
    world.browser().choose("basic").await;
    let buyer = world.browser();
    buyer.choose("pro").await;
    let said = buyer.post_json(CLEANUP, &json!({})).await;
    assert_eq!(said.code(), (401, "token_required".into()));
    clock.advance(DAY);
    let swept = |expired: u64, deleted: u64| {
        json!({
            "success": true, "expired": expired, "deleted": deleted,
            "message": "Session cleanup completed successfully",
        })
    };
    world.backend().post(CLEANUP, &json!({})).await.is(200, &swept(2, 0));
    clock.advance(DAY * 7 + Duration::from_secs(1));
    world.operator().post(CLEANUP, &json!({})).await.is(200, &swept(0, 2));
    world.operator().post(CLEANUP, &json!({})).await.is(200, &swept(0, 0));
}

#[tokio::test]
async fn a_guest_who_signs_in_keeps_the_choice() {
    let world = World::selling().await;
    let guest = world.browser();
    let id = guest.choose("basic").await;
    let cookie = guest.guest_cookie();
    guest.sign_in().await;
    assert_eq!(guest.guest_cookie(), None, "the guest's cookie is dropped");
    let seen = guest.post_json(VALIDATE, &named(&id)).await.json();
    assert_eq!(seen["sessionData"]["userId"], guest.me().await["id"], "the choice is the user's");
    // Whoever has the old cookie has nothing any more.
    let later = world.browser();
    later.take_cookie(cookie);
    later.post_json(VALIDATE, &named(&id)).await.is(400, &not_found());
}

#[tokio::test]
async fn somebody_who_was_signed_in_elsewhere_is_bound_at_the_next_checkout_call() {
    let world = World::selling().await;
    let (guest, ada) = (world.browser(), world.browser());
    let id = guest.choose("basic").await;
    ada.sign_in().await;
    guest.take_cookie(ada.cookie());
    let seen = guest.post_json(VALIDATE, &named(&id)).await.json();
    assert_eq!(seen["sessionData"]["userId"], ada.me().await["id"]);
    assert_eq!(guest.guest_cookie(), None);
    assert_eq!(ada.post_json(VALIDATE, &named(&id)).await.status, 200);
}

#[tokio::test]
async fn while_a_payment_is_processing_the_choice_stands() {
    let world = World::priced().await;
    let ada = world.browser();
    ada.sign_in().await;
    let id = ada.choose("basic").await;
    let pay = json!({ "userId": null, "userEmail": "ada@example.com", "checkoutSessionId": id });
    let made = ada.post_json("/api/click/create-transaction", &pay).await;
    assert_eq!(made.json()["amount"], 1000, "{made:?}");
    let order = made.json()["orderId"].as_str().unwrap().to_owned();
    world.sandbox.click().start_payment(&order, "1000.00").await.unwrap();
    let said = ada.post_json(CREATE, &choice("pro")).await;
    assert_eq!((said.status, &said.json()["reason"]), (409, &json!("payment_in_progress")), "{said:?}");
    assert!(said.json()["error"].is_string());
    let said = ada.post_json("/api/click/create-transaction", &pay).await;
    assert_eq!(said.status, 200, "the same request is the same payment: {said:?}");
    let other = json!({ "userEmail": "", "checkoutSessionId": id, "couponCode": "X" });
    let said = ada.post_json("/api/click/create-transaction", &other).await;
    assert_eq!((said.status, &said.json()["success"]), (409, &json!(false)), "{said:?}");
    world.sandbox.click().finish(&order).await.unwrap();
    let used = invalid("This checkout session has already been completed.", "already_used");
    ada.post_json(VALIDATE, &named(&id)).await.is(400, &used);
}

#[tokio::test]
async fn a_catalogue_prices_the_choice_and_knows_its_packages() {
    let world = World::shop(&[("SESSILE_CATALOGUE", CATALOGUE)], Arc::new(SystemClock)).await;
    let buyer = world.browser();
    let body = json!({ "tracks": [1, 2], "selectedPackages": { "0": "basic", "1": "pro" } });
    let id = buyer.post_json(CREATE, &body).await.json()["sessionId"].as_str().unwrap().to_owned();
    let shown = buyer.read(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&shown["amountMinor"], &shown["currency"]), (&json!(100_000 + 375_000), &json!("UZS")));
    let unknown = buyer.post_json(CREATE, &choice("gold")).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.json()["error"].as_str().unwrap().contains("gold"), "{unknown:?}");
}

#[tokio::test]
async fn without_a_ledger_the_kind_says_what_is_missing() {
    let world = World::start(&[("SESSILE_ENV", "development"), ("DATABASE_URL", "memory:")]).await;
    let said = world.browser().post_json(CREATE, &choice("basic")).await;
    assert_eq!(said.code(), (501, "not_configured".into()));
    assert!(said.json()["detail"].as_str().unwrap().contains("DATABASE_URL"));
    let said = world.browser().post_json("/api/click/create-transaction", &json!({})).await;
    assert_eq!(said.status, 501);
}
