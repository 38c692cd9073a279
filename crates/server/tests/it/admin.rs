//! The operator's dashboard from outside: who is let in, what strangers see, that forms are the dashboard's own, and that
//! what an operator does is done by the services and stands in the audit log.

use crate::shop::user;
use crate::world::{ADMIN_TOKEN, Browser, World, location};
use reqwest::{Method, Response};
use sessile_core::ledger::{EffectState, Kind, NewEffect, PaymentFilter};

/// A form of the dashboard's own page.
async fn send(browser: &Browser, path: &str, body: &str) -> Response {
    let request = browser.request(Method::POST, path).header("sec-fetch-site", "same-origin");
    let request = request.header("accept", "text/html");
    let form = "application/x-www-form-urlencoded";
    browser.send(request.header("content-type", form).body(body.to_owned())).await
}

async fn operator(world: &World) -> Browser {
    let browser = world.browser();
    let answer = send(&browser, "/admin", &format!("token={ADMIN_TOKEN}")).await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/admin"));
    browser
}

async fn text(browser: &Browser, path: &str) -> String {
    let answer = browser.page(path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap()
}

async fn payment(world: &World) -> String {
    world.payment_of(&user()).await["transactionId"].as_str().unwrap().to_owned()
}

/// The last event of the audit log, and who caused it.
async fn last_deed(world: &World) -> (String, String) {
    let head = world.ledger().audit_head().await.unwrap().seq;
    let row = world.ledger().audit(head - 1, 1).await.unwrap().remove(0);
    (row.event, row.actor)
}

#[tokio::test]
async fn a_stranger_sees_nothing_but_the_form() {
    let world = World::selling().await;
    let (stranger, id) = (world.browser(), payment(&world).await);
    let missing = stranger.page("/nothing/here").await;
    let (status, missing) = (missing.status(), missing.text().await.unwrap());
    for path in [
        "/admin/payment",
        &format!("/admin/payment/{id}"),
        &format!("/admin/payment/{id}/cancel"),
        "/admin/search?q=ada",
        "/admin/outbox",
        "/admin/audit",
        "/admin/nothing",
    ] {
        let answer = stranger.page(path).await;
        assert_eq!((answer.status(), answer.text().await.unwrap()), (status, missing.clone()), "{path}");
    }
    for path in
        [format!("/admin/payment/{id}/cancel"), "/admin/sign-out".to_owned(), "/admin/coupons".to_owned()]
    {
        let answer = send(&stranger, &path, "key=k").await;
        assert_eq!((answer.status(), answer.text().await.unwrap()), (status, missing.clone()), "{path}");
    }
    assert!(text(&stranger, "/admin").await.contains("Operator's token"));
    // A buyer is no operator, and a bearer token is for programs.
    let ada = world.browser();
    ada.sign_in().await;
    assert_eq!(ada.page("/admin/payment").await.status(), 404);
    let request = ada.request(Method::GET, "/admin/payment").bearer_auth(ADMIN_TOKEN);
    assert_eq!(ada.send(request).await.status(), 404);
    assert_eq!(world.operator().get("/v1/admin/census").await.status, 200);
}

#[tokio::test]
async fn the_token_is_exchanged_for_a_short_lived_cookie() {
    let world = World::selling().await;
    let browser = world.browser();
    let wrong = send(&browser, "/admin", "token=an-operators-token").await;
    assert_eq!((wrong.status().as_u16(), wrong.headers().get("set-cookie")), (403, None));
    let answer = send(&browser, "/admin", &format!("token=%20{ADMIN_TOKEN}%0A")).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let attributes = cookie.split_once("; ").unwrap().1;
    assert_eq!(attributes, "Path=/admin; Max-Age=3600; HttpOnly; SameSite=Strict");
    assert!(!cookie.contains(ADMIN_TOKEN));
    let page = browser.page("/admin").await;
    assert_eq!(page.headers()["cache-control"], "no-store");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self';"), "{policy}");
    assert!(page.text().await.unwrap().contains("Overview"));
    let out = send(&browser, "/admin/sign-out", "").await;
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.page("/admin/audit").await.status(), 404);
}

#[tokio::test]
async fn guessing_has_an_end() {
    let world = World::selling().await;
    let mut last = None;
    for _ in 0..20 {
        last = Some(send(&world.browser(), "/admin", "token=guess").await);
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(last.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let right = send(&world.browser(), "/admin", &format!("token={ADMIN_TOKEN}")).await;
    assert_eq!(right.status(), 429, "the right one does not tell that it is right");
}

#[tokio::test]
async fn forms_are_taken_from_the_dashboards_own_pages_only() {
    let world = World::start_allowing("https://partner.example").await;
    let (browser, id) = (operator(&world).await, payment(&world).await);
    let path = format!("/admin/payment/{id}/cancel");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://partner.example"),
    ] {
        let request = browser.request(Method::POST, &path).header(name, value).header("accept", "text/html");
        let answer = browser.send(request.header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    assert_eq!(world.operator().get(&format!("/v1/payments/{id}")).await.json()["status"], "pending");
    assert_eq!(send(&browser, &path, "").await.status(), 303);
}

#[tokio::test]
async fn what_an_operator_does_is_asked_back_done_once_and_audited() {
    let world = World::selling().await;
    let (browser, made) = (operator(&world).await, world.payment_of(&user()).await);
    let (id, order) = (made["transactionId"].as_str().unwrap(), made["orderId"].as_str().unwrap());
    world.sandbox.click().pay(order, "1000.00").await.unwrap();
    let sheet = format!("/admin/payment/{id}");
    assert!(text(&browser, &sheet).await.contains("payment.confirmed"));
    let question = text(&browser, &format!("{sheet}/refund")).await;
    let key = question.split("name=\"key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let done = send(&browser, &format!("{sheet}/refund"), &format!("key={key}")).await;
    assert_eq!((done.status().as_u16(), location(&done)), (303, format!("{sheet}?done=refund")));
    assert_eq!(last_deed(&world).await, ("payment.refund_requested".to_owned(), "operator".to_owned()));
    let again = send(&browser, &format!("{sheet}/refund"), &format!("key={key}")).await;
    assert_eq!(again.status(), 409);
    let refunds = world.ledger().page(Kind::Refund, &PaymentFilter::default(), None, 10).await.unwrap();
    assert_eq!(refunds.rows.len(), 1);
    assert_eq!(browser.page(&format!("{sheet}/nonsense")).await.status(), 409);
    assert_eq!(browser.page("/admin/payment/pay_nothing").await.status(), 404);
}

#[tokio::test]
async fn logins_and_dead_letters_leave_a_row_in_the_audit_log() {
    let world = World::selling().await;
    let (browser, ada) = (operator(&world).await, world.browser());
    ada.sign_in().await;
    let user = ada.me().await["id"].as_str().unwrap().to_owned();
    let found = text(&browser, &format!("/admin/search?q={user}")).await;
    let sheet = found.split("href=\"/admin/login/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/admin/login/{sheet}");
    assert_eq!(send(&browser, &format!("{path}/revoke"), "").await.status(), 303);
    assert_eq!(last_deed(&world).await, ("login.revoke_ordered".to_owned(), "operator".to_owned()));
    assert_eq!(ada.get("/api/me").await.status(), 401);
    assert!(text(&browser, &path).await.contains("login.revoke_ordered"), "its past is still shown");

    let effect = sessile_core::ledger::Effect::Tier {
        user: sessile_core::login::UserId::parse("ada").unwrap(),
        tier: "pro".into(),
    };
    let effect = NewEffect { id: "evt_dead".to_owned(), effect };
    let plan = sessile_core::ledger::Plan { effects: vec![effect], ..sessile_core::ledger::Plan::nothing() };
    let now = sessile_core::Clock::now(&sessile_core::SystemClock);
    let work =
        sessile_core::ledger::Work::new(sessile_core::ledger::Reads::none(), now, move |_| plan.clone());
    world.ledger().transact(work).await.unwrap();
    world.ledger().undone("evt_dead", sessile_core::ledger::Retry::GiveUp, "gone").await.unwrap();
    assert!(text(&browser, "/admin").await.contains("1 dead letter"));
    assert!(text(&browser, "/admin/outbox/evt_dead/requeue").await.contains("Put this effect back?"));
    assert_eq!(send(&browser, "/admin/outbox/evt_dead/requeue", "").await.status(), 303);
    assert_eq!(last_deed(&world).await, ("outbox.requeue_ordered".to_owned(), "operator".to_owned()));
    assert!(world.ledger().effects(EffectState::Dead, 10).await.unwrap().is_empty());
    assert_eq!(send(&browser, "/admin/outbox/evt_dead/requeue", "").await.status(), 404);
    // The chain holds with rows that change nothing of the ledger.
    let report = sessile_server::audit::examine(world.ledger()).await.unwrap();
    assert_eq!(report.head, world.ledger().audit_head().await.unwrap());
}

#[tokio::test]
async fn what_people_wrote_is_shown_as_text() {
    let world = World::selling().await;
    let browser = operator(&world).await;
    let found = text(&browser, "/admin/search?q=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!found.contains("<script>alert"), "{found}");
    assert!(text(&browser, "/admin/search?q=%22onfocus%3D").await.contains("&quot;onfocus="));
}
