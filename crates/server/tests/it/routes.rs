//! Health, readiness, metrics, limits, and what is answered where nothing is.

use crate::world::{World, location};
use reqwest::Method;
use serde_json::Value;

#[tokio::test]
async fn probes_and_metrics_tell_how_it_is() {
    let world = World::development().await;
    let browser = world.browser();
    for path in ["/healthz", "/api/health"] {
        let body: Value = browser.get(path).await.json().await.unwrap();
        assert_eq!(body["status"], "ok");
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    let ready = browser.get("/readyz").await;
    assert!(ready.headers().get("set-cookie").is_none(), "a probe is no visitor");
    let ready: Value = ready.json().await.unwrap();
    assert_eq!((&ready["status"], &ready["store"]["engine"]), (&"ready".into(), &"sqlite".into()));
    browser.get("/dashboard").await;
    browser.sign_in().await;
    let text = browser.get("/metrics").await.text().await.unwrap();
    for part in [
        "sessile_http_requests_total{method=\"GET\",route=\"/readyz\",status=\"200\"}",
        "sessile_http_request_duration_seconds_bucket",
        "sessile_sessions_lost_total{why=\"no_cookie\"}",
        "sessile_store_degraded 0",
        "sessile_sign_ins_total{provider=\"whop\",outcome=\"signed_in\"}",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[tokio::test]
async fn signed_out_pages_redirect_and_programs_get_a_problem() {
    let world = World::production().await;
    let browser = world.browser();
    assert_eq!(location(&browser.page("/dashboard").await), "/auth/whop");
    assert_eq!(location(&browser.page("/api/me").await), "/auth/whop");
    let problem = browser.get("/api/me").await;
    assert_eq!(
        (problem.status().as_u16(), problem.headers()["content-type"].to_str().unwrap()),
        (401, "application/problem+json")
    );
    let landing = browser.page("/").await;
    assert_eq!(landing.status(), 200);
    assert!(landing.headers().get("set-cookie").is_none(), "looking around leaves no session");
    assert!(landing.text().await.unwrap().contains("href=\"/auth/whop\""));
    let style = browser.get("/assets/sessile.css").await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn unknown_routes_are_a_page_or_a_problem() {
    let world = World::production().await;
    let browser = world.browser();
    let page = browser.page("/nowhere").await;
    assert_eq!(page.status(), 404);
    assert!(page.text().await.unwrap().contains("Not found"));
    let problem: Value = browser.get("/nowhere").await.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&"route_not_found".into(), &404.into()));
    let wrong = browser.send(browser.request(Method::PUT, "/api/me")).await;
    assert_eq!(wrong.status(), 405);
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_keeps_a_harmless_one() {
    let world = World::production().await;
    let browser = world.browser();
    let with = |id: &str| browser.request(Method::GET, "/healthz").header("x-request-id", id.to_owned());
    assert_eq!(browser.send(with("trace-42")).await.headers()["x-request-id"], "trace-42");
    for odd in ["a b", &"x".repeat(129), "a\"b"] {
        assert_ne!(browser.send(with(odd)).await.headers()["x-request-id"], *odd);
    }
    let (one, two) = (browser.get("/nowhere").await, browser.get("/nowhere").await);
    assert_ne!(one.headers()["x-request-id"], two.headers()["x-request-id"]);
    assert_eq!(one.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_huge_head_and_odd_cookies_are_survived() {
    let world = World::production().await;
    let browser = world.browser();
    let huge = browser.request(Method::GET, "/").header("x-filler", "x".repeat(200 * 1024));
    let answer = huge.send().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
    for cookie in
        ["sid=", "sid=s:", "sid=s%3A%ff.x", "sid=s%3Aabc.def", "sid=\"", "=;=;;sid", "sid=s:a.b; sid=s:c.d"]
    {
        let request = browser.request(Method::GET, "/api/me").header("cookie", cookie);
        assert_eq!(request.send().await.unwrap().status(), 401, "{cookie}");
    }
}
