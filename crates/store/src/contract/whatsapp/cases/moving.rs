//! Devices that move from one store to another: taken over whole, and never by an older copy of themselves.

use super::super::TestDevices;
use super::super::harness::{AT, device, owner, row, sorted};
use crate::contract::Must;
use sessile_core::whatsapp::{
    DeviceHead, DeviceRow, DeviceState, DeviceStoreError, Epoch, KeyKind, LEASE_TTL, StepId, Version, Wanted,
};
use std::sync::Arc;

/// A device as another store holds it.
fn elsewhere(epoch: u64, version: u64) -> DeviceState {
    let rows: Vec<DeviceRow> = (0..5).map(|n| row(KeyKind::Session, n, b"from elsewhere")).collect();
    let mut step = [0xE5; 16];
    step[..8].copy_from_slice(&version.to_be_bytes());
    let head = DeviceHead {
        device: device(),
        epoch: Epoch(epoch),
        version: Version(version),
        last_step: Some(StepId(step)),
        held_until: None,
        wanted: Wanted::Stopped,
        wrapped_key: Some("s1.k.wrapped".to_owned()),
        has_credentials: true,
        moved_to: None,
        created_at: AT,
        updated_at: AT,
    };
    DeviceState { head, credentials: Some(Arc::from(*b"their credentials")), rows }
}

/// That everything but ownership is as it was elsewhere.
async fn is_here(test: &TestDevices, epoch: Epoch, state: &DeviceState) {
    let here = test.state(&device()).await;
    let held_until = here.head.held_until;
    assert!(held_until.is_some());
    let head = DeviceHead { epoch, held_until, ..state.head.clone() };
    assert_eq!(here, sorted(DeviceState { head, ..state.clone() }));
}

pub(in super::super) async fn a_whole_device_is_taken_over(test: &TestDevices) {
    let state = elsewhere(7, 42);
    let owner = owner();
    let acquired = test.store.adopt(&state, &owner, LEASE_TTL).await.must("adopt");
    assert_eq!((acquired.epoch, acquired.head.version), (Epoch(8), Version(42)));
    is_here(test, Epoch(8), &state).await;
    let mut owned = test.taken_over(&device()).await;
    assert_eq!(owned.epoch(), Epoch(9));
    owned.commit(&owned.next()).await;
}

pub(in super::super) async fn taking_over_again_is_safe(test: &TestDevices) {
    let mut empty = test.owned(&device()).await;
    // Begun to be paired here, without success: nothing that counts.
    let step = sessile_core::whatsapp::Step { puts: vec![row(KeyKind::PreKey, 1, b"ours")], ..empty.next() };
    empty.commit(&step).await;
    let state = elsewhere(7, 42);
    let refused = test.store.adopt(&state, &owner(), LEASE_TTL).await;
    assert!(matches!(refused, Err(DeviceStoreError::Held { .. })), "somebody else has it: {refused:?}");
    let first = test.store.adopt(&state, &empty.owner, LEASE_TTL).await.must("adopt");
    is_here(test, first.epoch, &state).await;
    let again = test.store.adopt(&state, &empty.owner, LEASE_TTL).await.must("the reply was lost");
    assert!(again.epoch > first.epoch);
    is_here(test, again.epoch, &state).await;
}

pub(in super::super) async fn another_history_is_never_taken_over(test: &TestDevices) {
    let mut owned = test.owned(&device()).await;
    owned.pair().await;
    let before = test.state(&device()).await;
    for state in [elsewhere(7, 0), elsewhere(7, 1), elsewhere(7, 42)] {
        let refused = test.store.adopt(&state, &owned.owner, LEASE_TTL).await;
        assert!(matches!(refused, Err(DeviceStoreError::OutOfOrder { .. })), "{refused:?}");
    }
    assert_eq!(test.state(&device()).await, before);
}

pub(in super::super) async fn a_tombstone_refuses_everything(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    test.store.retire(&device, owned.epoch(), "postgres").await.must("retire");
    test.store.retire(&device, owned.epoch(), "postgres").await.must("the reply was lost");
    let refused = [
        test.store.load(&device).await.err(),
        test.store.acquire(&device, &owned.owner, LEASE_TTL).await.err(),
        test.store.renew(&device, owned.epoch(), LEASE_TTL).await.err(),
        test.store.release(&device, owned.epoch()).await.err(),
        owned.try_commit(&owned.next()).await.err(),
        test.store.want(&device, Wanted::Stopped).await.err(),
        test.store.destroy(&device, owned.epoch()).await.err(),
        test.store.retire(&device, owned.epoch(), "somewhere else").await.err(),
    ];
    for (call, error) in refused.into_iter().enumerate() {
        assert!(
            matches!(&error, Some(DeviceStoreError::Moved { to }) if to == "postgres"),
            "{call}: {error:?}"
        );
    }
    let head = test.head(&device).await;
    assert_eq!(
        (head.moved_to.as_deref(), head.version, head.held_until),
        (Some("postgres"), Version(1), None)
    );
    assert_eq!(test.store.list().await.must("list"), [head]);
}

pub(in super::super) async fn a_device_comes_back_over_its_tombstone(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    for _ in 0..5 {
        owned.pair().await;
    }
    test.store.retire(&device, owned.epoch(), "postgres").await.must("retire");
    let older = test.store.adopt(&elsewhere(7, 4), &owned.owner, LEASE_TTL).await;
    assert!(matches!(older, Err(DeviceStoreError::OutOfOrder { .. })), "an old copy: {older:?}");
    assert_eq!(test.head(&device).await.moved_to.as_deref(), Some("postgres"));
    let state = elsewhere(3, 6);
    let acquired = test.store.adopt(&state, &owner(), LEASE_TTL).await.must("adopt");
    assert!(acquired.epoch > owned.epoch() && acquired.epoch > state.head.epoch);
    is_here(test, acquired.epoch, &state).await;
}
