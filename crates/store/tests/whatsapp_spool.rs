//! The journal in front of a database: what each mode promises while the database is away, and what happens when it comes
//! back with or without what we remember.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

#[path = "whatsapp_files/given.rs"]
#[expect(dead_code, reason = "the other tests of files use more of it")]
mod given;
#[path = "whatsapp_spool/world.rs"]
mod world;

use given::{device, owner, step};
use sessile_core::whatsapp::{
    Committed, DeviceStore as _, DeviceStoreError, LEASE_TTL, LeaseStanding, Wanted,
};
use sessile_store::contract::whatsapp::{Lapse, Reopen, TestDevices};
use sessile_store::whatsapp::SpoolMode::{ManyNodes, OneNode};
use std::sync::Arc;
use std::time::Duration;
use world::{World, late_step};

mod contract {
    use super::*;

    async fn engine_with(mode: sessile_store::whatsapp::SpoolMode) -> TestDevices {
        let world = Arc::new(World::new(mode));
        let (time, again) = (world.clone(), world.clone());
        let lapse: Lapse = Arc::new(move |_| {
            time.advance(LEASE_TTL);
            Box::pin(std::future::ready(()))
        });
        // Another machine: its disk is its own.
        let reopen: Reopen = Arc::new(move || Box::pin(std::future::ready(Arc::new(again.elsewhere()) as _)));
        TestDevices::new(Arc::new(world.store()), lapse).reopened_by(reopen).guarded_by(world)
    }

    async fn many_nodes() -> TestDevices {
        engine_with(ManyNodes).await
    }
    sessile_store::device_contract!(many_nodes);
}

#[tokio::test]
async fn on_one_node_an_outage_is_bridged_and_caught_up_in_order() {
    let world = World::new(OneNode);
    let store = world.store();
    let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
    world.until_settled(&store).await;
    world.cut();
    for version in 2..=20 {
        store.commit_step(&device(), &step(acquired.epoch.0, version)).await.unwrap();
    }
    world.advance(Duration::from_secs(3 * 3600));
    store.renew(&device(), acquired.epoch, LEASE_TTL).await.unwrap();
    store.want(&device(), Wanted::Stopped).await.unwrap();
    let standing = store.standing(&device()).unwrap();
    assert_eq!((standing.unsettled, standing.version.0), (19, 20));
    assert!(standing.degraded.is_some_and(|(_, what)| what.contains("cut")));
    assert_eq!(world.there().await.head.version.0, 1);
    world.mend();
    store.renew(&device(), acquired.epoch, LEASE_TTL).await.unwrap();
    world.until_settled(&store).await;
    world.check_same(&store).await;
    assert_eq!(world.there().await.head.wanted, Wanted::Stopped, "what was wanted meanwhile is there, too");
    assert_eq!(store.standing(&device()).unwrap().degraded, None);
}

#[tokio::test]
async fn on_one_node_a_restart_without_the_database_goes_on_and_catches_up() {
    let world = World::new(OneNode);
    {
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
        world.until_settled(&store).await;
        world.cut();
        store.commit_step(&device(), &step(acquired.epoch.0, 2)).await.unwrap();
    }
    // A task of the first one may hold on for a moment; a process that died would not.
    world.advance(LEASE_TTL);
    let store = world.store();
    let acquired = store.acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    assert_eq!(acquired.head.version.0, 2);
    store.commit_step(&device(), &step(acquired.epoch.0, 3)).await.unwrap();
    drop(store);
    world.advance(LEASE_TTL);
    world.mend();
    // And once more, now that it answers.
    let store = world.store();
    let acquired = store.acquire(&device(), &owner("c"), LEASE_TTL).await.unwrap();
    assert_eq!(acquired.head.version.0, 3);
    assert_eq!(world.there().await.head.version.0, 3, "caught up before anything else");
    store.commit_step(&device(), &step(acquired.epoch.0, 4)).await.unwrap();
    world.until_settled(&store).await;
    world.check_same(&store).await;
}

#[tokio::test]
async fn a_device_that_was_never_here_is_not_made_while_the_database_is_away() {
    for mode in [OneNode, ManyNodes] {
        let world = World::new(mode);
        world.cut();
        let acquired = world.store().acquire(&device(), &owner("a"), LEASE_TTL).await;
        assert!(matches!(acquired, Err(DeviceStoreError::Unavailable(_))), "{mode:?}: {acquired:?}");
    }
}

#[tokio::test]
async fn with_many_nodes_what_must_not_be_forgotten_fails_without_the_database() {
    let world = World::new(ManyNodes);
    let store = world.store();
    let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
    assert_eq!(world.there().await.head.version.0, 1, "there before it was answered");
    world.cut();
    let late = late_step(acquired.epoch.0, 2);
    assert_eq!(
        store.commit_step(&device(), &late).await.unwrap(),
        Committed::Applied,
        "this may follow behind"
    );
    let vital = step(acquired.epoch.0, 3);
    let failed = store.commit_step(&device(), &vital).await;
    assert!(matches!(failed, Err(DeviceStoreError::Unavailable(_))), "{failed:?}");
    let renewed = store.renew(&device(), acquired.epoch, LEASE_TTL).await;
    assert!(matches!(renewed, Err(DeviceStoreError::Unavailable(_))), "{renewed:?}");
    world.pace.advance(Duration::from_secs(20));
    assert_eq!(store.standing(&device()).unwrap().lease, LeaseStanding::GivenUp, "so the owner stops");
    world.mend();
    assert_eq!(store.commit_step(&device(), &vital).await.unwrap(), Committed::Again, "the same step, once");
    assert_eq!(world.there().await.head.version.0, 3);
    world.check_same(&store).await;
}

#[tokio::test]
async fn a_lost_reply_is_recognised_and_nothing_is_applied_twice() {
    for mode in [OneNode, ManyNodes] {
        let world = World::new(mode);
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        for version in 1..=10 {
            world.lose_next_reply();
            let next = step(acquired.epoch.0, version);
            if store.commit_step(&device(), &next).await.is_err() {
                assert_eq!(store.commit_step(&device(), &next).await.unwrap(), Committed::Again);
            }
        }
        world.until_settled(&store).await;
        world.check_same(&store).await;
        assert_eq!(world.there().await.head.version.0, 10);
    }
}

#[tokio::test]
async fn a_higher_epoch_in_the_database_puts_the_journal_aside_and_ends_its_owner() {
    for mode in [OneNode, ManyNodes] {
        let world = World::new(mode);
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
        world.until_settled(&store).await;
        world.cut();
        store.commit_step(&device(), &late_step(acquired.epoch.0, 2)).await.unwrap();
        world.advance(LEASE_TTL);
        world.mend_for_others();
        let other = world.elsewhere();
        let taken = other.acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
        other.commit_step(&device(), &step(taken.epoch.0, 2)).await.unwrap();
        world.until_settled(&other).await;
        world.mend();
        let late = store.renew(&device(), acquired.epoch, LEASE_TTL).await;
        assert!(matches!(late, Err(DeviceStoreError::Fenced { .. })), "{mode:?}: {late:?}");
        let late = store.commit_step(&device(), &step(acquired.epoch.0, 3)).await;
        assert!(matches!(late, Err(DeviceStoreError::Fenced { .. })), "{mode:?}: {late:?}");
        world.until_fenced().await;
        world.check_same(&other).await;
        // It comes back as the next owner, with the database's keys.
        world.advance(LEASE_TTL);
        let back = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        assert_eq!(back.head.last_step, Some(step(0, 2).id));
        store.commit_step(&device(), &step(back.epoch.0, 3)).await.unwrap();
        world.until_settled(&store).await;
        world.check_same(&store).await;
    }
}

#[tokio::test]
async fn the_same_after_a_restart() {
    let world = World::new(OneNode);
    {
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
        world.until_settled(&store).await;
        world.cut();
        store.commit_step(&device(), &late_step(acquired.epoch.0, 2)).await.unwrap();
    }
    world.advance(LEASE_TTL);
    world.mend();
    let other = world.elsewhere();
    let taken = other.acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    other.commit_step(&device(), &step(taken.epoch.0, 2)).await.unwrap();
    other.release(&device(), taken.epoch).await.unwrap();
    let back = world.store().acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
    assert_eq!(back.head.last_step, Some(step(0, 2).id), "what the database has");
    assert!(world.names().iter().any(|name| name == "shop.journal.fenced"), "{:?}", world.names());
}

#[tokio::test]
async fn a_database_that_was_put_back_is_refused() {
    let world = World::new(OneNode);
    {
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        for version in 1..=3 {
            store.commit_step(&device(), &step(acquired.epoch.0, version)).await.unwrap();
        }
        world.until_settled(&store).await;
        store.release(&device(), acquired.epoch).await.unwrap();
    }
    world.put_back(1).await;
    let refused = world.store().acquire(&device(), &owner("b"), LEASE_TTL).await;
    assert!(
        matches!(&refused, Err(DeviceStoreError::Damaged(what)) if what.contains("put back") && what.contains("step 3")),
        "{refused:?}"
    );
    world.empty();
    let refused = world.store().acquire(&device(), &owner("b"), LEASE_TTL).await;
    assert!(
        matches!(&refused, Err(DeviceStoreError::Damaged(what)) if what.contains("emptied")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_redeploy_that_loses_the_folder_finds_everything_in_the_database() {
    let world = World::new(ManyNodes);
    let acquired = {
        let store = world.store();
        let acquired = store.acquire(&device(), &owner("a"), LEASE_TTL).await.unwrap();
        store.commit_step(&device(), &step(acquired.epoch.0, 1)).await.unwrap();
        store.release(&device(), acquired.epoch).await.unwrap();
        acquired
    };
    world.lose_folder();
    let again = world.store().acquire(&device(), &owner("b"), LEASE_TTL).await.unwrap();
    assert_eq!((again.head.version.0, again.head.has_credentials), (1, true));
    assert!(again.epoch > acquired.epoch);
}
