//! The device list: what it shows, whom it lets end what, and that other sites' pages can end nothing.

use crate::shop::Said;
use crate::world::{Browser, World, location};
use reqwest::Method;
use serde_json::Value;

async fn listed(browser: &Browser) -> Vec<Value> {
    let body: Value = browser.get("/api/sessions").await.json().await.unwrap();
    body["sessions"].as_array().unwrap().clone()
}

async fn handle_of_this(browser: &Browser) -> String {
    let this = listed(browser).await.into_iter().find(|device| device["thisDevice"] == true).unwrap();
    this["handle"].as_str().unwrap().to_owned()
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/api/me").await.status() == 200
}

#[tokio::test]
async fn one_device_ends_another_and_nobody_elses() {
    let world = World::production().await;
    let (phone, laptop, other) = (world.browser(), world.browser(), world.browser());
    phone.sign_in().await;
    laptop.sign_in().await;
    let callback = other.consent("/auth/whop", "grace").await;
    other.get(&callback).await;

    let devices = listed(&laptop).await;
    assert_eq!(devices.len(), 2);
    assert_eq!(devices.iter().filter(|device| device["thisDevice"] == true).count(), 1);
    assert!(devices.iter().all(|device| device["address"] == "127.0.0.0/24"));

    let phones = handle_of_this(&phone).await;
    let foreign = other
        .send(
            other
                .request(Method::DELETE, &format!("/api/sessions/{phones}"))
                .header("sec-fetch-site", "same-origin"),
        )
        .await;
    let missing = other
        .send(
            other
                .request(Method::DELETE, "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA")
                .header("sec-fetch-site", "same-origin"),
        )
        .await;
    let (foreign, missing) = (Said::of(foreign).await, Said::of(missing).await);
    assert_eq!(foreign.status, 404);
    assert_eq!(foreign.without_id(), missing.without_id(), "told apart from a missing one");
    assert!(is_signed_in(&phone).await);

    let done = laptop
        .send(
            laptop
                .request(Method::DELETE, &format!("/api/sessions/{phones}"))
                .header("sec-fetch-site", "same-origin"),
        )
        .await;
    assert_eq!(done.status(), 204);
    assert!(!is_signed_in(&phone).await && is_signed_in(&laptop).await && is_signed_in(&other).await);
}

#[tokio::test]
async fn the_pages_forms_end_sessions_too() {
    let world = World::production().await;
    let (phone, laptop, tablet) = (world.browser(), world.browser(), world.browser());
    for browser in [&phone, &laptop, &tablet] {
        browser.sign_in().await;
    }
    let phones = handle_of_this(&phone).await;
    let page = laptop.page("/dashboard").await.text().await.unwrap();
    assert!(page.contains(&format!("/api/sessions/{phones}/revoke")), "the page has the form");
    assert_eq!(location(&laptop.submit(&format!("/api/sessions/{phones}/revoke")).await), "/dashboard");
    assert!(!is_signed_in(&phone).await && is_signed_in(&tablet).await);
    assert_eq!(location(&laptop.submit("/api/sessions/revoke-others").await), "/dashboard");
    assert!(!is_signed_in(&tablet).await && is_signed_in(&laptop).await);

    let own = handle_of_this(&laptop).await;
    laptop.submit(&format!("/api/sessions/{own}/revoke")).await;
    assert_eq!(laptop.cookie(), None);
    assert_eq!(location(&laptop.page("/dashboard").await), "/auth/whop");
}

#[tokio::test]
async fn revoke_others_counts_and_needs_a_user() {
    let world = World::production().await;
    let (phone, laptop) = (world.browser(), world.browser());
    phone.sign_in().await;
    laptop.sign_in().await;
    let request =
        laptop.request(Method::POST, "/api/sessions/revoke-others").header("sec-fetch-site", "same-origin");
    let body: Value = laptop.send(request).await.json().await.unwrap();
    assert_eq!(body["revoked"], 1);
    let stranger = world.browser();
    for (method, path) in [
        (Method::GET, "/api/sessions"),
        (Method::POST, "/api/sessions/revoke-others"),
        (Method::DELETE, "/api/sessions/x"),
    ] {
        assert_eq!(stranger.send(stranger.request(method, path)).await.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn other_sites_pages_change_nothing() {
    let world = World::start(&[
        ("SESSILE_COOKIE_SECURE", "false"),
        ("SESSILE_ALLOWED_ORIGINS", "https://friend.example"),
    ])
    .await;
    let browser = world.browser();
    browser.sign_in().await;
    for path in ["/logout", "/api/sessions/revoke-others", "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA/revoke"] {
        let evil = browser.request(Method::POST, path).header("origin", "https://evil.example");
        let answer = browser.send(evil.header("sec-fetch-site", "cross-site")).await;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!((status.as_u16(), &body["code"]), (403, &"cross_site_request".into()), "{path}");
    }
    assert!(is_signed_in(&browser).await);
    let friend = browser.request(Method::POST, "/logout").header("origin", "https://friend.example");
    assert_eq!(browser.send(friend.header("sec-fetch-site", "cross-site")).await.status(), 302);
    assert!(!is_signed_in(&browser).await);
}
