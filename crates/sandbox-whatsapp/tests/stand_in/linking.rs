//! Linked by QR code, by a typed code and with a passkey, and logged in again.

use sessile_sandbox_whatsapp::{FakeWhatsApp, Misbehaviour, PHONE_NUMBER, Pattern, PhoneError, Switch};
use std::sync::Arc;
use std::time::Instant;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::passkey::{
    Assertion, CallbackAuthenticator, build_webauthn_assertion_json, parse_request_options,
};
use whatsapp_rust::types::events::Event;

use crate::device::{Device, Disk, PATIENCE, linked};

#[tokio::test(flavor = "multi_thread")]
async fn linked_by_qr_code_and_logged_in_again_without_one() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let disk = Disk::new();
    let started = Instant::now();
    let device = Device::start(&whatsapp, &disk).await;
    let qr = device.qr().await;
    println!("QR code after {:?}", started.elapsed());
    let linked = whatsapp.phone().scan(&qr).await.unwrap();
    println!("linked after {:?}", started.elapsed());
    assert_eq!(whatsapp.phone().devices(), std::slice::from_ref(&linked));
    device.connected().await;
    println!("ready after {:?}", started.elapsed());
    assert_eq!(device.client().push_name(), format!("Phone {PHONE_NUMBER}"), "read from the app state");
    let uploads =
        whatsapp.until(PATIENCE, |fake| Some(fake.key_uploads(&linked)).filter(|all| !all.is_empty()));
    assert_eq!(uploads.await.unwrap(), [812], "as many keys as WhatsApp Web leaves");
    device.stop().await;

    let started = Instant::now();
    let device = Device::start(&whatsapp, &disk).await;
    device.connected().await;
    println!("logged in again after {:?}", started.elapsed());
    assert!(whatsapp.is_online(&linked));
    let patterns: Vec<_> = whatsapp.connections().into_iter().map(|each| each.pattern).collect();
    assert_eq!(patterns, [Pattern::Xx, Pattern::Xx, Pattern::Ik], "the client resumes what it knows");
    assert_eq!(whatsapp.key_uploads(&linked), [812], "the keys are still there");
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_code_is_good_once_and_only_while_it_is_shown() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = Device::start(&whatsapp, &Disk::new()).await;
    let qr = device.qr().await;
    assert!(matches!(whatsapp.phone().scan("nonsense").await, Err(PhoneError::NotAQrCode(_))));
    whatsapp.phone().scan(&qr).await.unwrap();
    assert!(matches!(whatsapp.phone().scan(&qr).await, Err(PhoneError::UnknownCode)));
    device.stop().await;

    let device = Device::start(&whatsapp, &Disk::new()).await;
    let qr = device.qr().await;
    device.stop().await;
    let gone = || whatsapp.connections().iter().all(|connection| !connection.open).then_some(());
    whatsapp.until(PATIENCE, |_| gone()).await.unwrap();
    assert!(matches!(whatsapp.phone().scan(&qr).await, Err(PhoneError::UnknownCode)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_another_secret_is_refused_by_the_client() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let device = Device::start(&whatsapp, &Disk::new()).await;
    let qr = device.qr().await;
    let mut parts: Vec<&str> = qr.split(',').collect();
    parts[3] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = whatsapp.phone().scan(&parts.join(",")).await;
    assert!(matches!(&refused, Err(PhoneError::Refused(why)) if why.contains("hmac")), "{refused:?}");
    assert!(whatsapp.phone().devices().is_empty());
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gets_no_codes_says_that_they_are_used_up() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    whatsapp.switch(Switch::new(Misbehaviour::NoQrCodes)).unwrap();
    let device = Device::start(&whatsapp, &Disk::new()).await;
    let used_up = |event: &Event| matches!(event, Event::PairingQrCodesExhausted(_)).then_some(());
    device.event("all codes used up", used_up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_by_a_typed_code() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let number = "4915110000077";
    let disk = Disk::new();
    let options = PairCodeOptions { phone_number: number.into(), ..PairCodeOptions::default() };
    let device = Device::start_with(&whatsapp, &disk, Some(options)).await;
    let code = device
        .event("a code to type", |event| match event {
            Event::PairingCode(code) => Some(code.code.clone()),
            _ => None,
        })
        .await;
    assert_eq!(code.len(), 8);
    let nobody = whatsapp.phone().enter_code(&code, "4915110000078").await;
    assert!(matches!(nobody, Err(PhoneError::UnknownCode)), "another number: {nobody:?}");
    let linked = whatsapp.phone().enter_code(&code, number).await.unwrap();
    assert_eq!(linked.number, number);
    device.connected().await;
    device.stop().await;

    let device = Device::start(&whatsapp, &disk).await;
    device.connected().await;
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_demanded_and_given() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    whatsapp.switch(Switch::new(Misbehaviour::Passkey)).unwrap();
    let disk = Disk::new();
    let device = Device::start(&whatsapp, &disk).await;
    let qr = device.qr().await;
    let demanded = whatsapp.phone().scan(&qr).await;
    assert!(matches!(demanded, Err(PhoneError::PasskeyDemanded)), "{demanded:?}");
    let options = device
        .event("a passkey is demanded", |event| match event {
            Event::PairPasskeyRequest(request) => Some(request.request_options_json.clone()),
            _ => None,
        })
        .await;
    assert!(whatsapp.phone().devices().is_empty(), "linked without a passkey");

    device.client().send_passkey_response(assertion(&options)).await.unwrap();
    let confirm = |event: &Event| matches!(event, Event::PairPasskeyConfirmation(_)).then_some(());
    device.event("a code to compare", confirm).await;
    device.client().send_passkey_confirmation().await.unwrap();
    device.connected().await;
    assert_eq!(whatsapp.phone().devices().len(), 1);
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_answers_another_challenge_links_nothing() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    whatsapp.switch(Switch::new(Misbehaviour::Passkey)).unwrap();
    let device = Device::start(&whatsapp, &Disk::new()).await;
    let wrong = CallbackAuthenticator::new(|_| Box::pin(async { Ok(assertion(r#"{"challenge":"AAAA"}"#)) }));
    device.client().set_passkey_authenticator(Arc::new(wrong)).await;
    let qr = device.qr().await;
    assert!(matches!(whatsapp.phone().scan(&qr).await, Err(PhoneError::PasskeyDemanded)));
    let failed = |event: &Event| matches!(event, Event::PairPasskeyError(_)).then_some(());
    device.event("the passkey is refused", failed).await;
    assert!(whatsapp.phone().devices().is_empty());
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_of_one_account_and_one_of_another() {
    let whatsapp = FakeWhatsApp::start().await.unwrap();
    let (first, second) = (linked(&whatsapp, &Disk::new()).await, linked(&whatsapp, &Disk::new()).await);
    let other = Device::start(&whatsapp, &Disk::new()).await;
    let qr = other.qr().await;
    let elsewhere = whatsapp.phone_of("4915110000099").scan(&qr).await.unwrap();
    other.connected().await;
    let devices: Vec<u16> = whatsapp.phone().devices().into_iter().map(|each| each.device).collect();
    assert_eq!(devices, [1, 2]);
    assert_eq!(elsewhere.to_string(), "4915110000099:1");
    for device in [first, second, other] {
        device.stop().await;
    }
}

/// What an authenticator answers to the options of the server.
fn assertion(options: &str) -> Assertion {
    let challenge = parse_request_options(options).unwrap().challenge;
    let challenge = base64_url(&challenge);
    let client_data = format!(r#"{{"type":"webauthn.get","challenge":"{challenge}"}}"#);
    let credential_id = vec![7; 16];
    let assertion_json =
        build_webauthn_assertion_json(&credential_id, client_data.as_bytes(), &[0; 37], &[1; 64], None);
    Assertion { assertion_json, credential_id }
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
