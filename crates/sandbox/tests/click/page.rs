//! The pay page, as a browser clicks through it.

use sessile_sandbox::click::AttemptState as S;
use sessile_sandbox::whop::WhopConfig;
use sessile_sandbox::{Sandbox, SandboxConfig};
use std::time::Duration;
use url::Url;

use crate::merchant::{AMOUNT, Script};
use crate::world::{BACK, ORDER, World, config, location};

fn link(world: &World, change: (&str, &str)) -> Url {
    let params = [
        ("service_id", "12345"),
        ("merchant_id", "54321"),
        ("amount", AMOUNT),
        ("transaction_param", ORDER),
        ("return_url", BACK),
    ];
    let params = params.map(|(name, value)| (name, if name == change.0 { change.1 } else { value }));
    Url::parse_with_params(&world.sandbox.click_pay_url(), params).unwrap()
}

fn last_state(world: &World) -> S {
    world.click().payment(ORDER).unwrap().attempts.last().unwrap().state
}

#[tokio::test]
async fn the_page_shows_what_is_paid_to_whom() {
    let world = World::start().await;
    let response = world.http.get(link(&world, ("", ""))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let page = response.text().await.unwrap();
    for text in
        ["Demo shop", ORDER, "1000.00 so'm", ">Pay<", ">Cancel<", ">Close window<", "width=device-width"]
    {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
    let script = "\"><script>alert(1)</script>";
    let page = world.http.get(link(&world, ("transaction_param", script))).send().await.unwrap();
    assert!(!page.text().await.unwrap().contains("<script>"));
    assert!(world.merchant.received().is_empty(), "looking at the page must send nothing");
}

#[tokio::test]
async fn a_wrong_link_is_refused() {
    let world = World::start().await;
    let wrong = [
        ("service_id", "1"),
        ("merchant_id", "1"),
        ("amount", "12,50"),
        ("amount", "-1"),
        ("amount", ""),
        ("transaction_param", ""),
        ("return_url", "javascript:alert(1)"),
        ("return_url", "/relative"),
    ];
    for change in wrong {
        let response = world.http.get(link(&world, change)).send().await.unwrap();
        assert_eq!(response.status(), 400, "{change:?}");
    }
    assert_eq!(world.http.get(link(&world, ("return_url", ""))).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn paying_leads_back_with_the_payments_number() {
    let world = World::start().await;
    let back = location(&world.press("pay").await);
    let paydoc = world.click().payment(ORDER).unwrap().attempts[0].click_paydoc_id;
    assert_eq!(back, format!("{BACK}&payment_id={paydoc}&payment_status=2"));
    assert_eq!((world.merchant.story(), last_state(&world)), (vec!["prepare", "complete"], S::Successful));
}

#[tokio::test]
async fn cancelling_before_the_prepare_just_returns() {
    let world = World::start().await;
    assert_eq!(location(&world.press("cancel").await), BACK);
    assert!(world.merchant.received().is_empty() && world.click().payments().is_empty());
}

#[tokio::test]
async fn a_prepared_payment_is_confirmed_or_cancelled_on_the_same_page() {
    let world = World::start().await;
    let page = world.press("prepare").await.text().await.unwrap();
    assert!(page.contains("Confirm and pay"), "{page}");
    let page = world.http.get(link(&world, ("", ""))).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Confirm and pay"), "the page forgot that it is prepared");
    let page = world.press("close").await.text().await.unwrap();
    assert!(page.contains("closed"));
    assert_eq!(last_state(&world), S::Prepared, "closing the window tells nobody");
    let back = location(&world.press("cancel").await);
    assert!(back.ends_with("&payment_status=-5017"), "{back}");
    assert_eq!((world.merchant.story(), last_state(&world)), (vec!["prepare", "cancel"], S::Cancelled));

    let world = World::start().await;
    world.press("prepare").await;
    assert!(location(&world.press("pay").await).ends_with("&payment_status=2"));
    assert_eq!(world.merchant.story(), ["prepare", "complete"]);
}

#[tokio::test]
async fn a_refused_card_is_a_prepare_and_a_cancel() {
    let world = World::start().await;
    assert!(location(&world.press("fail").await).ends_with("&payment_status=-5017"));
    assert_eq!(world.merchant.story(), ["prepare", "cancel"]);
}

#[tokio::test]
async fn a_refusal_is_explained_to_the_buyer() {
    let world = World::start().await;
    world.merchant.script(&[Script::Error(-2)]);
    let response = world.press("pay").await;
    assert_eq!(response.status(), 200);
    let page = response.text().await.unwrap();
    assert!(page.contains("the amount is not the order") && page.contains("Nothing was debited"), "{page}");
    assert!(page.contains("payment_status=-1"), "{page}");
    assert_eq!(world.click().payment(ORDER).unwrap().debited_tiyin(), 0);
}

#[tokio::test]
async fn a_merchant_that_is_down_is_explained_to_the_buyer() {
    let world = World::start().await;
    world.merchant.script(&vec![Script::Status(503); 4]);
    let page = world.press("pay").await.text().await.unwrap();
    assert!(page.contains("did not answer the Prepare"), "{page}");
}

#[tokio::test]
async fn a_slow_merchant_sends_the_buyer_back_and_the_payment_goes_on() {
    let mut config = config();
    config.page_wait = Duration::from_millis(30);
    config.retry.call_timeout = Duration::from_millis(80);
    let world = World::with(config, [ORDER.to_owned()]).await;
    world.merchant.script(&[Script::Hang(Duration::from_secs(1))]);
    assert!(location(&world.press("pay").await).ends_with("&payment_status=0"));
    let paid = async {
        while last_state(&world) != S::Successful {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), paid).await.unwrap();
}

#[tokio::test]
async fn the_switchboard_lists_payments_messages_and_answers() {
    let world = World::start().await;
    world.press("pay").await;
    let url = format!("{}/sandbox/click", world.sandbox.base_url());
    let shown: serde_json::Value = world.http.get(&url).send().await.unwrap().json().await.unwrap();
    let attempt = &shown["payments"][0]["attempts"][0];
    assert_eq!((&attempt["order"], &attempt["state"]), (&ORDER.into(), &"successful".into()));
    assert_eq!(attempt["messages"].as_array().unwrap().len(), 2);
    assert_eq!(shown["counts"]["complete_sent"], 1);
    let page = world.http.get(&url).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert!(page.contains(ORDER) && page.contains("merchant_confirm_id") && page.contains("sign_time="));
    assert!(!page.contains(crate::merchant::SECRET), "the secret is on the page");
}

#[tokio::test]
async fn only_what_is_configured_is_served() {
    let world = World::start().await;
    let jwks = format!("{}/oauth/jwks", world.sandbox.base_url());
    assert_eq!(world.http.get(jwks).send().await.unwrap().status(), 404);
    let whop = Sandbox::start(WhopConfig::new("app", Vec::new())).await.unwrap();
    let status = world.http.get(format!("{}/sandbox/click", whop.base_url())).send().await.unwrap().status();
    assert_eq!(status, 404);
    let both = SandboxConfig::new().with_whop(WhopConfig::new("app", Vec::new())).with_click(config());
    let both = Sandbox::start(both).await.unwrap();
    for path in ["/oauth/jwks", "/sandbox/click", "/sandbox/whop"] {
        let url = format!("{}{path}", both.base_url());
        assert_eq!(world.http.get(url).send().await.unwrap().status(), 200, "{path}");
    }
}
