//! Paid jobs from the prompt to the video, through HTTP, with a stand-in Stripe and a stand-in SuperDuperAI.

use crate::generation_world::{EXTRA, PATIENCE, RETIRED, SINGLE, Studio, until};
use crate::shop::Said;
use crate::world::{Browser, World};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use sessile_core::generation::{GENERATION_LIFETIME, GenerationKey, PROMPT_BYTES_MAX};
use sessile_core::{Clock as _, SystemClock};
use sessile_sandbox::stripe::{Misbehaviour, PayWith, Switch};

#[tokio::test(flavor = "multi_thread")]
async fn from_the_prompt_to_videos_that_play() {
    let (studio, _workers) = Studio::open().await;
    let prompt = "Three cats on a boat 🚤";
    let id = studio.order(prompt, 3).await;
    let waiting = studio.status(&id).await;
    assert_eq!((&waiting["status"], &waiting["progress"]), (&json!("pending"), &json!(0)));
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    let done = studio.becomes(&id, "completed").await;
    let files = done["files"].as_array().unwrap();
    assert_eq!((files.len(), &done["progress"], done["error"].is_null()), (3, &json!(100), true));
    assert_eq!(done["prompt"], json!(prompt));
    assert_eq!(
        (&done["toolSlug"], &done["toolTitle"]),
        (&json!("veo3-prompt-generator"), &json!("Free VEO3 Viral Prompt Generator"))
    );
    assert_eq!(done["fileId"], files[0]["fileId"]);
    for file in files {
        let video = reqwest_get(file["url"].as_str().unwrap()).await;
        assert_eq!((video.0, video.1.as_str()), (200, "video/webm"));
    }
    assert_eq!(studio.maker().generations_of(prompt).len(), 3);
    let raw = studio.get(&format!("/api/file/{}", done["fileId"].as_str().unwrap())).await.json();
    assert_eq!((&raw["type"], &raw["video_generation"]["prompt"]), (&json!("video"), &json!(prompt)));
    let page = studio.get(&format!("/en/payment-success/{id}")).await;
    assert!(
        page.status == 200
            && page.text.contains("<video")
            && page.text.contains("data-outcome=\"completed\"")
    );
}

async fn reqwest_get(url: &str) -> (u16, String) {
    let response = crate::world::client().get(url).send().await.unwrap();
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prompt_reaches_the_generator_byte_for_byte() {
    let (studio, _workers) = Studio::open().await;
    let alphabet = "שלום עולם \u{202e}مرحبا 👩‍👩‍👧‍👦 \"quoted\" \\ \t\n\u{1}é";
    let mut mixed = alphabet.repeat(3000);
    mixed.truncate((0..=3000).rev().find(|at| mixed.is_char_boundary(*at)).unwrap());
    let longest = {
        // Control characters: six bytes each on the wire, one in the prompt.
        let mut text = "\u{7}\u{1b}".repeat(PROMPT_BYTES_MAX / 4);
        text.push_str(&"x".repeat(PROMPT_BYTES_MAX - text.len()));
        text
    };
    let prompts = ["p".repeat(3000), mixed, longest];
    for prompt in &prompts {
        let id = studio.order(prompt, 1).await;
        studio.stripe().pay(&id, PayWith::Card).unwrap();
        let done = studio.becomes(&id, "completed").await;
        assert!(done["prompt"] == json!(prompt), "the status repeats the prompt");
        assert_eq!(studio.maker().generations_of(prompt).len(), 1, "{} bytes", prompt.len());
    }
    let names: Vec<_> = studio.stripe().log().iter().flat_map(|call| call.params.clone()).collect();
    let longest = names.iter().map(|(_, value)| value.len()).max().unwrap();
    assert!(longest < 300, "Stripe hears nothing of a prompt: {longest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_more_is_refused_and_nothing_is_charged() {
    let studio = Studio::closed().await;
    let ask = async |prompt: String| {
        studio.post("/api/create-checkout", &json!({ "priceId": SINGLE, "prompt": prompt })).await
    };
    for prompt in [
        "x".repeat(PROMPT_BYTES_MAX + 1),
        "é".repeat(PROMPT_BYTES_MAX / 2) + "x",
        "x".repeat(5 * PROMPT_BYTES_MAX),
    ] {
        let said = ask(prompt).await;
        assert_eq!(said.status, 413, "{said:?}");
        assert!(said.json()["error"].as_str().unwrap().contains("Nothing was charged"));
    }
    assert!(studio.stripe().sessions().is_empty());
    assert!(studio.store.recent(None, 10).await.unwrap().is_empty());
    assert_eq!(ask("é".repeat(PROMPT_BYTES_MAX / 2)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_is_told_two_facts_and_our_name() {
    let studio = Studio::closed().await;
    let id = studio.order("a cat", 3).await;
    let session = studio.stripe().session(&id).unwrap();
    let metadata = json!(session.metadata);
    assert_eq!(metadata, json!({ "video_count": "3", "tool": "veo3-generator" }));
    assert!(session.payment_intent_metadata.is_empty());
    let own = session.client_reference_id.clone().unwrap();
    assert!(own.starts_with("gen_") && session.idempotency_key.as_deref() == Some(own.as_str()));
    assert_eq!(session.success_url, format!("{}/en/payment-success/{{CHECKOUT_SESSION_ID}}", studio.home));
    assert_eq!(session.cancel_url, Some(format!("{}/en/tool/veo3-prompt-generator", studio.home)));
    let job = studio.job(&own).await;
    assert_eq!((job.key().as_str(), job.video_count), (id.as_str(), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_has_a_sentence_and_charges_nothing() {
    let studio = Studio::closed().await;
    let with = |name: &str, value: Value| {
        let mut body = json!({ "priceId": SINGLE, "prompt": "a cat" });
        body[name] = value;
        body
    };
    let table = [
        (json!({}), "Price ID is required"),
        (json!({ "prompt": "a cat" }), "Price ID is required"),
        (with("priceId", json!("")), "Price ID is required"),
        (with("priceId", json!(7)), "Price ID is required"),
        (with("priceId", json!("price_nobody")), "Unknown price"),
        (with("priceId", json!("../refunds")), "Unknown price"),
        (with("priceId", json!(RETIRED)), "Unknown price"),
        (with("quantity", json!(0)), "Quantity has to be a whole number from 1 to 10"),
        (with("quantity", json!(11)), "Quantity has to be a whole number from 1 to 10"),
        (with("quantity", json!(1.5)), "Quantity has to be a whole number from 1 to 10"),
        (with("quantity", json!("2")), "Quantity has to be a whole number from 1 to 10"),
        (with("prompt", json!(null)), "Prompt is required"),
        (with("prompt", json!("")), "Prompt is required"),
        (with("prompt", json!(" \n")), "Prompt is required"),
        (with("prompt", json!(["a cat"])), "Prompt is required"),
        (
            with("successUrl", json!("https://evil.example/")),
            "successUrl has to be a full address of a page of this application",
        ),
        (
            with("cancelUrl", json!("javascript:alert(1)")),
            "cancelUrl has to be a full address of a page of this application",
        ),
        (with("toolSlug", json!("x".repeat(201))), "toolSlug has at most 200 characters"),
    ];
    for (body, sentence) in table {
        studio.post("/api/create-checkout", &body).await.is(400, &json!({ "error": sentence }));
    }
    let raw = async |kind: &str, body: &'static str| {
        let request =
            studio.request(Method::POST, "/api/create-checkout").header(CONTENT_TYPE, kind).body(body);
        Said::of(request.send().await.unwrap()).await
    };
    assert_eq!(raw("text/plain", "{}").await.status, 400);
    assert_eq!(raw("application/json", "[1]").await.status, 400);
    assert!(studio.stripe().sessions().is_empty(), "nothing was opened");
    assert!(studio.store.recent(None, 10).await.unwrap().is_empty(), "nothing was stored");
    let extra = with("priceId", json!(EXTRA));
    assert_eq!(studio.post("/api/create-checkout", &extra).await.status, 200, "the account sells it");
    let back = with("successUrl", json!(format!("{}/thanks/{{CHECKOUT_SESSION_ID}}", studio.home)));
    assert_eq!(studio.post("/api/create-checkout", &back).await.status, 200);
    let session = studio.stripe().sessions().pop().unwrap();
    assert_eq!(session.success_redirect(), format!("{}/thanks/{}", studio.home, session.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_that_stumbles_is_asked_again_under_the_same_key() {
    let studio = Studio::closed().await;
    let on = "POST /v1/checkout/sessions";
    for kind in [Misbehaviour::LostReply, Misbehaviour::Api500, Misbehaviour::LockTimeout] {
        studio.stripe().misbehave(&[Switch::once(kind).on(on)]).unwrap();
        let before = studio.stripe().sessions().len();
        studio.order("a cat", 1).await;
        assert_eq!(studio.stripe().sessions().len(), before + 1, "{kind:?}: one page");
    }
    studio.stripe().misbehave(&[Switch::standing(Misbehaviour::Api500).on(on)]).unwrap();
    let said = studio.post("/api/create-checkout", &json!({ "priceId": SINGLE, "prompt": "a cat" })).await;
    said.is(500, &json!({ "error": "Failed to create checkout session" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_of_sessions_that_are_not_there() {
    let studio = Studio::closed().await;
    let nothing =
        json!({ "status": "pending", "message": "Session not found or processing not yet started" });
    for id in ["cs_test_nobody", "nonsense", "cs_%20"] {
        studio.get(&format!("/api/webhook-status/{id}")).await.is(200, &nothing);
    }
    studio.get("/api/session-data/cs_test_nobody").await.is(404, &json!({ "error": "Session not found" }));
    let missing = studio.get("/api/file/00000000-0000-0000-0000-000000000000").await;
    missing.is(404, &json!({ "error": "Failed to get file status", "details": "HTTP 404" }));
    let page = studio.get("/en/payment-success/cs_test_nobody").await;
    assert!(page.status == 200 && page.text.contains("Waiting for Stripe"));
    let prices = studio.get("/api/stripe-prices").await;
    prices
        .is(200, &json!({ "success": true, "prices": { "single": SINGLE, "triple": null }, "mode": "test" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_its_owners() {
    let studio = Studio::closed().await;
    let body = json!({ "priceId": SINGLE, "prompt": "mine" });
    let response = studio.request(Method::POST, "/api/create-checkout").json(&body).send().await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let id = Said::of(response).await.json()["sessionId"].as_str().unwrap().to_owned();
    let path = format!("/api/session-data/{id}");
    let mine = studio.request(Method::GET, &path).header(COOKIE, &cookie).send().await.unwrap();
    let mine = Said::of(mine).await;
    assert_eq!((mine.status, &mine.json()["prompt"]), (200, &json!("mine")));
    assert!(!mine.text.contains("timeline") && !mine.text.contains("owner"), "{}", mine.text);
    studio.get(&path).await.is(404, &json!({ "error": "Session not found" }));
    let staff = studio.staff(Method::GET, &path, None).await;
    assert_eq!((staff.status, staff.json()["money"].clone()), (200, json!("awaited")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_reports_what_could_have_happened() {
    let studio = Studio::closed().await;
    let id = studio.order("theirs", 1).await;
    let path = format!("/api/webhook-status/{id}");
    let report = |status: &str| json!({ "status": status, "fileId": "file-1" });
    studio.post(&path, &report("processing")).await.is(401, &json!({ "error": "Unauthorized" }));
    let say = async |path: &str, body: Value| studio.staff(Method::POST, path, Some(&body)).await;
    say("/api/webhook-status/gen_1", report("processing"))
        .await
        .is(400, &json!({ "error": "Invalid session ID" }));
    say("/api/webhook-status/cs_test_nobody", report("processing"))
        .await
        .is(404, &json!({ "error": "Session not found" }));
    say(&path, report("lost")).await.is(400, &json!({ "error": "Invalid status" }));
    assert_eq!(say(&path, report("completed")).await.status, 409, "nothing was begun");
    for status in ["processing", "processing", "completed", "completed"] {
        say(&path, report(status)).await.is(200, &json!({ "success": true }));
    }
    assert_eq!(say(&path, report("pending")).await.status, 409);
    assert_eq!(studio.status(&id).await["fileId"], json!("file-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_every_step_and_ends() {
    let (studio, _workers) = Studio::open().await;
    let id = studio.order("a cat", 2).await;
    let stream =
        studio.request(Method::GET, &format!("/api/webhook-status/{id}/events")).send().await.unwrap();
    assert_eq!(stream.headers()[CONTENT_TYPE], "text/event-stream; charset=utf-8");
    studio.stripe().pay(&id, PayWith::Card).unwrap();
    let text = tokio::time::timeout(PATIENCE, stream.text()).await.unwrap().unwrap();
    let said: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    assert_eq!(said.first().unwrap()["status"], json!("pending"));
    let last = said.last().unwrap();
    assert_eq!((&last["status"], &last["progress"]), (&json!("completed"), &json!(100)));
    let bars: Vec<u64> = said.iter().map(|job| job["progress"].as_u64().unwrap()).collect();
    assert!(bars.is_sorted(), "{bars:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_configured_says_so_and_the_rest_works() {
    let nothing = World::development().await;
    let browser: Browser = nothing.browser();
    for path in ["/api/webhook-status/cs_test_1", "/api/stripe-prices", "/api/file/1"] {
        let said = Said::of(browser.get(path).await).await;
        assert_eq!(said.code(), (501, "not_configured".to_owned()), "{path}");
    }
    let studio = Studio::begin(&[("SUPERDUPERAI_TOKEN", None)], None).await;
    let said = studio.post("/api/create-checkout", &json!({ "priceId": SINGLE, "prompt": "a cat" })).await;
    assert!(said.status == 501 && said.text.contains("SUPERDUPERAI_TOKEN"), "{said:?}");
    assert_eq!(studio.get("/api/stripe-prices").await.status, 200);
    assert!(studio.stripe().sessions().is_empty(), "nobody pays for what nobody would make");
    let page = studio.get("/en/tool/veo3-prompt-generator").await;
    assert!(page.status == 501 && page.text.contains("SUPERDUPERAI_TOKEN"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_thirty_days_from_its_last_change() {
    let studio = Studio::closed().await;
    let id = studio.order("a cat", 1).await;
    let (key, now) = (GenerationKey::parse(&id).unwrap(), SystemClock.now());
    let almost = now.plus(GENERATION_LIFETIME).minus(std::time::Duration::from_secs(60));
    assert!(studio.store.load(&key, almost).await.unwrap().is_some());
    let over = now.plus(GENERATION_LIFETIME).plus(std::time::Duration::from_secs(1));
    assert!(studio.store.load(&key, over).await.unwrap().is_none());
    until("it is removed", async || studio.store.tidy(over, 10).await.unwrap().removed == 1).await;
}
