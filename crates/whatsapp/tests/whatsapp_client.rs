//! The real WhatsApp client on a vault, against the stand-in server and phone: linked by a QR code or a typed code, dropped
//! and started again without one, sending with receipts, and the ways in which WhatsApp ends it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod support;

use sessile_core::whatsapp::{DeviceId, DeviceStore, OwnerId};
use sessile_core::{OsEntropy, SealingKeys, SystemClock};
use sessile_sandbox_whatsapp::{FakeWhatsApp, LinkedDevice, Misbehaviour, PHONE_NUMBER, PhoneError, Switch};
use sessile_whatsapp::{
    DeviceEvent, Devices, PhoneNumber, QrAnswer, Reached, RealWhatsApp, SendKey, Setup, Status, Text,
    Unlinked, Unobserved,
};
use std::sync::Arc;
use std::time::Duration;
use support::store::TestStore;
use tokio::time::timeout;

/// Long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(90);
const FRIEND: &str = "15557654321";

fn shop() -> DeviceId {
    DeviceId::parse("shop").unwrap()
}

fn store() -> Arc<dyn DeviceStore> {
    TestStore::new()
}

/// A process with its devices.
fn process(whatsapp: &FakeWhatsApp, store: &Arc<dyn DeviceStore>) -> Arc<Devices> {
    let entropy = Arc::new(OsEntropy);
    Devices::new(Setup {
        usual: shop(),
        store: Arc::clone(store),
        keys: SealingKeys::parse(&"5e".repeat(32)).unwrap(),
        owner: OwnerId::generate(&*entropy).unwrap(),
        whatsapp: Arc::new(RealWhatsApp { server: Some(whatsapp.url()), version: Some((2, 3000, 1)) }),
        clock: Arc::new(SystemClock),
        entropy,
        observer: Arc::new(Unobserved),
    })
}

async fn until(devices: &Devices, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let mut events = devices.events();
    let waiting = async {
        loop {
            let status = devices.status(&shop());
            if is_so(&status) {
                return status;
            }
            let _ = events.recv().await;
        }
    };
    let waited = timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("the device never came to be {what}: {:?}", devices.status(&shop())))
}

/// Starts a device that nobody knows, and scans its code.
async fn linked(whatsapp: &FakeWhatsApp, devices: &Devices) -> LinkedDevice {
    devices.start(&shop()).await.unwrap();
    until(devices, "at a code", |status| status.qr.is_some()).await;
    let QrAnswer::Show(qr) = devices.qr(&shop()) else { panic!("there is a code to scan") };
    let device = whatsapp.phone().scan(qr.code.as_str()).await.expect("the phone takes the code");
    until(devices, "ready", |status| status.is_ready).await;
    device
}

fn friend() -> PhoneNumber {
    PhoneNumber::parse(FRIEND).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_linked_dropped_and_logs_in_again_without_a_code() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let devices = process(&whatsapp, &store);
    linked(&whatsapp, &devices).await;
    assert_eq!(devices.qr(&shop()), QrAnswer::Connected);
    devices.shutdown().await;

    let again = process(&whatsapp, &store);
    let began = std::time::Instant::now();
    again.run();
    let status = until(&again, "ready", |status| status.is_ready).await;
    println!("logged in again in {:?}", began.elapsed());
    assert!(status.is_paired && status.qr.is_none());
    assert_eq!(whatsapp.phone().devices().len(), 1, "the same device, not a new one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_once_and_its_receipts_come_back() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let friend_phone = whatsapp.peer(FRIEND);
    let devices = process(&whatsapp, &store);
    linked(&whatsapp, &devices).await;
    let mut events = devices.events();
    let (text, key) = (Text::parse("hello").unwrap(), SendKey::parse("order-1"));
    let sent = devices.send(&shop(), friend(), text.clone(), key.clone()).await.unwrap();
    let delivered = async {
        loop {
            if let Ok(DeviceEvent::Receipt(receipt)) = events.recv().await
                && receipt.message == sent.id
                && receipt.reached >= Reached::Delivered
            {
                return receipt.reached;
            }
        }
    };
    timeout(PATIENCE, delivered).await.expect("a receipt of the friend's phone");

    let again = devices.send(&shop(), friend(), text, key).await.unwrap();
    assert_eq!((again.id, again.was_sent_before), (sent.id.clone(), true));
    let read = friend_phone.messages();
    assert_eq!(read.iter().filter(|message| message.id == sent.id.as_str()).count(), 1);
    assert_eq!(read[0].text.as_deref(), Some("hello"));
    assert_eq!(whatsapp.ratchet_reuse(), Vec::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_code_links_as_well() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let devices = process(&whatsapp, &store);
    devices.start(&shop()).await.unwrap();
    until(&devices, "at a code", |status| status.qr.is_some()).await;
    let code = devices.pair_code(&shop(), PhoneNumber::parse(PHONE_NUMBER).unwrap()).await.unwrap();
    whatsapp.phone().enter_code(&code.code.code, PHONE_NUMBER).await.expect("the phone takes the code");
    until(&devices, "ready", |status| status.is_ready).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_takes_the_device_off_the_phone_and_its_keys_out_of_the_store() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let devices = process(&whatsapp, &store);
    linked(&whatsapp, &devices).await;
    assert_eq!(devices.logout(&shop()).await.unwrap(), Unlinked::AtWhatsApp);
    assert_eq!(devices.status(&shop()).status, "logged_out");
    assert!(!store.head(&shop()).await.unwrap().unwrap().has_credentials);
    assert_eq!(whatsapp.phone().devices().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_connection_is_left_alone() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let devices = process(&whatsapp, &store);
    linked(&whatsapp, &devices).await;
    let connections = whatsapp.connections().len();
    whatsapp.switch(Switch::new(Misbehaviour::Replaced)).unwrap();
    until(&devices, "replaced", |status| status.status == "replaced").await;
    assert_eq!(whatsapp.connections().len(), connections);
    assert!(store.head(&shop()).await.unwrap().unwrap().has_credentials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_false_removal_costs_nothing_and_a_true_one_logs_out() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    let devices = process(&whatsapp, &store);
    let device = linked(&whatsapp, &devices).await;
    let connections = whatsapp.connections().len();
    // Said, but not done: the device is still linked, and the login that confirms it succeeds.
    whatsapp.switch(Switch::new(Misbehaviour::DeviceRemoved)).unwrap();
    until(&devices, "ready on a new connection", |status| {
        status.is_ready && whatsapp.connections().len() > connections
    })
    .await;
    assert!(store.head(&shop()).await.unwrap().unwrap().has_credentials);

    whatsapp.phone().unlink(device.device).expect("the phone unlinks it");
    until(&devices, "logged out", |status| status.status == "logged_out").await;
    assert!(!store.head(&shop()).await.unwrap().unwrap().has_credentials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demanded_passkey_is_shown() {
    let (whatsapp, store) = (FakeWhatsApp::start().await.unwrap(), store());
    whatsapp.switch(Switch::new(Misbehaviour::Passkey)).unwrap();
    let devices = process(&whatsapp, &store);
    devices.start(&shop()).await.unwrap();
    until(&devices, "at a code", |status| status.qr.is_some()).await;
    let QrAnswer::Show(qr) = devices.qr(&shop()) else { panic!("there is a code to scan") };
    let scanned = whatsapp.phone().scan(qr.code.as_str()).await;
    assert!(matches!(scanned, Err(PhoneError::PasskeyDemanded)), "{scanned:?}");
    until(&devices, "in want of a passkey", |status| status.status == "passkey_required").await;
}
