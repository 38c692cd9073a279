//! Devices over a scripted WhatsApp and a store in memory, on a clock that the test moves: who owns a device, what is
//! shown, what is sent once, and what a stop, a logout, an outage and a second process do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step of a test that fails must stop the test"
)]

mod support;

use futures_util::StreamExt;
use sessile_core::whatsapp::{DeviceStore, Wanted};
use sessile_whatsapp::{
    Counted, DeviceError, DeviceEvent, Devices, Ended, MessageId, News, Observer, PhoneNumber, QrAnswer,
    QrCode, Reached, SendKey, Text, Unlinked,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::script::{Script, Scripted, pair};
use support::store::TestStore;
use support::{device, observed, process, until, until_status};

fn number() -> PhoneNumber {
    PhoneNumber::parse("+1 555 123 4567").unwrap()
}

fn text() -> Text {
    Text::parse("hello").unwrap()
}

fn key(name: &str) -> Option<SendKey> {
    SendKey::parse(name)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn qr(nth: u64) -> News {
    News::Qr { code: QrCode::new(format!("ref-{nth}")), valid_for: seconds(20) }
}

/// A store in which the device `shop` is paired and runs nowhere.
async fn paired_store() -> Arc<TestStore> {
    use sessile_core::whatsapp::{Opening, OwnerId, Vault};
    use sessile_core::{OsEntropy, SystemClock};
    let store = TestStore::new();
    let opening = Opening {
        store: Arc::<TestStore>::clone(&store),
        keys: support::keys(),
        device: device("shop"),
        owner: OwnerId::generate(&OsEntropy).unwrap(),
        clock: Arc::new(SystemClock),
        pace: Arc::new(sessile_whatsapp::RuntimePace::start()),
        entropy: Arc::new(OsEntropy),
    };
    let vault = Vault::open(opening).await.unwrap();
    pair(&vault).await;
    vault.release().await;
    store
}

async fn ready(store: &Arc<TestStore>) -> (Arc<Devices>, Arc<Script>) {
    let script = Script::ready();
    let devices = process(Arc::<TestStore>::clone(store), Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    until_status(&devices, &device("shop"), "ready").await;
    (devices, script)
}

#[tokio::test(start_paused = true)]
async fn a_new_device_shows_codes_one_after_the_other_until_it_is_paired() {
    let (store, shop) = (TestStore::new(), device("shop"));
    let script = Script::new(|nth, _| if nth == 1 { vec![qr(1), qr(2)] } else { vec![News::Ready] });
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&script))));
    assert!(matches!(devices.qr(&shop), QrAnswer::NotYet { status: "disconnected" }));
    devices.start(&shop).await.unwrap();

    let status =
        until(&devices, &shop, "at its second code", |s| s.qr.as_ref().is_some_and(|qr| qr.seq == 2)).await;
    assert_eq!(status.status, "qr_ready");
    assert_eq!(status.qr.as_ref().unwrap().code.as_str(), "ref-2");
    assert!(status.qr.unwrap().expires_at > status.since);
    assert!(!format!("{:?}", devices.qr(&shop)).contains("ref-2"), "a code is a secret");

    script.say(News::Paired);
    until_status(&devices, &shop, "authenticated").await;
    assert_eq!(devices.qr(&shop), QrAnswer::Connected);
    script.say(News::Ended(Ended::Restart));
    until_status(&devices, &shop, "ready").await;
    assert_eq!(script.connects(), 2, "WhatsApp's own restart is followed at once");
    assert!(devices.health(&shop));
}

#[tokio::test(start_paused = true)]
async fn codes_that_nobody_scans_are_used_up_until_somebody_reconnects() {
    let (store, shop) = (TestStore::new(), device("shop"));
    let script = Script::new(|_, _| vec![qr(1), News::QrUsedUp, News::Ended(Ended::QrUsedUp)]);
    let devices = process(store, Arc::new(Scripted(Arc::clone(&script))));
    devices.start(&shop).await.unwrap();
    until_status(&devices, &shop, "qr_error").await;
    assert_eq!(devices.qr(&shop), QrAnswer::UsedUp);
    tokio::time::sleep(seconds(300)).await;
    assert_eq!(script.connects(), 1, "nobody asked for more");
    devices.reconnect(&shop).await.unwrap();
    until_status(&devices, &shop, "qr_error").await;
    assert_eq!(script.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_told_of_each_code() {
    let (store, shop) = (TestStore::new(), device("shop"));
    let script = Script::new(|_, _| vec![qr(1)]);
    let devices = process(store, Arc::new(Scripted(Arc::clone(&script))));
    let mut told = Box::pin(devices.qr_events(&shop));
    assert_eq!(told.next().await.unwrap().status, "disconnected", "how it is, at once");
    devices.start(&shop).await.unwrap();
    loop {
        let status = told.next().await.unwrap();
        if status.qr.is_some_and(|qr| qr.seq == 1) {
            break;
        }
    }
    script.say(qr(2));
    assert_eq!(told.next().await.unwrap().qr.unwrap().seq, 2);
}

#[tokio::test(start_paused = true)]
async fn a_passkey_demand_is_shown_for_what_it_is() {
    let (store, shop) = (TestStore::new(), device("shop"));
    let devices = process(store, Arc::new(Scripted(Script::new(|_, _| vec![qr(1), News::PasskeyDemanded]))));
    devices.start(&shop).await.unwrap();
    until_status(&devices, &shop, "passkey_required").await;
}

#[tokio::test(start_paused = true)]
async fn a_pairing_code_is_the_same_one_until_it_is_over() {
    let (store, shop) = (TestStore::new(), device("shop"));
    let script = Script::new(|_, _| vec![qr(1)]);
    let devices = process(store, Arc::new(Scripted(Arc::clone(&script))));
    assert!(matches!(devices.pair_code(&shop, number()).await, Err(DeviceError::NotReady { .. })));
    devices.start(&shop).await.unwrap();
    until_status(&devices, &shop, "qr_ready").await;
    let code = devices.pair_code(&shop, number()).await.unwrap();
    assert_eq!(devices.pair_code(&shop, number()).await.unwrap(), code);
    script.say(News::QrUsedUp);
    tokio::time::sleep(seconds(100)).await;
    assert_eq!(devices.status(&shop).status, "qr_ready", "somebody may still be typing");
    tokio::time::sleep(seconds(100)).await;
    assert_eq!(devices.status(&shop).status, "qr_error");
}

#[tokio::test(start_paused = true)]
async fn a_paired_device_connects_by_itself_and_needs_no_code_for_it() {
    let store = paired_store().await;
    let (devices, script) = ready(&store).await;
    assert!(matches!(devices.pair_code(&device("shop"), number()).await, Err(DeviceError::AlreadyPaired)));
    assert_eq!(script.connects(), 1);
    let info = devices.info(&device("shop"));
    assert_eq!((info.store.engine, info.attempts_max), ("memory", 5));
    assert!(info.epoch.is_some() && info.version.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once_for_each_key() {
    let store = paired_store().await;
    let (devices, script) = ready(&store).await;
    let shop = device("shop");
    let first = devices.send(&shop, number(), text(), key("order-1")).await.unwrap();
    let again = devices.send(&shop, number(), text(), key("order-1")).await.unwrap();
    assert_eq!((&again.id, again.at), (&first.id, first.at));
    assert!(again.was_sent_before && !first.was_sent_before);
    assert_eq!(script.sent.lock().len(), 1);

    let other = devices.send(&shop, number(), Text::parse("other").unwrap(), key("order-1")).await;
    assert!(matches!(other, Err(DeviceError::KeyReused)), "{other:?}");
    let unkeyed = devices.send(&shop, number(), text(), None).await.unwrap();
    assert_ne!(unkeyed.id, first.id);

    // Another process knows it too.
    devices.shutdown().await;
    let (devices, script) = ready(&store).await;
    let later = devices.send(&shop, number(), text(), key("order-1")).await.unwrap();
    assert_eq!((later.id, later.was_sent_before), (first.id, true));
    assert_eq!(script.sent.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_whose_outcome_is_unknown_is_repeated_under_the_same_name() {
    let store = paired_store().await;
    let (devices, script) = ready(&store).await;
    let shop = device("shop");
    script.is_unsure.store(true, Ordering::SeqCst);
    let unsure = devices.send(&shop, number(), text(), key("k")).await;
    assert!(matches!(unsure, Err(DeviceError::Unknown(_))), "{unsure:?}");
    script.is_unsure.store(false, Ordering::SeqCst);
    let sent = devices.send(&shop, number(), text(), key("k")).await.unwrap();
    let names: Vec<_> = script.sent.lock().iter().map(|(_, id)| id.clone()).collect();
    assert_eq!(names, [sent.id.to_string(), sent.id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn receipts_are_told() {
    let store = paired_store().await;
    let (devices, script) = ready(&store).await;
    let mut events = devices.events();
    let sent = devices.send(&device("shop"), number(), text(), None).await.unwrap();
    script.say(News::Receipt { message: sent.id.clone(), reached: Reached::Delivered });
    loop {
        if let DeviceEvent::Receipt(receipt) = events.recv().await.unwrap() {
            assert_eq!((receipt.message, receipt.reached), (sent.id, Reached::Delivered));
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_on_purpose_stays_stopped_and_is_let_go_of() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (devices, script) = ready(&store).await;
    devices.stop(&shop).await.unwrap();
    assert_eq!(devices.status(&shop).status, "disconnected");
    assert_eq!(script.closed.load(Ordering::SeqCst), 1);
    assert!(matches!(devices.send(&shop, number(), text(), None).await, Err(DeviceError::NotReady { .. })));

    let second = Script::ready();
    let after = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&second))));
    after.run();
    tokio::time::sleep(seconds(120)).await;
    assert_eq!(second.connects() + script.connects(), 1, "neither process connects what was stopped");
    assert_eq!(store.head(&shop).await.unwrap().unwrap().wanted, Wanted::Stopped);
    after.start(&shop).await.unwrap();
    until_status(&after, &shop, "ready").await;
    assert_eq!(second.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_one_process_stops_the_device_at_the_other() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (owner, _script) = ready(&store).await;
    let other = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Script::ready())));
    other.stop(&shop).await.unwrap();
    until_status(&owner, &shop, "disconnected").await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(owner.status(&shop).status, "disconnected");
}

#[tokio::test(start_paused = true)]
async fn reconnecting_grows_patient_and_ends_after_five_times() {
    let (store, shop) = (paired_store().await, device("shop"));
    let script = Script::new(|nth, _| match nth {
        1 => vec![News::Ready, News::Ended(Ended::Dropped("the test".to_owned()))],
        _ => vec![News::Ended(Ended::Dropped("the test".to_owned()))],
    });
    let devices = process(store, Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    let status = until_status(&devices, &shop, "max_reconnect_exceeded").await;
    assert_eq!(script.connects(), 6, "the first one and five more");
    assert_eq!(status.last_error.as_deref(), Some("the test"));
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(script.connects(), 6);
    devices.reconnect(&shop).await.unwrap();
    until_status(&devices, &shop, "reconnecting").await;
    assert_eq!(script.connects(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_device_does_not_fight_for_its_connection() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (devices, script) = ready(&store).await;
    script.say(News::Ended(Ended::Replaced));
    until_status(&devices, &shop, "replaced").await;
    let (second, other) = {
        let script = Script::ready();
        (Arc::clone(&script), process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(script))))
    };
    other.run();
    tokio::time::sleep(seconds(300)).await;
    assert_eq!((script.connects(), second.connects()), (1, 0), "nor does a process that stands by");
}

#[tokio::test(start_paused = true)]
async fn one_refusal_is_confirmed_before_anything_is_destroyed() {
    let (store, shop) = (paired_store().await, device("shop"));
    let script = Script::new(|nth, _| match nth {
        1 | 3 => vec![News::Ready],
        2 => vec![News::Ready],
        _ => vec![News::Ended(Ended::Unauthorized)],
    });
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    until_status(&devices, &shop, "ready").await;
    script.say(News::Ended(Ended::Unauthorized));
    until(&devices, &shop, "ready again", |s| s.is_ready && script.connects() == 2).await;
    assert!(store.head(&shop).await.unwrap().unwrap().has_credentials, "it was a mistake");

    script.say(News::Ended(Ended::Dropped("the test".to_owned())));
    until(&devices, &shop, "ready a third time", |s| s.is_ready && script.connects() == 3).await;
    script.say(News::Ended(Ended::Unauthorized));
    until_status(&devices, &shop, "logged_out").await;
    let head = store.head(&shop).await.unwrap().unwrap();
    assert_eq!((script.connects(), head.has_credentials), (4, false));
}

#[tokio::test(start_paused = true)]
async fn a_logout_unlinks_and_destroys() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (devices, script) = ready(&store).await;
    assert_eq!(devices.logout(&shop).await.unwrap(), Unlinked::AtWhatsApp);
    assert_eq!(script.unlinked.load(Ordering::SeqCst), 1);
    assert_eq!(devices.status(&shop).status, "logged_out");
    assert!(!store.head(&shop).await.unwrap().unwrap().has_credentials);

    // A device that does not run is logged out here, though WhatsApp cannot be told.
    let store = paired_store().await;
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Script::ready())));
    assert_eq!(devices.logout(&shop).await.unwrap(), Unlinked::HereOnly);
    assert!(!store.head(&shop).await.unwrap().unwrap().has_credentials);
}

#[tokio::test(start_paused = true)]
async fn a_second_process_stands_by_and_takes_over_when_the_first_is_gone() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (first, script) = ready(&store).await;
    let standby = Script::ready();
    let second = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&standby))));
    second.run();
    tokio::time::sleep(seconds(120)).await;
    assert_eq!((script.connects(), standby.connects()), (1, 0), "one owner, however long");
    let refused = second.send(&shop, number(), text(), None).await;
    assert!(matches!(refused, Err(DeviceError::Elsewhere { .. })), "{refused:?}");
    first.shutdown().await;
    until_status(&second, &shop, "ready").await;
    assert_eq!(standby.connects(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_cannot_renew_disconnects_before_its_lease_ends() {
    let (store, shop) = (paired_store().await, device("shop"));
    let (devices, script) = ready(&store).await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(devices.status(&shop).status, "ready", "it renews while it can");
    store.be_away(true);
    tokio::time::sleep(seconds(9)).await;
    assert!(script.gate.lock().as_ref().unwrap().pass().is_ok(), "an outage of seconds is not noticed");
    tokio::time::sleep(seconds(13)).await;
    assert_eq!(devices.status(&shop).status, "degraded_storage");
    assert!(script.gate.lock().as_ref().unwrap().pass().is_err(), "nothing leaves any more");
    let refused = devices.send(&shop, number(), text(), None).await;
    assert!(matches!(refused, Err(DeviceError::NotReady { status: "degraded_storage" })), "{refused:?}");
    store.be_away(false);
    until_status(&devices, &shop, "ready").await;
    assert_eq!(script.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_paused_sends_nothing_when_it_wakes() {
    let store = paired_store().await;
    let (devices, script) = ready(&store).await;
    let gate = script.gate.lock().clone().unwrap();
    // As SIGSTOP does: the clock goes on, no task of the process runs, and the first to run is a send.
    tokio::time::advance(seconds(40)).await;
    assert!(gate.pass().is_err(), "the frame right after waking is refused");
    let sent = devices.send(&device("shop"), number(), text(), None).await;
    assert!(sent.is_err() && script.sent.lock().is_empty(), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stopped_saving_is_made_anew() {
    struct Counter(AtomicUsize);
    impl Observer for Counter {
        fn count(&self, what: Counted) {
            self.0.fetch_add(usize::from(what == Counted::SavingStopped), Ordering::SeqCst);
        }
    }
    let (store, shop) = (paired_store().await, device("shop"));
    let (script, counter) = (Script::ready(), Arc::new(Counter(AtomicUsize::new(0))));
    let observer = Arc::<Counter>::clone(&counter);
    let devices = observed(store, Arc::new(Scripted(Arc::clone(&script))), observer);
    devices.run();
    until_status(&devices, &shop, "ready").await;
    script.has_stopped_saving.store(true, Ordering::SeqCst);
    until(&devices, &shop, "ready on a new client", |s| s.is_ready && script.connects() == 2).await;
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert_eq!(script.closed.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_at_the_start_is_waited_for() {
    let (store, shop) = (paired_store().await, device("shop"));
    store.be_away(true);
    let script = Script::ready();
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    let refused = devices.stop(&shop).await;
    assert!(matches!(refused, Err(DeviceError::StorageAway(_))), "{refused:?}");
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(script.connects(), 0);
    store.be_away(false);
    until_status(&devices, &shop, "ready").await;
    assert_eq!(MessageId::of("x").as_str(), "x");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_did_not_answer_at_the_start_is_asked_again_soon() {
    let (store, shop) = (paired_store().await, device("shop"));
    store.be_away(true);
    let script = Script::ready();
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    let status = until_status(&devices, &shop, "degraded_storage").await;
    assert!(status.last_error.is_some_and(|why| why.contains("did not answer")));
    store.be_away(false);
    let back = tokio::time::Instant::now();
    until_status(&devices, &shop, "ready").await;
    assert!(back.elapsed() < seconds(1), "only after {:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_hidden_is_shown_as_such_and_offered_no_code() {
    let (store, shop) = (paired_store().await, device("shop"));
    store.hide(true);
    let script = Script::ready();
    let devices = process(Arc::<TestStore>::clone(&store), Arc::new(Scripted(Arc::clone(&script))));
    devices.run();
    let status = until_status(&devices, &shop, "error").await;
    assert!(status.last_error.is_some_and(|why| why.contains("hides the devices")));
    assert_eq!(devices.qr(&shop), QrAnswer::NotYet { status: "error" });
    let refused = devices.reconnect(&shop).await;
    assert!(matches!(refused, Err(DeviceError::Unusable(_))), "{refused:?}");
    tokio::time::sleep(seconds(60)).await;
    assert_eq!((devices.status(&shop).status, script.connects()), ("error", 0));
    store.hide(false);
    until_status(&devices, &shop, "ready").await;
    assert_eq!(script.connects(), 1, "mended at the store, it comes back by itself");
}
