//! Devices in files, where files differ from databases: what a damaged, cut, old or mixed file does, and what a killed
//! process leaves.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

#[path = "whatsapp_files/damage.rs"]
mod damage;
#[path = "whatsapp_files/given.rs"]
mod given;
#[path = "whatsapp_files/killed.rs"]
mod killed;

use sessile_store::contract::whatsapp::{Lapse, Reopen, TestDevices};
use std::sync::Arc;

use given::{Given, device, owner, step};
use sessile_core::whatsapp::{Committed, DeviceStore as _, DeviceStoreError, Epoch, LEASE_TTL, Wanted};
use std::time::Duration;

mod contract {
    use super::*;

    async fn engine() -> TestDevices {
        let given = Arc::new(Given::new());
        let (time, again) = (given.clone(), given.clone());
        let lapse: Lapse = Arc::new(move |_| {
            time.advance(LEASE_TTL);
            Box::pin(std::future::ready(()))
        });
        let reopen: Reopen = Arc::new(move || Box::pin(std::future::ready(Arc::new(again.store()) as _)));
        TestDevices::new(Arc::new(given.store()), lapse).reopened_by(reopen)
    }
    sessile_store::device_contract!(engine);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let given = Given::new().with_steps(5).await;
    let store = given.store();
    let state = store.load(&device()).await.unwrap().unwrap();
    assert_eq!((state.head.version.0, state.head.epoch.0, state.rows.len()), (5, 1, 6));
    assert_eq!(state.credentials.as_deref(), Some(&b"credentials 5"[..]));
    assert_eq!(store.commit_step(&device(), &step(1, 5)).await.unwrap(), Committed::Again);
}

#[tokio::test]
async fn steps_that_come_together_are_all_taken_in_order() {
    let given = Given::new();
    let store = given.store();
    store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    let steps: Vec<_> = (1..=200).map(|version| step(1, version)).collect();
    let device = device();
    let commits = steps.iter().map(|step| store.commit_step(&device, step));
    for done in futures_util::future::join_all(commits).await {
        assert_eq!(done.unwrap(), Committed::Applied);
    }
    assert_eq!(given.store().head(&device).await.unwrap().unwrap().version.0, 200);
}

#[tokio::test]
async fn another_process_waits_for_the_lease_and_then_fences() {
    let given = Given::new();
    let (first, second) = (given.store(), given.store());
    first.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    first.commit_step(&device(), &step(1, 1)).await.unwrap();
    let until = given.clock_now().plus(LEASE_TTL);
    let held = second.acquire(&device(), &owner("b"), LEASE_TTL).await;
    assert!(matches!(held, Err(DeviceStoreError::Held { until: found }) if found == until), "{held:?}");
    given.advance(LEASE_TTL);
    assert_eq!(
        first.commit_step(&device(), &step(1, 2)).await.unwrap(),
        Committed::Applied,
        "nobody took it"
    );
    let taken = second.acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    assert_eq!((taken.epoch, taken.head.version.0), (Epoch(2), 2));
    let late = first.commit_step(&device(), &step(1, 3)).await;
    assert!(matches!(late, Err(DeviceStoreError::Fenced { ours: 1, now: 2 })), "{late:?}");
    let late = first.renew(&device(), Epoch(1), LEASE_TTL).await;
    assert!(matches!(late, Err(DeviceStoreError::Fenced { ours: 1, now: 2 })), "{late:?}");
}

#[tokio::test]
async fn a_dead_owner_is_not_waited_for() {
    let given = Given::new().with_steps(1).await;
    let taken = given.store().acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    assert_eq!((taken.epoch, taken.head.version.0), (Epoch(2), 1), "its lease ran, but it is gone");
}

#[tokio::test]
async fn a_long_journal_is_folded_and_stays_the_same_device() {
    let given = Given::new();
    let store = given.store();
    store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    for version in 1..=60 {
        let mut big = step(1, version);
        big.puts[0].value = vec![u8::try_from(version).unwrap(); 100_000].into();
        store.commit_step(&device(), &big).await.unwrap();
    }
    store.want(&device(), Wanted::Stopped).await.unwrap();
    let length = given.path("json").with_extension("journal").metadata().unwrap().len();
    assert!(length < 3 * 1024 * 1024, "60 rewrites of one row take {length} bytes");
    let state = given.store().load(&device()).await.unwrap().unwrap();
    assert_eq!((state.head.version.0, state.head.wanted), (60, Wanted::Stopped));
    assert!(state.rows.iter().any(|row| *row.value == [60; 100_000]));
}

#[tokio::test]
async fn the_operators_file_shows_no_key() {
    let given = Given::new().with_steps(3).await;
    // It lags behind the journal until the next renewal.
    given.store().renew(&device(), Epoch(1), LEASE_TTL).await.unwrap();
    let text = std::fs::read_to_string(given.path("json")).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&shown["clientId"], &shown["hasCredentials"]), (&"shop".into(), &true.into()), "{text}");
    assert!(!text.contains("credentials 3") && !text.contains("wrapped"), "{text}");
}

#[tokio::test]
async fn cleanup_removes_what_nobody_needs_and_counts_it() {
    let given = Given::new().with_steps(2).await;
    let store = given.store();
    for name in ["never-paired", "held"] {
        let device = sessile_core::whatsapp::DeviceId::parse(name).unwrap();
        store.acquire(&device, &owner("a"), LEASE_TTL).await.unwrap();
    }
    given.advance(Duration::from_secs(8 * 24 * 3600));
    let held = sessile_core::whatsapp::DeviceId::parse("held").unwrap();
    store.acquire(&held, &owner("a"), LEASE_TTL).await.unwrap();
    std::fs::write(given.path("json.corrupted.2"), b"?").unwrap();
    std::fs::write(given.folder().join("somebody-elses.txt"), b"?").unwrap();
    let names: Vec<_> =
        store.session_files(given.clock_now()).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names.len(), 13, "{names:?}");
    let done = store.clean_up(given.clock_now()).await.unwrap();
    assert_eq!((done.devices, done.corrupted_files), (1, 1));
    let names: Vec<_> = store.list().await.unwrap().into_iter().map(|head| head.device.to_string()).collect();
    assert_eq!(names, ["held", "shop"]);
    assert_eq!(store.clean_up(given.clock_now()).await.unwrap(), Default::default(), "a second time");
    assert!(given.folder().join("somebody-elses.txt").exists());
}
