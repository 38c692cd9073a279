//! The wizard's pages from outside: where they are served, what they may load, and where a sign-in leads back to. A
//! person at a browser walks through them in `interop/browser`.

use crate::world::{World, location};
use reqwest::header::CONTENT_SECURITY_POLICY;
use serde_json::Value;

const CATALOGUE: &str =
    r#"{"currency": "UZS", "packages": {"basic": {"price": 5000000}, "<b>": {"price": 9000000}}}"#;

#[tokio::test]
async fn without_something_to_sell_there_is_no_wizard() {
    let world = World::development().await;
    let browser = world.browser();
    for path in ["/add", "/packages", "/packages/price?package=basic", "/checkout", "/payment/x"] {
        assert_eq!(browser.page(path).await.status(), 404, "{path}");
    }
    assert!(!browser.page("/").await.text().await.unwrap().contains("/add"));
}

#[tokio::test]
async fn only_the_wizard_runs_a_script_and_only_a_file_of_ours() {
    let world = World::start(&[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_CATALOGUE", CATALOGUE)]).await;
    let browser = world.browser();
    for (path, scripted) in
        [("/", false), ("/add", true), ("/packages", true), ("/checkout", true), ("/nowhere", false)]
    {
        let answer = browser.page(path).await;
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert_eq!(policy.contains("script-src 'self'; connect-src 'self'"), scripted, "{path}: {policy}");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        assert_eq!(page.matches("<script").count(), usize::from(scripted), "{path}");
        assert!(
            !page.contains("<script>") && !page.contains(" onclick") && !page.contains(" style="),
            "{path}"
        );
    }
    let packages = browser.page("/packages").await.text().await.unwrap();
    assert!(packages.contains("value=\"&lt;b&gt;\"") && packages.contains("90,000 so'm"), "{packages}");
    let script = browser.get("/assets/wizard.js").await;
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn totals_are_the_servers() {
    let world = World::start(&[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_CATALOGUE", CATALOGUE)]).await;
    let browser = world.browser();
    let total: Value = browser.get("/packages/price?package=basic&package=basic").await.json().await.unwrap();
    assert_eq!((&total["amount"], &total["text"]), (&8_750_000.into(), &"87,500 so'm".into()));
    assert_eq!(browser.get("/packages/price?package=gold").await.status(), 400);
    let many = "package=basic&".repeat(101);
    assert_eq!(browser.get(&format!("/packages/price?{many}")).await.status(), 400);
}

#[tokio::test]
async fn a_payment_is_looked_at_after_signing_in() {
    let world = World::start(&[("SESSILE_COOKIE_SECURE", "false"), ("SESSILE_CATALOGUE", CATALOGUE)]).await;
    let browser = world.browser();
    let asked = browser.page("/payment/abc").await;
    assert_eq!(location(&asked), "/auth/whop?returnTo=%2Fpayment%2Fabc");
    let unknown = browser.page("/checkout?sessionId=%3Cscript%3E").await.text().await.unwrap();
    assert!(
        unknown.contains("data-reason=\"session_not_found\"") && !unknown.contains("<script>"),
        "{unknown}"
    );
}
