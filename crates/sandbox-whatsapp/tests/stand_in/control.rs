//! The same by HTTP.

use serde_json::{Value, json};
use sessile_sandbox_whatsapp::FakeWhatsApp;
use whatsapp_rust::types::events::Event;

use crate::device::{Device, Disk};

#[tokio::test(flavor = "multi_thread")]
async fn scanned_written_to_misbehaved_and_unlinked_over_http() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let control = Control::new(&whatsapp);
    let device = Device::start(&whatsapp, &Disk::new()).await;
    let qr = device.qr().await;
    let (status, refused) = control.post("scan", json!({ "qr": "nonsense" })).await;
    assert_eq!(status, 400);
    assert!(refused["error"].as_str().unwrap().contains("no WhatsApp QR code"), "{refused}");
    let (status, answer) = control.post("scan", json!({ "qr": qr })).await;
    assert_eq!((status, &answer["linked"]["device"]), (200, &json!(1)));
    device.connected().await;

    let number = answer["linked"]["number"].clone();
    let (status, answer) =
        control.post("send", json!({ "from": "4917000000042", "to": number, "text": "over HTTP" })).await;
    assert_eq!(status, 200, "{answer}");
    let text = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().find_map(|each| each.message.conversation.clone()),
        _ => None,
    };
    assert_eq!(device.event("a message", text).await, "over HTTP");

    let (status, answer) =
        control.post("misbehave", json!(["silent", { "kind": "slow", "delay_ms": 9 }])).await;
    assert_eq!((status, answer["misbehaving"].as_array().unwrap().len()), (200, 2));
    let (_, answer) = control.post("misbehave", json!([])).await;
    assert_eq!(answer["misbehaving"], json!([]));
    let shown = control.status().await;
    assert_eq!(shown["devices"][0]["online"], json!(true), "{shown}");
    assert_eq!(shown["ratchetReuse"], json!([]));

    let (status, _) = control.post("unlink", json!({ "device": 1 })).await;
    assert_eq!(status, 200);
    device.event("removed", |event| matches!(event, Event::LoggedOut(_)).then_some(())).await;
}

struct Control {
    url: String,
    http: reqwest::Client,
}

impl Control {
    fn new(whatsapp: &FakeWhatsApp) -> Self {
        // The crypto provider may have been installed by the client's transport.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { url: whatsapp.control_url(), http: reqwest::Client::new() }
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.http.post(format!("{}/{path}", self.url)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn status(&self) -> Value {
        self.http.get(&self.url).send().await.unwrap().json().await.unwrap()
    }
}
