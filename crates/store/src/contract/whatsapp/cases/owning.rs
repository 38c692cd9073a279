//! One owner at a time, by lease and epoch.

use super::super::TestDevices;
use super::super::harness::{device, named, owner};
use crate::contract::Must;
use futures_util::future::join_all;
use sessile_core::whatsapp::{DeviceStoreError, Epoch, LEASE_TTL, Version, Wanted};

pub(in super::super) async fn it_answers_and_says_which_store_it_is(test: &TestDevices) {
    test.store.ping().await.must("ping");
    let info = test.store.info();
    assert!(["memory", "file", "sqlite", "postgres", "supabase"].contains(&info.engine), "{info:?}");
    assert!(!info.place.is_empty() && !info.place.contains('@'), "no password, and something: {info:?}");
}

pub(in super::super) async fn a_device_that_nobody_has_seen_is_made_empty(test: &TestDevices) {
    let device = device();
    assert_eq!(test.store.head(&device).await.must("head"), None);
    assert_eq!(test.store.load(&device).await.must("load"), None);
    let owned = test.owned(&device).await;
    let head = &owned.acquired.head;
    assert_eq!((owned.epoch(), head.version, head.last_step), (Epoch(1), Version(0), None));
    assert_eq!((head.has_credentials, &head.wrapped_key, head.wanted), (false, &None, Wanted::Running));
    assert!(head.held_until.is_some() && head.device == device);
    let state = test.state(&device).await;
    assert_eq!((state.credentials, state.rows.len(), state.head.version), (None, 0, Version(0)));
    assert_eq!(test.store.head(&named("another")).await.must("head"), None);
}

pub(in super::super) async fn one_owner_at_a_time(test: &TestDevices) {
    let device = device();
    let first = test.owned(&device).await;
    let stranger = owner();
    let refused = test.store.acquire(&device, &stranger, LEASE_TTL).await;
    assert!(matches!(refused, Err(DeviceStoreError::Held { .. })), "{refused:?}");
    let again = test.store.acquire(&device, &first.owner, LEASE_TTL).await.must("its own device");
    assert_eq!(again.epoch, Epoch(2), "every acquisition is a new one");
    test.store.release(&device, first.epoch()).await.must("an old release");
    let refused = test.store.acquire(&device, &stranger, LEASE_TTL).await;
    assert!(
        matches!(refused, Err(DeviceStoreError::Held { .. })),
        "not the old one's to release: {refused:?}"
    );
    test.store.renew(&device, again.epoch, LEASE_TTL).await.must("renew");
    test.store.release(&device, again.epoch).await.must("release");
    assert_eq!(test.head(&device).await.held_until, None);
    let next = test.store.acquire(&device, &stranger, LEASE_TTL).await.must("a free device");
    assert_eq!(next.epoch, Epoch(3));
}

pub(in super::super) async fn a_lapsed_lease_is_taken_over_and_the_old_owner_is_fenced(test: &TestDevices) {
    let device = device();
    let mut old = test.owned(&device).await;
    old.pair().await;
    let mut new = test.taken_over(&device).await;
    assert_eq!(new.epoch().0, old.epoch().0 + 1);
    assert_eq!(new.version, old.version, "it goes on where the old one stopped");
    let before = test.state(&device).await;
    let fenced = [
        old.try_commit(&old.next()).await.err(),
        test.store.renew(&device, old.epoch(), LEASE_TTL).await.err(),
        test.store.destroy(&device, old.epoch()).await.err(),
        test.store.retire(&device, old.epoch(), "elsewhere").await.err(),
    ];
    for (call, error) in fenced.into_iter().enumerate() {
        let is_fenced = matches!(error, Some(DeviceStoreError::Fenced { ours: 1, now: 2 }));
        assert!(is_fenced, "call {call}: {error:?}");
    }
    test.store.release(&device, old.epoch()).await.must("a release that does nothing");
    assert_eq!(test.state(&device).await, before);
    new.commit(&new.next()).await;
}

pub(in super::super) async fn a_lapsed_lease_that_nobody_took_does_not_fence(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    (test.lapse)(device.clone()).await;
    assert_eq!(test.head(&device).await.held_until, None);
    owned.pair().await;
    test.store.renew(&device, owned.epoch(), LEASE_TTL).await.must("renew");
    assert!(test.head(&device).await.held_until.is_some());
    let refused = test.store.acquire(&device, &owner(), LEASE_TTL).await;
    assert!(matches!(refused, Err(DeviceStoreError::Held { .. })), "{refused:?}");
}

pub(in super::super) async fn one_of_sixteen_acquirers_owns_the_device(test: &TestDevices) {
    let device = device();
    test.warm().await;
    for round in 1..=3 {
        let attempts = (0..16).map(|_| {
            let (store, device) = (test.store.clone(), device.clone());
            tokio::spawn(async move { store.acquire(&device, &owner(), LEASE_TTL).await })
        });
        let mut owners = 0;
        for answer in join_all(attempts).await {
            match answer.must("no panic") {
                Ok(acquired) => {
                    owners += 1;
                    assert_eq!(acquired.epoch, Epoch(round));
                }
                Err(DeviceStoreError::Held { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(owners, 1, "round {round}");
        (test.lapse)(device.clone()).await;
    }
}

pub(in super::super) async fn whether_it_should_run_is_kept(test: &TestDevices) {
    let device = device();
    test.store.want(&device, Wanted::Stopped).await.must("of a device that is not there");
    assert_eq!(test.store.head(&device).await.must("head"), None, "wanting makes none");
    let mut owned = test.owned(&device).await;
    test.store.want(&device, Wanted::Stopped).await.must("want");
    owned.pair().await;
    assert_eq!(test.head(&device).await.wanted, Wanted::Stopped);
    let next = test.taken_over(&device).await;
    assert_eq!(next.acquired.head.wanted, Wanted::Stopped, "stopped on purpose, it stays stopped");
    test.store.want(&device, Wanted::Running).await.must("want");
    assert_eq!(test.state(&device).await.head.wanted, Wanted::Running);
}
