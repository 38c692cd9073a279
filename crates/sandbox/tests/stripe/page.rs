//! The hosted payment page and the switchboard, as a browser clicks through them.

use reqwest::Response;
use sessile_sandbox::stripe::{PaymentStatus, SessionStatus};

use crate::application::SECRET;
use crate::world::{KEY, SESSIONS, World, form, order_with};

async fn press(world: &World, id: &str, fields: &[(&str, &str)]) -> Response {
    let url = world.stripe().session(id).unwrap().url;
    form(world.http.post(url), fields).send().await.unwrap()
}

fn card(number: &str) -> Vec<(&str, &str)> {
    vec![
        ("method", "card"),
        ("number", number),
        ("expiry", "12 / 34"),
        ("cvc", "123"),
        ("email", "a@b.example"),
    ]
}

fn location(response: &Response) -> &str {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap()
}

#[tokio::test]
async fn the_page_shows_what_is_bought_and_how_to_go_back() {
    let world = World::start().await;
    let id = world.session().await;
    let url = world.stripe().session(&id).unwrap().url;
    let page = world.http.get(url).send().await.unwrap().text().await.unwrap();
    let back = "http://localhost:3000/en/tool/veo3-prompt-generator";
    for text in ["Demo shop", "One video × 3", "8.97 USD", "Pay 8.97 USD", "Card number", "4242 4242", back]
    {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
    assert!(page.contains("width=device-width") && !page.contains(KEY));
    let missing = format!("{}/sandbox/stripe/c/pay/cs_test_none", world.sandbox.base_url());
    assert_eq!(world.http.get(missing).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_known_card_pays_and_leads_to_the_success_page() {
    let world = World::start().await;
    let id = world.session().await;
    let paid = press(&world, &id, &card("4242 4242 4242 4242")).await;
    assert_eq!(location(&paid), format!("http://localhost:3000/en/payment-success/{id}"));
    let session = world.stripe().session(&id).unwrap();
    assert_eq!((session.status, session.payment_status), (SessionStatus::Complete, PaymentStatus::Paid));
    assert_eq!(session.email.as_deref(), Some("a@b.example"));
    let again = press(&world, &id, &card("4242424242424242")).await;
    assert!(again.text().await.unwrap().contains("all done here"));
    assert_eq!(world.stripe().charges(&id).len(), 1, "charged twice");
}

#[tokio::test]
async fn a_declined_card_is_told_so_and_another_one_pays() {
    let world = World::start().await;
    let id = world.session().await;
    for (number, sentence) in [
        ("4000 0000 0000 0002", "Your card was declined."),
        ("4000 0000 0000 9995", "Your card has insufficient funds."),
        ("4000 0000 0000 0069", "Your card has expired."),
        ("1234", "Your card number is invalid."),
        ("", "Your card number is incomplete."),
    ] {
        let response = press(&world, &id, &card(number)).await;
        assert_eq!(response.status(), 402);
        assert!(response.text().await.unwrap().contains(sentence), "{number}");
    }
    assert_eq!(world.stripe().session(&id).unwrap().status, SessionStatus::Open);
    location(&press(&world, &id, &card("4242 4242 4242 4242")).await);
}

#[tokio::test]
async fn a_bank_debit_leads_on_and_stays_unpaid() {
    let world = World::start().await;
    let id = world.session().await;
    location(&press(&world, &id, &[("method", "bank"), ("number", "")]).await);
    assert_eq!(world.stripe().session(&id).unwrap().payment_status, PaymentStatus::Unpaid);
    let home = format!("{}/sandbox/stripe", world.sandbox.base_url());
    let act = [("act", "settle_succeeds"), ("id", id.as_str())];
    let done = form(world.http.post(format!("{home}/act")), &act).send().await.unwrap();
    assert_eq!(done.status(), 303);
    assert_eq!(world.stripe().session(&id).unwrap().payment_status, PaymentStatus::Paid);
}

#[tokio::test]
async fn an_expired_page_says_so() {
    let world = World::start().await;
    let id = world.session().await;
    world.stripe().expire(&id).unwrap();
    let response = press(&world, &id, &card("4242 4242 4242 4242")).await;
    assert_eq!(response.status(), 410);
    assert!(response.text().await.unwrap().contains("expired"));
}

#[tokio::test]
async fn the_switchboard_shows_everything_but_secrets_and_escapes_it() {
    let world = World::start().await;
    let order = order_with("client_reference_id", "<script>alert(1)</script>");
    world.post(SESSIONS, &order).send().await.unwrap();
    let id = world.session().await;
    location(&press(&world, &id, &card("4242 4242 4242 4242")).await);
    world.told().await;
    let home = format!("{}/sandbox/stripe", world.sandbox.base_url());
    let page =
        world.http.get(&home).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    for text in [
        &id,
        "checkout.session.completed",
        "acknowledged",
        "video_count=3",
        "Deliver again",
        "webhook_before",
    ] {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
    assert!(!page.contains("<script>") && !page.contains(SECRET) && !page.contains(KEY));
    let event = world.stripe().events_of(&id)[1].id.clone();
    let before = world.stripe().event(&event).unwrap().sent;
    let act = [("act", "deliver_again"), ("id", event.as_str())];
    form(world.http.post(format!("{home}/act")), &act).send().await.unwrap();
    assert_eq!(world.stripe().event(&event).unwrap().sent, before + 1);
    let wrong = [("act", "expire"), ("id", id.as_str())];
    let refused = form(world.http.post(format!("{home}/act")), &wrong).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    let json = world.http.post(format!("{home}/webhook")).header("content-type", "application/json");
    let far = json.body(r#"{"url":"http://example.com/","secret":"whsec_1"}"#).send().await.unwrap();
    assert_eq!(far.status(), 400);
}
