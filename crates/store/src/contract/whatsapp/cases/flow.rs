//! A device's whole life, with a fault at every call: whoever repeats the call loses nothing and does nothing twice.

use super::super::harness::{Owned, device, key, owner, row};
use super::super::{FaultyDevices, TestDevices};
use crate::contract::{Fault, Moment, Must};
use sessile_core::whatsapp::{
    Committed, DeviceStore, DeviceStoreError, KeyKind, LEASE_TTL, Step, Version, Wanted,
};
use std::future::Future;

/// Calls of one life, and some more that are never reached.
const CALLS_MAX: u64 = 40;

/// Repeats a call whose outcome is unknown.
async fn repeated<T, F: Future<Output = Result<T, DeviceStoreError>>>(call: impl Fn() -> F) -> T {
    match call().await {
        Err(DeviceStoreError::Unavailable(_)) => call().await.must("the same call again"),
        other => other.must("a call"),
    }
}

pub(in super::super) async fn a_lost_reply_is_safe_to_repeat_at_every_call(test: &TestDevices) {
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        for call in 1..CALLS_MAX {
            let faulty = FaultyDevices::new(test.store.clone(), Fault { call, moment });
            live(&faulty).await;
            if !faulty.has_fired() {
                break;
            }
            assert!(call + 1 < CALLS_MAX, "the life has more calls than this case expects");
        }
    }
}

async fn live(store: &dyn DeviceStore) {
    let (device, owner) = (device(), owner());
    let acquired = repeated(|| store.acquire(&device, &owner, LEASE_TTL)).await;
    let from = acquired.head.version;
    let mut owned = Owned { store, device: device.clone(), owner, acquired, version: from };
    for n in 0..3_u32 {
        let mut step = owned.next();
        step.credentials = (n == 0).then(|| b"sealed credentials".as_slice().into());
        step.puts = vec![row(KeyKind::Session, n, &n.to_be_bytes())];
        step.deletes = (n == 2).then(|| key(KeyKind::Session, 1)).into_iter().collect();
        take(&mut owned, &step).await;
        repeated(|| store.renew(&device, owned.epoch(), LEASE_TTL)).await;
    }
    repeated(|| store.want(&device, Wanted::Stopped)).await;
    repeated(|| store.want(&device, Wanted::Running)).await;
    let state = repeated(|| store.load(&device)).await.must("a device");
    assert_eq!(state.head.version, Version(from.0 + 3), "three steps, whatever was lost");
    assert_eq!((state.rows.len(), state.head.wanted), (2, Wanted::Running));
    let epoch = owned.epoch();
    repeated(|| store.retire(&device, epoch, "elsewhere")).await;
    let back = repeated(|| store.adopt(&state, &owned.owner, LEASE_TTL)).await;
    assert!(back.epoch > epoch);
    let returned = repeated(|| store.load(&device)).await.must("a device");
    assert_eq!((returned.rows.len(), returned.head.version), (2, state.head.version));
    repeated(|| store.destroy(&device, back.epoch)).await;
    repeated(|| store.release(&device, back.epoch)).await;
    let head = repeated(|| store.head(&device)).await.must("a device");
    assert_eq!((head.has_credentials, head.held_until, head.version), (false, None, state.head.version));
}

async fn take(owned: &mut Owned<'_>, step: &Step) {
    let committed = repeated(|| owned.store.commit_step(&owned.device, step)).await;
    assert!(matches!(committed, Committed::Applied | Committed::Again));
    owned.version = step.version;
}
