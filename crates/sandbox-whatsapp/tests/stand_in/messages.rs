//! Messages in both directions, while the device is there and while it is away.

use sessile_sandbox_whatsapp::{FakeWhatsApp, MessageRecord};
use whatsapp_rust::types::events::Event;
use whatsapp_rust::types::presence::ReceiptType;

use crate::device::{Device, Disk, PATIENCE, linked};

const PEER: &str = "4917000000042";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_sends_is_read_and_receipts_come_back() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = linked(&whatsapp, &Disk::new()).await;
    let id = device.send(PEER, "good morning").await;
    // The client looks at several stanzas at once, so either may come first.
    let mut told = Vec::new();
    while !(told.contains(&ReceiptType::Delivered) && told.contains(&ReceiptType::Read)) {
        let receipt = |event: &Event| match event {
            Event::Receipt(receipt) if receipt.message_ids.contains(&id) => Some(receipt.r#type.clone()),
            _ => None,
        };
        told.push(device.event("a receipt", receipt).await);
    }
    let read = whatsapp.peer(PEER).messages();
    assert_eq!(texts(&read), ["good morning"]);
    assert!(read[0].opens_session && read[0].failed.is_none());
    let sent = whatsapp.sent();
    assert_eq!((sent[0].id.as_str(), sent[0].to.as_str()), (id.as_str(), PEER));
    // The owner's phone has a copy.
    let copies: Vec<_> = whatsapp.messages().into_iter().filter(|message| message.own_copy).collect();
    assert_eq!(texts(&copies), ["good morning"]);
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_used_twice_over_restarts_and_kills() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let mut wanted = Vec::new();
    let mut device = linked(&whatsapp, &disk).await;
    for round in 0..4 {
        for message in 0..3 {
            let text = format!("{round}.{message}");
            device.send(PEER, &text).await;
            wanted.push(text);
        }
        let all = wanted.len();
        whatsapp
            .until(PATIENCE, |fake| (fake.peer(PEER).messages().len() == all).then_some(()))
            .await
            .unwrap();
        if round % 2 == 0 {
            device.kill()
        } else {
            device.stop().await
        }
        device = Device::start(&whatsapp, &disk).await;
        device.connected().await;
    }
    assert_eq!(texts(&whatsapp.peer(PEER).messages()), wanted);
    assert_eq!(whatsapp.ratchet_reuse(), []);
    assert!(whatsapp.ratchet_steps().len() >= wanted.len(), "every message has a step");
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_writes_and_the_device_reads() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let device = linked(&whatsapp, &disk).await;
    let myself = whatsapp.phone().devices()[0].clone();
    whatsapp.peer(PEER).send(&myself, "are you there?").await.unwrap();
    assert_eq!(heard(&device).await, "are you there?");
    // An answer goes on with the session that the peer has begun.
    device.send(PEER, "yes").await;
    whatsapp.until(PATIENCE, |fake| fake.peer(PEER).messages().first().cloned()).await.unwrap();
    assert_eq!(texts(&whatsapp.peer(PEER).messages()), ["yes"]);
    device.stop().await;

    whatsapp.peer(PEER).send(&myself, "good night").await.unwrap();
    let device = Device::start(&whatsapp, &disk).await;
    assert_eq!(heard(&device).await, "good night", "it has waited");
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_not_on_whatsapp_reads_nothing() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    whatsapp.unregister(PEER);
    let device = linked(&whatsapp, &Disk::new()).await;
    let known = device.client().contacts().is_on_whatsapp(&[whatsapp_rust::Jid::pn(PEER)]).await.unwrap();
    assert!(known.iter().all(|each| !each.is_registered), "{known:?}");
    assert!(whatsapp.peer(PEER).messages().is_empty());
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_writes_on_the_phone_is_seen_on_the_device() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = linked(&whatsapp, &Disk::new()).await;
    let id = whatsapp.phone().devices()[0].device;
    whatsapp.phone().send_copy(id, PEER, "from the phone").await.unwrap();
    assert_eq!(heard(&device).await, "from the phone");
    device.stop().await;
}

async fn heard(device: &Device) -> String {
    let text = |event: &Event| match event {
        Event::Messages(batch) => batch.iter().find_map(|each| each.message.conversation.clone()),
        _ => None,
    };
    device.event("a message", text).await
}

fn texts(messages: &[MessageRecord]) -> Vec<String> {
    messages.iter().map(|message| message.text.clone().unwrap_or_else(|| format!("{message:?}"))).collect()
}
