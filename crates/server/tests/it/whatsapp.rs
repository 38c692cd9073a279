//! The routes of WhatsApp devices: who may call them, what they refuse and how they say so, before a device is paired. The
//! paired ones are driven by the tests that start the whole program.

use crate::shop::{Said, Staff};
use crate::world::{SEALING, World, client};
use reqwest::Method;
use serde_json::{Value, json};
use sessile_core::SystemClock;
use sessile_sandbox_whatsapp::{FakeWhatsApp, Misbehaviour, Switch};
use std::sync::Arc;

/// Every route, with a body where one is wanted.
const ROUTES: [(&str, &str); 13] = [
    ("GET", "status"),
    ("GET", "health"),
    ("GET", "session-info"),
    ("GET", "qr"),
    ("GET", "qr/events"),
    ("GET", "sessions"),
    ("POST", "reconnect"),
    ("POST", "disconnect"),
    ("POST", "logout"),
    ("POST", "pair-code"),
    ("POST", "send"),
    ("POST", "cleanup-sessions"),
    ("POST", "cleanup-old-sessions"),
];

fn path(route: &str) -> String {
    format!("/api/whatsapp/{route}")
}

/// A server with one device that is not paired, before a stand-in for WhatsApp.
async fn world(whatsapp: &FakeWhatsApp) -> World {
    let url = whatsapp.url();
    let settings =
        [("CLIENT_ID", "shop"), ("SESSILE_SEALING_KEY", SEALING), ("SESSILE_WHATSAPP_SERVER", url.as_str())];
    World::shop(&settings, Arc::new(SystemClock)).await
}

/// `{success: false, error, message, timestamp}` and nothing else but `data`.
fn refused(said: &Said, status: u16, error: &str) -> Value {
    let body = said.json();
    assert_eq!(
        (said.status, &body["success"], &body["error"]),
        (status, &json!(false), &json!(error)),
        "{body}"
    );
    assert!(body["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
    assert!(body["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");
    body
}

/// `{success: true, data, message}`.
fn done(said: &Said) -> Value {
    let body = said.json();
    assert_eq!((said.status, &body["success"]), (200, &json!(true)), "{body}");
    assert!(body["message"].is_string(), "{body}");
    body["data"].clone()
}

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

async fn send(staff: &Staff, number: &Value, message: &Value) -> Said {
    staff.post(&path("send"), &json!({ "number": number, "message": message })).await
}

#[tokio::test]
async fn every_route_wants_a_key() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let http = client();
    for (method, route) in ROUTES {
        for token in [None, Some("not-a-key"), Some("")] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = http.request(method, format!("{}{}", world.home, path(route)));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if route == "send" {
                request = request.json(&json!({ "number": "491700000099", "message": "hello" }));
            }
            let said = Said::of(request.send().await.unwrap()).await;
            refused(&said, 401, "Unauthorized");
        }
    }
    // A browser that is signed in is nobody here.
    let browser = world.browser();
    browser.sign_in().await;
    for (method, route) in ROUTES {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let said = Said::of(browser.send(browser.request(method, &path(route))).await).await;
        assert!(matches!(said.status, 401 | 403), "{route}: {said:?}");
    }
    assert!(whatsapp.connections().is_empty(), "somebody without a key made the device connect");
}

#[tokio::test]
async fn without_settings_the_kind_says_what_is_missing() {
    let world = World::selling().await;
    for (method, route) in ROUTES {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = world.backend().request(method, &path(route)).json(&json!({}));
        let said = Said::of(request.send().await.unwrap()).await;
        assert_eq!(said.code(), (501, "not_configured".to_owned()), "{route}");
        assert!(said.text.contains("SESSILE_SEALING_KEY"), "{said:?}");
    }
}

#[tokio::test]
async fn a_message_is_looked_at_before_the_device_is() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let staff = world.backend();
    for body in [json!({}), json!({ "number": "491700000099" }), json!({ "message": "hello" })] {
        refused(&staff.post(&path("send"), &body).await, 400, "Missing required fields");
    }
    for empty in ["", " ", "\n\t"] {
        refused(&send(&staff, &json!("491700000099"), &json!(empty)).await, 400, "Missing required fields");
    }
    let bad = [
        "0123456789",
        "123456",
        "1234567890123456",
        "49x1700000099",
        "+",
        "491700000099@c.us",
        "４９１７０００００９９",
    ];
    for number in bad {
        let said = send(&staff, &json!(number), &json!("hello")).await;
        refused(&said, 400, "Invalid phone number format");
    }
    let long = "x".repeat(4097);
    refused(&send(&staff, &json!("491700000099"), &json!(long)).await, 400, "Message too long");
    let said =
        staff.request(Method::POST, &path("send")).body("{").header("content-type", "application/json");
    refused(&Said::of(said.send().await.unwrap()).await, 400, "Missing required fields");

    // All of these would be sent, if the device were ready.
    let fine = [
        (json!("+49 (170) 000-0099"), "x".repeat(4096)),
        (json!(491_700_000_099_u64), "hello".to_owned()),
        (json!("1234567"), "hello".to_owned()),
        (json!("123456789012345"), "hello".to_owned()),
    ];
    for (number, message) in fine {
        let request = staff.request(Method::POST, &path("send"));
        let answer = request.json(&json!({ "number": number, "message": message })).send().await.unwrap();
        assert!(answer.headers().contains_key("retry-after"));
        refused(&Said::of(answer).await, 503, "WhatsApp is not ready");
    }
    let (long, body) = ("k".repeat(256), json!({ "number": "1234567", "message": "x" }));
    refused(&staff.post_with_key(&path("send"), &long, &body).await, 400, "Invalid idempotency key");
    assert!(whatsapp.sent().is_empty());
}

#[tokio::test]
async fn how_a_device_is_before_it_is_paired() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let staff = world.backend();
    let status = done(&staff.get(&path("status")).await);
    assert_eq!(fields(&status), ["clientId", "connectionStatus", "isReady", "timestamp"]);
    assert_eq!(
        (&status["clientId"], &status["isReady"], &status["connectionStatus"]),
        (&json!("shop"), &json!(false), &json!("disconnected"))
    );
    let health = refused(&staff.get(&path("health")).await, 503, "WhatsApp is not ready");
    assert_eq!(
        fields(&health["data"]),
        ["connectionStatus", "isReady", "service", "status", "timestamp", "uptime"]
    );

    let info = done(&staff.get(&path("session-info")).await);
    let known = [
        "clientId",
        "connectionStatus",
        "isReady",
        "sessionDirectory",
        "sessionDirectoryExists",
        "sessionDirectoryWritable",
        "sessionFiles",
        "sessionInfo",
        "storage",
        "timestamp",
    ];
    assert_eq!(fields(&info), known);
    assert_eq!(
        fields(&info["sessionInfo"]),
        ["healthChecksActive", "maxReconnectAttempts", "reconnectAttempts", "sessionPath"]
    );
    assert_eq!(info["sessionInfo"]["maxReconnectAttempts"], 5);
    assert_eq!(
        (&info["sessionDirectoryExists"], &info["sessionDirectoryWritable"]),
        (&json!(true), &json!(true))
    );
    let storage = &info["storage"];
    assert_eq!((&storage["engine"], &storage["mode"]), (&json!("file"), &json!("direct")), "{storage}");
    assert_eq!((&storage["degraded"], &storage["lastError"]), (&json!(false), &Value::Null), "{storage}");
    for field in ["epoch", "version"] {
        assert!(storage.as_object().unwrap().contains_key(field), "{storage}");
    }

    let sessions = done(&staff.get(&path("sessions")).await);
    assert_eq!((&sessions["count"], &sessions["sessions"]), (&json!(0), &json!([])));
    for name in ["..%2Fetc", ".hidden", "a%20b", &"x".repeat(65)] {
        let said = staff.get(&format!("{}?clientId={name}", path("status"))).await;
        refused(&said, 400, "Invalid client id");
    }
    let other = done(&staff.get(&format!("{}?clientId=other", path("status"))).await);
    assert_eq!(other["clientId"], "other");
}

#[tokio::test]
async fn a_code_is_shown_in_every_form_and_kept_by_nobody() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let staff = world.backend();
    let code = done(&staff.get(&path("qr")).await);
    assert!(code["qrCode"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert_eq!(fields(&code), ["connectionStatus", "expiresAt", "qrCode", "seq", "timestamp"]);
    for (form, kind, begins) in [
        ("?format=png", "image/png", &b"\x89PNG"[..]),
        ("?format=svg", "image/svg+xml", b"<?xml"),
        ("?format=text", "text/plain; charset=utf-8", "█".as_bytes()),
    ] {
        let answer = staff.request(Method::GET, &path(&format!("qr{form}"))).send().await.unwrap();
        let headers = answer.headers().clone();
        assert_eq!((answer.status().as_u16(), headers["content-type"].as_bytes()), (200, kind.as_bytes()));
        assert_eq!(headers["cache-control"], "no-store", "{form}");
        let body = answer.bytes().await.unwrap();
        assert!(body.starts_with(begins) || body.windows(begins.len()).any(|part| part == begins), "{form}");
    }
    // By number instead; a person types the code.
    for number in [json!(""), json!("0123"), Value::Null] {
        let said = staff.post(&path("pair-code"), &json!({ "number": number })).await;
        refused(&said, 400, "Invalid phone number format");
    }
    let typed = done(&staff.post(&path("pair-code"), &json!({ "number": "+49 170 0000001" })).await);
    let letters = typed["code"].as_str().unwrap().replace('-', "");
    assert_eq!((letters.len(), typed["expiresAt"].is_string()), (8, true), "{typed}");
    done(&staff.post(&path("logout"), &json!({})).await);
}

#[tokio::test]
async fn codes_that_are_used_up_are_gone_until_somebody_reconnects() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    whatsapp.switch(Switch::new(Misbehaviour::NoQrCodes)).unwrap();
    let world = world(&whatsapp).await;
    let staff = world.backend();
    for _ in 0..2 {
        let gone = refused(&staff.get(&path("qr")).await, 410, "QR codes used up");
        assert_eq!(fields(&gone["data"]), ["connectionStatus", "timestamp"]);
        assert_eq!(gone["data"]["connectionStatus"], "qr_error");
    }
    let asked = done(&staff.post(&path("reconnect"), &json!({})).await);
    assert_eq!((&asked["message"], asked["timestamp"].is_string()), (&json!("Reconnection initiated"), true));
    let mut code = staff.get(&path("qr")).await;
    while code.status == 404 {
        let not_yet = refused(&code, 404, "QR code not available");
        assert_eq!(fields(&not_yet["data"]), ["connectionStatus", "timestamp"]);
        code = staff.get(&path("qr")).await;
    }
    assert!(done(&code)["qrCode"].is_string());
}

#[tokio::test]
async fn cleaning_up_counts_what_it_removed() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let staff = world.backend();
    let cleaned = done(&staff.post(&path("cleanup-sessions"), &json!({})).await);
    assert_eq!(
        (&cleaned["deletedSessions"], &cleaned["deletedCorruptedFiles"]),
        (&json!(0), &json!(0)),
        "{cleaned}"
    );
    let old = done(&staff.post(&path("cleanup-old-sessions"), &json!({})).await);
    assert_eq!((&old["deletedCount"], &old["daysOld"]), (&json!(0), &json!(30)), "{old}");
    for days in [json!(0), json!(-1), json!("30"), json!(1.5), json!(3651)] {
        let said = staff.post(&path("cleanup-old-sessions"), &json!({ "daysOld": days })).await;
        refused(&said, 400, "Invalid daysOld");
    }
}

#[tokio::test]
async fn in_development_nobody_lists_or_removes_sessions() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let url = whatsapp.url();
    let world = World::start(&[
        ("SESSILE_ENV", "development"),
        ("CLIENT_ID", "shop"),
        ("SESSILE_WHATSAPP_SERVER", url.as_str()),
    ])
    .await;
    let browser = world.browser();
    let listed = Said::of(browser.get(&path("sessions")).await).await;
    refused(&listed, 403, "Not available in development");
    let removing = browser.request(Method::POST, &path("cleanup-old-sessions")).json(&json!({}));
    let removed = Said::of(browser.send(removing).await).await;
    refused(&removed, 403, "Not available in development");
    // The rest needs no key on a developer's own machine.
    assert_eq!(Said::of(browser.get(&path("status")).await).await.status, 200);
}

#[tokio::test]
async fn readiness_and_metrics_speak_of_devices() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let world = world(&whatsapp).await;
    let browser = world.browser();
    let ready: Value = browser.get("/readyz").await.json().await.unwrap();
    assert_eq!(
        (&ready["status"], &ready["whatsapp"]["status"]),
        (&json!("ready"), &json!("ready")),
        "{ready}"
    );
    done(&world.backend().get(&path("qr")).await);
    let metrics = browser.get("/metrics").await.text().await.unwrap();
    let timed = |line: &str| {
        line.starts_with("sessile_store_duration_seconds_count") && line.contains("\"whatsapp\"")
    };
    assert!(metrics.lines().any(timed), "{metrics}");
    assert!(metrics.contains("sessile_whatsapp_events_total{what=\"qr_shown\"}"), "{metrics}");

    let nobodys = World::selling().await;
    let ready: Value = nobodys.browser().get("/readyz").await.json().await.unwrap();
    assert_eq!(ready["whatsapp"], Value::Null, "{ready}");
}
