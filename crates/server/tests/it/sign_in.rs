//! The sign-in dance, every way in which it can go wrong, and signing out.

use crate::world::{Browser, SEALING, World, location};
use reqwest::Method;
use sessile_sandbox::whop::{Misbehaviour, Switch};
use std::time::Duration;

async fn error_of(browser: &Browser, path: &str) -> (u16, String) {
    let answer = browser.get(path).await;
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    (status, body["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_person_signs_in_and_gets_a_new_session() {
    let world = World::production().await;
    let ada = world.browser();
    assert_eq!(ada.get("/api/me").await.status(), 401);
    let callback = ada.consent("/auth/whop", "ada").await;
    let before = ada.cookie().expect("the sign-in under way is kept in a session");
    let answer = ada.get(&callback).await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (302, "/dashboard"));
    assert_ne!(ada.cookie().unwrap(), before, "signing in regenerates");

    let me = ada.me().await;
    assert_eq!(
        (&me["whopUserId"], &me["email"]),
        (&"user_AdaLovelace1815".into(), &"ada@sandbox.example".into())
    );
    assert_eq!(me["id"].as_str().unwrap().len(), 36);
    assert!(me["createdAt"].as_str().unwrap().ends_with('Z'));

    let again = world.browser();
    again.sign_in().await;
    assert_eq!(again.me().await, me, "one person is one user");

    let page = ada.page("/dashboard").await;
    assert_eq!(page.headers()["cache-control"], "no-store");
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let html = page.text().await.unwrap();
    assert!(html.contains("ada@sandbox.example") && html.contains("This device"), "{html}");
    assert!(!html.contains("<script") && !html.contains("style="), "the policy allows neither");
}

#[tokio::test]
async fn the_other_callback_path_signs_in_too() {
    let world = World::production().await;
    let ada = world.browser();
    let callback =
        ada.consent("/auth/whop", "ada").await.replace("/auth/whop/callback", "/api/whop/callback");
    assert_eq!(location(&ada.get(&callback).await), "/dashboard");
    assert_eq!(ada.me().await["email"], "ada@sandbox.example");
}

#[tokio::test]
async fn a_callback_that_is_not_ours_is_refused_and_a_code_is_good_once() {
    let world = World::production().await;
    let ada = world.browser();
    assert_eq!(error_of(&ada, "/auth/whop/callback").await, (400, "missing_code".into()));
    assert_eq!(error_of(&ada, "/auth/whop/callback?code=x&state=y").await, (400, "invalid_state".into()));
    let denied = ada.consent("/auth/whop", "deny").await;
    assert_eq!(error_of(&ada, &denied).await, (400, "missing_code".into()));

    let callback = ada.consent("/auth/whop", "ada").await;
    let (without_state, _) = callback.split_once("&state=").unwrap();
    assert_eq!(error_of(&ada, without_state).await, (400, "invalid_state".into()));
    assert_eq!(error_of(&ada, &format!("{without_state}&state=forged")).await, (400, "invalid_state".into()));
    let stranger = world.browser();
    assert_eq!(error_of(&stranger, &callback).await, (400, "invalid_state".into()));
    assert_eq!(ada.get(&callback).await.status(), 302, "a forged callback did not use the real one up");
    assert_eq!(error_of(&ada, &callback).await, (400, "invalid_state".into()));
}

#[tokio::test]
async fn the_providers_failures_have_their_codes() {
    let world = World::production().await;
    let cases = [
        (Misbehaviour::Token500, 502, "token_exchange_failed"),
        (Misbehaviour::TokenGarbage, 502, "token_exchange_failed"),
        (Misbehaviour::WrongNonce, 500, "oauth_failed"),
        (Misbehaviour::BadSignature, 500, "oauth_failed"),
        (Misbehaviour::ExpiredIdToken, 500, "oauth_failed"),
        (Misbehaviour::UserinfoOtherSub, 500, "invalid_user_data"),
    ];
    for (kind, status, code) in cases {
        let browser = world.browser();
        let callback = browser.consent("/auth/whop", "ada").await;
        world.sandbox.whop().misbehave(&[Switch::Once(kind)]).unwrap();
        assert_eq!(error_of(&browser, &callback).await, (status, code.to_owned()), "{kind:?}");
        assert_eq!(browser.get("/api/me").await.status(), 401, "{kind:?}");
    }
    let browser = world.browser();
    let callback = browser.consent("/auth/whop", "ada").await;
    world.sandbox.whop().misbehave(&[Switch::Once(Misbehaviour::Token429)]).unwrap();
    let slow_down = browser.get(&callback).await;
    assert!(slow_down.status() == 502 && slow_down.headers().contains_key("retry-after"));
    browser.sign_in().await;
}

#[tokio::test]
async fn without_a_provider_the_variables_are_named() {
    let world = World::start(&[("WHOP_CLIENT_ID", ""), ("SESSILE_COOKIE_SECURE", "false")]).await;
    let browser = world.browser();
    let page = browser.page("/auth/whop").await;
    assert_eq!(page.status(), 501);
    assert!(page.text().await.unwrap().contains("WHOP_CLIENT_ID"));
    let problem: serde_json::Value = browser.get("/auth/whop").await.json().await.unwrap();
    assert_eq!(problem["code"], "not_configured");
    let expected = (500, "OAuth not configured".to_owned());
    assert_eq!(error_of(&browser, "/auth/whop/callback?code=x&state=y").await, expected);
}

#[tokio::test]
async fn mock_login_and_development_routes_belong_to_development() {
    let world = World::start(&[("SESSILE_ENV", "development"), ("MOCK_LOGIN", "true")]).await;
    let browser = world.browser();
    assert_eq!(location(&browser.get("/auth/whop").await), "/auth/dev");
    assert_eq!(location(&browser.get("/auth/dev?email=eve@x.example&whop=user_eve").await), "/dashboard");
    let me = browser.me().await;
    assert_eq!((&me["email"], &me["whopUserId"]), (&"eve@x.example".into(), &"user_eve".into()));
    let debug: serde_json::Value = browser.get("/debug/session").await.json().await.unwrap();
    assert_eq!((&debug["hasSession"], &debug["userId"]), (&true.into(), &me["id"]));
    assert_eq!(debug["sessionId"].as_str().unwrap().len(), 8, "a fingerprint, not an id");

    let world = World::production().await;
    for path in ["/auth/dev", "/debug/session"] {
        assert_eq!(world.browser().get(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn any_openid_provider_signs_in() {
    // The stand-in takes JSON bodies only, as Whop does; an ordinary provider takes forms.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let issuer = format!("http://{address}");
    let world = World::start(&[
        ("SESSILE_COOKIE_SECURE", "false"),
        ("WHOP_CLIENT_ID", ""),
        ("SESSILE_OIDC_ISSUER", &issuer),
        ("SESSILE_OIDC_CLIENT_ID", "app_other"),
    ])
    .await;
    let mut config = sessile_sandbox::whop::WhopConfig::new(
        "app_other",
        vec![format!("{}/auth/oidc/callback", world.home)],
    );
    config.token_bodies = sessile_sandbox::whop::TokenBodies::JsonOrForm;
    let _provider = sessile_sandbox::Sandbox::start_on(listener, config).unwrap();

    let browser = world.browser();
    assert_eq!(location(&browser.page("/dashboard").await), "/auth/oidc");
    let callback = browser.consent("/auth/oidc", "grace").await;
    assert_eq!(location(&browser.get(&callback).await), "/dashboard");
    let me = browser.me().await;
    assert_eq!(
        (&me["email"], &me["whopUserId"]),
        (&"grace@sandbox.example".into(), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn logging_out_ends_the_session_and_revokes_the_refresh_token() {
    let world = World::start(&[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_SEALING_KEY", SEALING)]).await;
    let browser = world.browser();
    browser.sign_in().await;
    let cookie = browser.cookie();
    let answer = browser.submit("/logout").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (302, "/"));
    assert_eq!(browser.cookie(), None, "the cookie is cleared");
    browser.take_cookie(cookie);
    assert_eq!(browser.get("/api/me").await.status(), 401, "the session is over, cookie or not");
    tokio::time::timeout(Duration::from_secs(5), async {
        while world.sandbox.whop().count("revoked") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the refresh token is revoked at the provider");
}

#[tokio::test]
async fn a_get_of_logout_works_from_our_pages_only() {
    let world = World::production().await;
    let browser = world.browser();
    browser.sign_in().await;
    let get = |site: &str| browser.request(Method::GET, "/logout").header("sec-fetch-site", site.to_owned());
    assert_eq!(browser.send(get("cross-site")).await.status(), 200, "a question, not a logout");
    assert_eq!(browser.get("/api/me").await.status(), 200);
    assert_eq!(browser.send(get("same-origin")).await.status(), 302);
    assert_eq!(browser.get("/api/me").await.status(), 401);
}
