//! The ends of devices: destroyed, listed, removed.

use super::super::TestDevices;
use super::super::harness::{AT, device, named, row};
use crate::contract::Must;
use sessile_core::whatsapp::{KeyKind, Step, Version, Wanted};
use std::time::Duration;

pub(in super::super) async fn a_destroyed_device_keeps_its_name_epoch_and_version(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    test.store.destroy(&device, owned.epoch()).await.must("destroy");
    test.store.destroy(&device, owned.epoch()).await.must("the reply was lost");
    let state = test.state(&device).await;
    assert_eq!((state.credentials, state.rows.len()), (None, 0));
    assert_eq!((state.head.epoch, state.head.version), (owned.epoch(), Version(1)));
    assert_eq!((state.head.has_credentials, state.head.wrapped_key), (false, None));
    let next = test.taken_over(&device).await;
    assert_eq!(next.epoch().0, owned.epoch().0 + 1);
}

pub(in super::super) async fn a_destroyed_device_can_be_paired_anew(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    test.store.destroy(&device, owned.epoch()).await.must("destroy");
    let mut next = test.taken_over(&device).await;
    next.pair().await;
    let state = test.state(&device).await;
    assert_eq!((state.head.version, state.rows.len(), state.head.has_credentials), (Version(2), 3, true));
}

pub(in super::super) async fn devices_are_listed_by_name(test: &TestDevices) {
    assert_eq!(test.store.list().await.must("list"), []);
    for name in ["shop.42", "default-client", "a_b"] {
        test.owned(&named(name)).await.pair().await;
    }
    let listed = test.store.list().await.must("list");
    let names: Vec<&str> = listed.iter().map(|head| head.device.as_str()).collect();
    assert_eq!(names, ["a_b", "default-client", "shop.42"]);
    for head in &listed {
        assert_eq!(*head, test.head(&head.device).await);
    }
}

pub(in super::super) async fn unused_devices_are_removed_and_counted(test: &TestDevices) {
    let later = AT.plus(Duration::from_secs(60));
    let names = ["paired", "stopped", "unpaired", "held", "recent", "moved"];
    for name in names {
        let mut owned = test.owned(&named(name)).await;
        let at = if name == "recent" { later } else { AT };
        let puts = vec![row(KeyKind::Session, 1, b"sealed")];
        owned.commit(&Step { puts, at, ..owned.next() }).await;
        if ["paired", "stopped", "moved"].contains(&name) {
            owned.pair().await;
        }
        match name {
            "held" => {}
            "moved" => test.store.retire(&owned.device, owned.epoch(), "file").await.must("retire"),
            _ => test.store.release(&owned.device, owned.epoch()).await.must("release"),
        }
    }
    test.store.want(&named("stopped"), Wanted::Stopped).await.must("want");
    assert_eq!(test.store.remove_unused(AT).await.must("remove_unused"), 0, "none is older than that");
    assert_eq!(test.store.remove_unused(later).await.must("remove_unused"), 2);
    let listed = test.store.list().await.must("list");
    let names: Vec<&str> = listed.iter().map(|head| head.device.as_str()).collect();
    assert_eq!(names, ["held", "moved", "paired", "recent"]);
    assert_eq!(test.store.load(&named("stopped")).await.must("load"), None);
    assert_eq!(test.state(&named("paired")).await.rows.len(), 3);
}
