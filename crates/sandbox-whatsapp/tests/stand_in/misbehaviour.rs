//! What the client makes of each misbehaviour, and that good manners come back.

use sessile_sandbox_whatsapp::{FakeWhatsApp, Misbehaviour, Switch};
use std::time::{Duration, Instant};
use whatsapp_rust::types::events::Event;
use whatsapp_rust::types::presence::ReceiptType;

use crate::device::{Device, Disk, PATIENCE, linked};

const PEER: &str = "4917000000042";

#[tokio::test(flavor = "multi_thread")]
async fn replaced_by_request_and_by_a_second_login() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let device = linked(&whatsapp, &disk).await;
    whatsapp.switch(Switch::new(Misbehaviour::Replaced)).unwrap();
    device.event("replaced", replaced).await;

    let first = Device::start(&whatsapp, &disk).await;
    first.connected().await;
    let second = Device::start(&whatsapp, &disk).await;
    second.connected().await;
    first.event("replaced by the second", replaced).await;
    second.send(PEER, "still here").await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_by_request_the_device_is_still_linked() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let device = linked(&whatsapp, &disk).await;
    whatsapp.switch(Switch::new(Misbehaviour::DeviceRemoved)).unwrap();
    device.event("removed", logged_out).await;
    let device = Device::start(&whatsapp, &disk).await;
    device.connected().await;
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_off_the_phones_list_it_is_out_for_good() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let device = linked(&whatsapp, &disk).await;
    let id = whatsapp.phone().devices()[0].device;
    whatsapp.phone().unlink(id).unwrap();
    device.event("removed", logged_out).await;
    assert!(whatsapp.phone().unlink(id).is_err(), "it is gone");
    let device = Device::start(&whatsapp, &disk).await;
    device.event("refused", logged_out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_logs_itself_out() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = linked(&whatsapp, &Disk::new()).await;
    device.client().logout().await;
    assert!(whatsapp.phone().devices().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthorized_once_and_then_welcome() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    linked(&whatsapp, &disk).await.stop().await;
    whatsapp.switch(Switch::new(Misbehaviour::Unauthorized)).unwrap();
    let device = Device::start(&whatsapp, &disk).await;
    device.event("401", logged_out).await;
    let device = Device::start(&whatsapp, &disk).await;
    device.connected().await;
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_503_and_after_a_cut_the_client_comes_back_by_itself() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = linked(&whatsapp, &Disk::new()).await;
    whatsapp.switch(Switch::new(Misbehaviour::Unavailable)).unwrap();
    device.connected().await;
    whatsapp.switch(Switch::new(Misbehaviour::Cut)).unwrap();
    // The stanza at which it breaks.
    let _ = device.client().presence().set_unavailable().await;
    device.connected().await;
    device.send(PEER, "back again").await;
    whatsapp.until(PATIENCE, |fake| fake.peer(PEER).messages().first().cloned()).await.unwrap();
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_slow_and_without_receipts() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = linked(&whatsapp, &Disk::new()).await;
    let read = |id: String| {
        let whatsapp = &whatsapp;
        async move {
            let found = |fake: &FakeWhatsApp| {
                fake.messages().into_iter().find(|each| each.id == id && !each.own_copy)
            };
            whatsapp.until(PATIENCE, found).await.unwrap()
        }
    };
    // A first message, so that nothing has to be asked for before the next ones.
    read(device.send(PEER, "first").await).await;

    whatsapp.switch(Switch::new(Misbehaviour::Silent)).unwrap();
    let unheard = device.send(PEER, "into the void").await;
    whatsapp.until(PATIENCE, |fake| fake.unheard().contains(&unheard).then_some(())).await.unwrap();
    whatsapp.clear_switches();

    whatsapp.switch(Switch::new(Misbehaviour::Slow).delay_ms(400)).unwrap();
    let started = Instant::now();
    read(device.send(PEER, "slowly").await).await;
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    assert!(whatsapp.messages().iter().all(|message| message.id != unheard), "it was passed on");

    whatsapp.clear_switches();
    whatsapp.switch(Switch::new(Misbehaviour::WithholdReceipts)).unwrap();
    let withheld = device.send(PEER, "no word").await;
    read(withheld.clone()).await;
    whatsapp.clear_switches();
    let answered = device.send(PEER, "say something").await;
    let mut seen = Vec::new();
    while !seen.contains(&answered) {
        let receipt = |event: &Event| match event {
            Event::Receipt(receipt) if receipt.r#type == ReceiptType::Read => {
                Some(receipt.message_ids.clone())
            }
            _ => None,
        };
        seen.extend(device.event("a receipt", receipt).await);
    }
    assert!(!seen.contains(&withheld), "a receipt was not withheld");
    device.stop().await;
}

fn replaced(event: &Event) -> Option<()> {
    matches!(event, Event::StreamReplaced(_)).then_some(())
}

fn logged_out(event: &Event) -> Option<()> {
    matches!(event, Event::LoggedOut(_)).then_some(())
}
