//! The stand-in's endpoints over a real socket: what they accept, what they refuse, and how they say it.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sessile_sandbox::Sandbox;
use sessile_sandbox::whop::{TokenBodies, WhopConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use url::Url;

const CALLBACK: &str = "http://localhost:3000/auth/whop/callback";
const CLIENT: &str = "app_test";
const SECRET: &str = "test secret & more";
// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn config() -> WhopConfig {
    let mut config = WhopConfig::new(CLIENT, vec![CALLBACK.into()]);
    config.client_secret = Some(SECRET.into());
    config
}

struct World {
    sandbox: Sandbox,
    http: Client,
}

impl World {
    async fn start(config: WhopConfig) -> Self {
        // `Err` means that another test in this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(redirects).no_proxy().build().unwrap();
        Self { sandbox, http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.http.post(self.url(path)).json(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn authorize(&self, params: &[(&str, &str)]) -> Response {
        let url = Url::parse_with_params(&self.url("/oauth/authorize"), params).unwrap();
        self.http.get(url).send().await.unwrap()
    }

    /// Presses a button of the consent page and gives the callback's query.
    async fn decide(&self, decision: &str) -> HashMap<String, String> {
        let mut form = request();
        form.push(("decision", decision));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let sent = self.http.post(self.url("/oauth/authorize"));
        let sent = sent.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body).send();
        callback(&sent.await.unwrap())
    }

    async fn code(&self) -> String {
        self.decide("ada").await["code"].clone()
    }

    async fn exchange(&self, code: &str) -> (StatusCode, Value) {
        self.post("/oauth/token", &exchange_body(code)).await
    }

    async fn refresh(&self, token: &Value) -> (StatusCode, Value) {
        let body = json!({
            "grant_type": "refresh_token", "refresh_token": token, "client_id": CLIENT, "client_secret": SECRET,
        });
        self.post("/oauth/token", &body).await
    }

    async fn userinfo(&self, token: &Value) -> (StatusCode, Value) {
        let sent = self.http.get(self.url("/oauth/userinfo")).bearer_auth(token.as_str().unwrap()).send();
        let response = sent.await.unwrap();
        (response.status(), response.json().await.unwrap())
    }
}

fn request() -> Vec<(&'static str, &'static str)> {
    vec![
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "the state"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    request().into_iter().map(|pair| if pair.0 == name { (name, value) } else { pair }).collect()
}

fn exchange_body(code: &str) -> Value {
    json!({
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
        "client_id": CLIENT, "client_secret": SECRET,
    })
}

fn callback(response: &Response) -> HashMap<String, String> {
    assert!(response.status().is_redirection(), "{}", response.status());
    let target = Url::parse(response.headers()[LOCATION].to_str().unwrap()).unwrap();
    assert!(target.as_str().starts_with(CALLBACK), "{target}");
    target.query_pairs().into_owned().collect()
}

fn refused(answer: &(StatusCode, Value), status: u16, error: &str) {
    assert_eq!((answer.0.as_u16(), answer.1["error"].as_str()), (status, Some(error)), "{}", answer.1);
    assert!(answer.1["error_description"].as_str().is_some_and(|text| text.len() > 10), "{}", answer.1);
}

#[tokio::test]
async fn the_consent_page_offers_people_and_a_way_out() {
    let world = World::start(config()).await;
    let response = world.authorize(&request()).await;
    assert_eq!(response.status(), 200);
    let page = response.text().await.unwrap();
    for text in
        ["Continue as Ada Lovelace", "Grace Hopper", "Alan Turing", "Deny", "light dark", "lang=\"en\""]
    {
        assert!(page.contains(text), "the page lacks {text:?}");
    }
    let script = "\"><script>alert(1)</script>";
    let page = world.authorize(&with("state", script)).await.text().await.unwrap();
    assert!(!page.contains("<script>"));
    world.sandbox.stop().await;
}

#[tokio::test]
async fn an_unknown_client_or_redirect_gets_a_page_and_never_a_redirect() {
    let world = World::start(config()).await;
    let near_misses = [
        with("client_id", "app_other"),
        with("redirect_uri", "http://localhost:3000/auth/whop/callback/"),
        with("redirect_uri", "http://localhost:3000/auth/whop/callback?x=1"),
        with("redirect_uri", "http://localhost:3001/auth/whop/callback"),
        with("redirect_uri", "https://evil.example/"),
        with("redirect_uri", ""),
    ];
    for params in near_misses {
        let response = world.authorize(&params).await;
        assert_eq!(response.status(), 400, "{params:?}");
        assert!(response.headers().get(LOCATION).is_none());
    }
}

#[tokio::test]
async fn other_mistakes_go_back_to_the_application_with_its_state() {
    let world = World::start(config()).await;
    let mistakes = [
        (with("response_type", "token"), "unsupported_response_type"),
        (with("scope", "profile email"), "invalid_scope"),
        (with("scope", "openidx"), "invalid_scope"),
        (with("nonce", ""), "invalid_request"),
        (with("code_challenge_method", "plain"), "invalid_request"),
        (with("code_challenge_method", ""), "invalid_request"),
        (with("code_challenge", "short"), "invalid_request"),
        (with("code_challenge", ""), "invalid_request"),
    ];
    for (params, error) in mistakes {
        let answer = callback(&world.authorize(&params).await);
        assert_eq!((answer["error"].as_str(), answer["state"].as_str()), (error, "the state"), "{params:?}");
    }
    let answer = callback(&world.authorize(&with("state", "")).await);
    assert_eq!(answer["error"], "invalid_request");
}

#[tokio::test]
async fn a_denial_is_access_denied() {
    let world = World::start(config()).await;
    let answer = world.decide("deny").await;
    assert_eq!((answer["error"].as_str(), answer["state"].as_str()), ("access_denied", "the state"));
    assert!(!answer.contains_key("code"));
}

#[tokio::test]
async fn a_code_becomes_tokens_and_tokens_an_identity() {
    let world = World::start(config()).await;
    let answer = world.decide("alan").await;
    assert_eq!(answer["state"], "the state");
    let (status, tokens) = world.exchange(&answer["code"]).await;
    assert_eq!(
        (status.as_u16(), &tokens["token_type"], &tokens["expires_in"]),
        (200, &json!("Bearer"), &json!(3600))
    );
    assert_eq!(tokens["id_token"].as_str().unwrap().split('.').count(), 3);
    let (status, person) = world.userinfo(&tokens["access_token"]).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&person["email"], &person["email_verified"]),
        (&json!("alan@sandbox.example"), &json!(false))
    );
    let picture = person["picture"].as_str().unwrap().to_owned();
    let picture = world.http.get(picture).send().await.unwrap();
    assert_eq!(
        (picture.status().as_u16(), &picture.headers()[CONTENT_TYPE]),
        (200, &"image/svg+xml".parse().unwrap())
    );
}

#[tokio::test]
async fn userinfo_refuses_strangers() {
    let world = World::start(config()).await;
    refused(&world.userinfo(&json!("access_invented")).await, 401, "invalid_token");
    let response = world.get("/oauth/userinfo").await;
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_form_body_is_refused_and_says_what_to_send() {
    let world = World::start(config()).await;
    let code = world.code().await;
    let form = format!("grant_type=authorization_code&code={code}&client_id={CLIENT}");
    let sent = world.http.post(world.url("/oauth/token"));
    let sent = sent.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).send();
    let response = sent.await.unwrap();
    let answer = (response.status(), response.json::<Value>().await.unwrap());
    refused(&answer, 400, "invalid_request");
    assert!(answer.1["error_description"].as_str().unwrap().contains("application/json"));
    assert_eq!(world.exchange(&code).await.0, 200, "the refusal used the code up");
}

#[tokio::test]
async fn the_client_must_prove_itself_before_the_code_is_looked_at() {
    let world = World::start(config()).await;
    let code = world.code().await;
    for (field, value) in [("client_secret", json!("wrong")), ("client_id", json!("app_other"))] {
        let mut body = exchange_body(&code);
        body[field] = value;
        refused(&world.post("/oauth/token", &body).await, 401, "invalid_client");
    }
    let mut body = exchange_body(&code);
    body.as_object_mut().unwrap().remove("client_secret");
    refused(&world.post("/oauth/token", &body).await, 401, "invalid_client");
    assert_eq!(world.exchange(&code).await.0, 200);
}

#[tokio::test]
async fn pkce_and_redirect_are_checked_at_the_exchange() {
    let world = World::start(config()).await;
    let other = "A".repeat(43);
    for (field, value) in
        [("code_verifier", json!(other)), ("redirect_uri", json!("http://localhost:3000/other"))]
    {
        let mut body = exchange_body(&world.code().await);
        body[field] = value;
        refused(&world.post("/oauth/token", &body).await, 400, "invalid_grant");
    }
    let mut body = exchange_body(&world.code().await);
    body["code_verifier"] = json!("short");
    refused(&world.post("/oauth/token", &body).await, 400, "invalid_request");
    body.as_object_mut().unwrap().remove("code_verifier");
    refused(&world.post("/oauth/token", &body).await, 400, "invalid_request");
    refused(&world.exchange("code_invented").await, 400, "invalid_grant");
    let unknown = json!({ "grant_type": "password", "client_id": CLIENT, "client_secret": SECRET });
    refused(&world.post("/oauth/token", &unknown).await, 400, "unsupported_grant_type");
    refused(&world.post("/oauth/token", &json!(["not", "an", "object"])).await, 400, "invalid_request");
}

#[tokio::test]
async fn a_replayed_code_is_refused_and_kills_its_tokens() {
    let world = World::start(config()).await;
    let code = world.code().await;
    let (_, tokens) = world.exchange(&code).await;
    assert_eq!(world.userinfo(&tokens["access_token"]).await.0, 200);
    refused(&world.exchange(&code).await, 400, "invalid_grant");
    refused(&world.userinfo(&tokens["access_token"]).await, 401, "invalid_token");
    refused(&world.refresh(&tokens["refresh_token"]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn codes_and_access_tokens_expire_by_the_clock() {
    let now_ms = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = Arc::clone(&now_ms);
    let mut config = config();
    config.clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let world = World::start(config).await;
    let (late, early) = (world.code().await, world.code().await);
    now_ms.fetch_add(59_999, Ordering::Relaxed);
    let (status, tokens) = world.exchange(&early).await;
    assert_eq!(status, 200);
    now_ms.fetch_add(1, Ordering::Relaxed);
    refused(&world.exchange(&late).await, 400, "invalid_grant");
    now_ms.fetch_add(3_600_000, Ordering::Relaxed);
    refused(&world.userinfo(&tokens["access_token"]).await, 401, "invalid_token");
    assert_eq!(world.refresh(&tokens["refresh_token"]).await.0, 200);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_reused_one_ends_the_family() {
    let world = World::start(config()).await;
    let (_, first) = world.exchange(&world.code().await).await;
    let (status, second) = world.refresh(&first["refresh_token"]).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(world.userinfo(&second["access_token"]).await.0, 200);
    refused(&world.refresh(&first["refresh_token"]).await, 400, "invalid_grant");
    refused(&world.refresh(&second["refresh_token"]).await, 400, "invalid_grant");
    refused(&world.userinfo(&second["access_token"]).await, 401, "invalid_token");
}

#[tokio::test]
async fn revoking_ends_refreshing_and_an_unknown_token_is_fine() {
    let world = World::start(config()).await;
    let (_, tokens) = world.exchange(&world.code().await).await;
    let body = |token: &Value| json!({ "token": token, "client_id": CLIENT });
    assert_eq!(world.post("/oauth/revoke", &body(&tokens["refresh_token"])).await.0, 200);
    assert_eq!(world.post("/oauth/revoke", &body(&json!("unknown"))).await.0, 200);
    refused(&world.refresh(&tokens["refresh_token"]).await, 400, "invalid_grant");
    let stranger = json!({ "token": "unknown", "client_id": "app_other" });
    refused(&world.post("/oauth/revoke", &stranger).await, 401, "invalid_client");
}

#[tokio::test]
async fn discovery_and_keys_agree_with_the_token() {
    let world = World::start(config()).await;
    let found: Value = world.get("/.well-known/openid-configuration").await.json().await.unwrap();
    assert_eq!(found["issuer"], json!(world.sandbox.base_url()));
    assert_eq!(found["token_endpoint"], json!(format!("{}token", world.sandbox.whop_base_url())));
    let keys: Value = world.get("/oauth/jwks").await.json().await.unwrap();
    assert_eq!(keys, world.get("/.well-known/jwks.json").await.json::<Value>().await.unwrap());
    assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]), (&json!("EC"), &json!("ES256")));
    assert!(keys["keys"][0].get("d").is_none(), "the private half is published");
}

#[tokio::test]
async fn the_switchboard_switches_counts_and_shows() {
    let world = World::start(config()).await;
    let list = json!(["token_429", { "kind": "userinfo_500", "times": 2 }]);
    let (status, answer) = world.post("/sandbox/whop/misbehave", &list).await;
    assert_eq!((status.as_u16(), answer), (200, json!({ "active": { "token_429": 1, "userinfo_500": 2 } })));
    let response = world.http.post(world.url("/oauth/token")).json(&exchange_body("x")).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    let shown: Value = world.get("/sandbox/whop").await.json().await.unwrap();
    assert_eq!(
        (&shown["active"], &shown["counts"]["misbehaved"]),
        (&json!({ "userinfo_500": 2 }), &json!(1))
    );
    let page = world.http.get(world.url("/sandbox/whop")).header("accept", "text/html").send().await.unwrap();
    assert!(page.text().await.unwrap().contains("userinfo_500"));
    let unknown = world.http.post(world.url("/sandbox/whop/misbehave")).json(&json!(["nonsense"])).send();
    assert_eq!(unknown.await.unwrap().status(), 422);
    let (_, answer) = world.post("/sandbox/whop/misbehave", &json!([])).await;
    assert_eq!(answer, json!({ "active": {} }));
}

#[tokio::test]
async fn an_ordinary_provider_also_takes_forms_and_basic() {
    let mut config = config();
    config.token_bodies = TokenBodies::JsonOrForm;
    let world = World::start(config).await;
    let code = world.code().await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", &code)
        .append_pair("redirect_uri", CALLBACK)
        .append_pair("code_verifier", VERIFIER)
        .finish();
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let sent = world.http.post(world.url("/oauth/token")).basic_auth(CLIENT, Some(encoded));
    let sent = sent.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).send();
    assert_eq!(sent.await.unwrap().status(), 200);
}

#[tokio::test]
async fn it_stops_when_told_and_listens_on_loopback_only() {
    let world = World::start(config()).await;
    let url = world.url("/oauth/jwks");
    world.sandbox.stop().await;
    assert!(world.http.get(url).send().await.unwrap_err().is_connect());
    let everywhere = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(Sandbox::start_on(everywhere, config()).is_err());
}
