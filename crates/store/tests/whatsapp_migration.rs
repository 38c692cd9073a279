//! Moving devices between files and a database, both ways, with a crash at every call of either store.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

#[path = "whatsapp_files/given.rs"]
#[expect(dead_code, reason = "the other tests of files use more of it")]
mod given;

use given::{Given, device, owner, step};
use sessile_core::whatsapp::{DeviceId, DeviceStore, DeviceStoreError, LEASE_TTL};
use sessile_core::{ManualClock, Timestamp};
use sessile_store::contract::whatsapp::FaultyDevices;
use sessile_store::contract::{Fault, Moment};
use sessile_store::whatsapp::MemoryDevices;
use sessile_store::whatsapp::migration::{MigrationError, Progress, digest_of, migrate, migrate_all};
use std::sync::Arc;

const STEPS: u64 = 7;

/// A database whose clock is that of the files.
fn database() -> Arc<MemoryDevices> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_ms(1_900_000_000_000)));
    Arc::new(MemoryDevices::new(clock))
}

/// A device with keys in this store, and nobody who owns it.
async fn fill(store: &dyn DeviceStore) {
    let acquired = store.acquire(&device(), &owner("before"), LEASE_TTL).await.unwrap();
    for version in 1..=STEPS {
        store.commit_step(&device(), &step(acquired.epoch.0, version)).await.unwrap();
    }
    store.release(&device(), acquired.epoch).await.unwrap();
}

/// The device is in `to`, whole and free, and `from` refuses to be used.
async fn check_moved(from: &dyn DeviceStore, to: &dyn DeviceStore, digest: &str, what: &str) {
    let state = to.load(&device()).await.unwrap().unwrap();
    assert_eq!(digest_of(&state), digest, "{what}");
    let next = to.acquire(&device(), &owner("mover"), LEASE_TTL).await.unwrap();
    assert_eq!(next.head.version.0, STEPS, "{what}");
    for refused in [
        from.load(&device()).await.map(|_| ()),
        from.acquire(&device(), &owner("old"), LEASE_TTL).await.map(|_| ()),
        from.commit_step(&device(), &step(1, STEPS + 1)).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(DeviceStoreError::Moved { .. })), "{what}: {refused:?}");
    }
}

#[tokio::test]
async fn files_move_to_a_database_and_back_with_progress() {
    let (given, there) = (Given::new(), database());
    let here = given.store();
    fill(&here).await;
    let unpaired = DeviceId::parse("unpaired").unwrap();
    here.acquire(&unpaired, &owner("before"), LEASE_TTL).await.unwrap();
    let digest = digest_of(&here.load(&device()).await.unwrap().unwrap());
    let mut told = Vec::new();
    let done = migrate_all(&here, &*there, &owner("mover"), |progress| {
        told.push(match progress {
            Progress::Found(count) => format!("found {count}"),
            Progress::Read(_, rows) => format!("read {rows}"),
            Progress::Copied(_, rows) => format!("copied {rows}"),
            Progress::Moved(device) => format!("moved {device}"),
            Progress::WasThere(device) => format!("was there {device}"),
        });
    })
    .await
    .unwrap();
    assert_eq!(done.moved, [(device(), digest.clone())]);
    assert_eq!(told, ["found 1", "read 8", "copied 8", "moved shop"]);
    check_moved(&here, &*there, &digest, "there").await;
    let text = std::fs::read(given.path("journal")).unwrap();
    assert!(!text.windows(11).any(|part| part == b"credentials"), "the tombstone holds no key");
    let again = migrate_all(&given.store(), &*there, &owner("mover"), |_| {}).await.unwrap();
    assert_eq!((again.moved.len(), again.were_there), (0, vec![device()]));
    // It goes on there, and comes back.
    let acquired = there.acquire(&device(), &owner("mover"), LEASE_TTL).await.unwrap();
    there.release(&device(), acquired.epoch).await.unwrap();
    migrate(&*there, &here, &device(), &owner("mover"), |_| {}).await.unwrap().unwrap();
    check_moved(&*there, &given.store(), &digest, "back").await;
}

/// Crashes at call N of either store, for N = 1, 2, 3…; each time the next run finishes it.
async fn crash_everywhere(to_database: bool) {
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        for at_source in [true, false] {
            for call in 1.. {
                let (given, there) = (Given::new(), database());
                let here: Arc<dyn DeviceStore> = Arc::new(given.store());
                let there: Arc<dyn DeviceStore> = there;
                let (from, to) = if to_database { (here, there) } else { (there, here) };
                fill(&*from).await;
                let digest = digest_of(&from.load(&device()).await.unwrap().unwrap());
                let faulty = FaultyDevices::new(
                    if at_source { from.clone() } else { to.clone() },
                    Fault { call, moment },
                );
                let ends: (&dyn DeviceStore, &dyn DeviceStore) =
                    if at_source { (&faulty, &*to) } else { (&*from, &faulty) };
                let crashed = migrate(ends.0, ends.1, &device(), &owner("mover"), |_| {}).await;
                if !faulty.has_fired() {
                    crashed.unwrap();
                    assert!(call > 2, "there were no calls");
                    break;
                }
                // At no moment do both take steps, and at no moment does nobody have the keys.
                let what = format!(
                    "{moment:?} at call {call} of the {}",
                    if at_source { "source" } else { "target" }
                );
                assert!(crashed.is_err(), "{what}");
                let has = async |store: &dyn DeviceStore| {
                    store.head(&device()).await.unwrap().is_some_and(|head| head.has_credentials)
                };
                assert!(has(&*from).await || has(&*to).await, "{what}: the keys are gone");
                migrate(&*from, &*to, &device(), &owner("mover"), |_| {}).await.unwrap();
                check_moved(&*from, &*to, &digest, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_call_on_the_way_to_the_database_is_resumed() {
    crash_everywhere(true).await;
}

#[tokio::test]
async fn a_crash_at_any_call_on_the_way_to_files_is_resumed() {
    crash_everywhere(false).await;
}

#[tokio::test]
async fn two_histories_are_never_made_one() {
    let (given, there) = (Given::new(), database());
    let here = given.store();
    fill(&here).await;
    let acquired = there.acquire(&device(), &owner("other"), LEASE_TTL).await.unwrap();
    there.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
    there.release(&device(), acquired.epoch).await.unwrap();
    let refused = migrate(&here, &*there, &device(), &owner("mover"), |_| {}).await;
    assert!(
        matches!(refused, Err(MigrationError::BothHaveKeys { ours: STEPS, theirs: 1, .. })),
        "{refused:?}"
    );
    assert!(here.load(&device()).await.unwrap().is_some(), "it stays where it was");
}

#[tokio::test]
async fn a_device_that_somebody_owns_is_not_moved_away_from_them() {
    let (given, there) = (Given::new(), database());
    let here = given.store();
    fill(&here).await;
    here.acquire(&device(), &owner("running"), LEASE_TTL).await.unwrap();
    let refused = migrate(&here, &*there, &device(), &owner("mover"), |_| {}).await;
    assert!(
        matches!(refused, Err(MigrationError::Source { error: DeviceStoreError::Held { .. }, .. })),
        "{refused:?}"
    );
}
