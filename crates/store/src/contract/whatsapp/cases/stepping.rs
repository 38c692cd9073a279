//! Steps: whole, in order, once, and by the owner alone.

use super::super::TestDevices;
use super::super::harness::{AT, device, key, row};
use crate::contract::Must;
use futures_util::future::join_all;
use sessile_core::whatsapp::{
    Committed, DEVICE_BYTES_MAX, DeviceStoreError, KeyKind, STEP_ROWS_MAX, Step, Version,
};
use std::sync::Arc;

pub(in super::super) async fn a_step_is_there_whole(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let mut step = owned.next();
    step.puts = vec![row(KeyKind::Session, 1, b"newer"), row(KeyKind::Identity, 1, b"another kind")];
    step.deletes = vec![key(KeyKind::Session, 2), key(KeyKind::PreKey, 7)];
    owned.commit(&step).await;
    let state = test.state(&device).await;
    let expected = vec![
        row(KeyKind::Identity, 1, b"another kind"),
        row(KeyKind::Session, 0, b"sealed"),
        row(KeyKind::Session, 1, b"newer"),
    ];
    assert_eq!(state.rows, expected);
    assert_eq!(
        state.credentials.as_deref(),
        Some(b"sealed credentials".as_slice()),
        "as the step before left them"
    );
    let head = &state.head;
    assert_eq!((head.version, head.last_step, head.updated_at), (Version(2), Some(step.id), AT));
    assert_eq!(head.wrapped_key.as_deref(), Some("s1.new.wrapped"));
    assert!(head.has_credentials);
    assert_eq!(test.head(&device).await, *head);
    let mut step = owned.next();
    step.wrapped_key = Some("s1.newer.wrapped".to_owned());
    step.credentials = Some(Arc::from([0_u8, 255, 10, 13, 0]));
    owned.commit(&step).await;
    let state = test.state(&device).await;
    assert_eq!(state.head.wrapped_key.as_deref(), Some("s1.newer.wrapped"));
    assert_eq!(state.credentials.as_deref(), Some([0_u8, 255, 10, 13, 0].as_slice()), "any bytes");
    assert_eq!(state.rows.len(), 3);
}

pub(in super::super) async fn steps_follow_without_a_gap(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let before = test.state(&device).await;
    for version in [0, 1, 3, 99] {
        let puts = vec![row(KeyKind::Session, 0, b"from another history")];
        let step = Step { version: Version(version), puts, ..owned.next() };
        let refused = owned.try_commit(&step).await;
        let is_refused =
            matches!(refused, Err(DeviceStoreError::OutOfOrder { stored: 1, step }) if step == version);
        assert!(is_refused, "{version}: {refused:?}");
    }
    assert_eq!(test.state(&device).await, before);
    owned.commit(&owned.next()).await;
}

pub(in super::super) async fn a_repeated_step_is_recognised(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let mut step = owned.next();
    step.puts = vec![row(KeyKind::Session, 1, b"newer")];
    step.deletes = vec![key(KeyKind::Session, 2)];
    owned.commit(&step).await;
    let before = test.state(&device).await;
    assert_eq!(owned.try_commit(&step).await.must("again"), Committed::Again);
    assert_eq!(test.state(&device).await, before);
    let other = Step { id: owned.next().id, ..step };
    let refused = owned.try_commit(&other).await;
    assert!(matches!(refused, Err(DeviceStoreError::OutOfOrder { stored: 2, step: 2 })), "{refused:?}");
}

/// Commits many steps at the same time.
async fn race(test: &TestDevices, steps: Vec<Step>) -> Vec<Result<Committed, DeviceStoreError>> {
    test.warm().await;
    let attempts = steps.into_iter().map(|step| {
        let (store, device) = (test.store.clone(), device());
        tokio::spawn(async move { store.commit_step(&device, &step).await })
    });
    join_all(attempts).await.into_iter().map(|answer| answer.must("no panic")).collect()
}

pub(in super::super) async fn copies_of_a_step_are_applied_once(test: &TestDevices) {
    let mut owned = test.owned(&device()).await;
    owned.pair().await;
    let step = Step { puts: vec![row(KeyKind::Session, 1, b"once")], ..owned.next() };
    let answers = race(test, vec![step; 8]).await;
    let applied = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Applied))).count();
    let again = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Again))).count();
    assert_eq!((applied, again), (1, 7), "{answers:?}");
    assert_eq!(test.head(&device()).await.version, Version(2));
}

pub(in super::super) async fn of_two_steps_for_one_version_one_is_applied(test: &TestDevices) {
    let mut owned = test.owned(&device()).await;
    owned.pair().await;
    let step = |n: u8| Step { puts: vec![row(KeyKind::Session, 1, &[n])], ..owned.next() };
    let steps: Vec<Step> = (0..8).map(step).collect();
    let answers = race(test, steps.clone()).await;
    let winner = answers.iter().position(|answer| matches!(answer, Ok(Committed::Applied))).must("one wins");
    for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != winner) {
        assert!(matches!(answer, Err(DeviceStoreError::OutOfOrder { .. })), "{n}: {answer:?}");
    }
    let state = test.state(&device()).await;
    assert_eq!(state.head.last_step, Some(steps[winner].id));
    assert!(state.rows.contains(&steps[winner].puts[0]), "the winner's row and no other's");
}

pub(in super::super) async fn the_old_owner_writes_nothing_after_the_new_one(test: &TestDevices) {
    let device = device();
    let mut old = test.owned(&device).await;
    old.pair().await;
    for _ in 0..5 {
        let epoch = old.epoch();
        let (store, name) = (test.store.clone(), device.clone());
        let mut next = old.next();
        // It writes as fast as it can until it is stopped.
        let writer = tokio::spawn(async move {
            loop {
                match store.commit_step(&name, &next).await {
                    Ok(_) => {
                        let id = sessile_core::whatsapp::StepId::generate(&sessile_core::OsEntropy);
                        let version = Version(next.version.0 + 1);
                        next = Step { id: id.must("random bytes"), version, ..next };
                    }
                    Err(error) => return (error, next.version),
                }
            }
        });
        let mut new = test.taken_over(&device).await;
        let taken_at = new.version;
        for _ in 0..3 {
            new.commit(&new.next()).await;
        }
        let (error, refused_at) = writer.await.must("no panic");
        let is_fenced = matches!(error, DeviceStoreError::Fenced { ours, .. } if ours == epoch.0);
        assert!(is_fenced, "{error:?}");
        assert_eq!(refused_at.0, taken_at.0 + 1, "the new owner saw the old one's last step");
        assert_eq!(test.head(&device).await.version.0, taken_at.0 + 3);
        old = new;
    }
}

pub(in super::super) async fn a_first_login_stores_812_pre_keys_in_one_step(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let mut step = owned.next();
    step.puts = (0..812).map(|n| row(KeyKind::PreKey, n, &[7; 120])).collect();
    owned.commit(&step).await;
    assert_eq!(test.state(&device).await.rows.len(), 815);
    let mut step = owned.next();
    step.deletes = (0..812).map(|n| key(KeyKind::PreKey, n)).collect();
    owned.commit(&step).await;
    assert_eq!(test.state(&device).await.rows.len(), 3);
}

pub(in super::super) async fn fifteen_hundred_and_one_rows_come_back(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    let mut step = owned.next();
    step.puts = (0..1501).map(|n| row(KeyKind::PreKey, n, &n.to_be_bytes())).collect();
    owned.commit(&step).await;
    assert_eq!(test.state(&device).await.rows, step.puts);
}

pub(in super::super) async fn too_much_is_refused_and_changes_nothing(test: &TestDevices) {
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let before = test.state(&device).await;
    let many = u32::try_from(STEP_ROWS_MAX).must("a number") + 1;
    let step = Step { puts: (0..many).map(|n| row(KeyKind::PreKey, n, b"x")).collect(), ..owned.next() };
    let refused = owned.try_commit(&step).await;
    assert!(matches!(refused, Err(DeviceStoreError::TooLarge { .. })), "{refused:?}");
    // A quarter each: the fourth does not fit beside the other rows.
    let quarter = vec![9_u8; DEVICE_BYTES_MAX / 4];
    let large = |number| row(KeyKind::SenderKey, number, &quarter);
    for number in 0..3 {
        owned.commit(&Step { puts: vec![large(number)], ..owned.next() }).await;
    }
    let refused = owned.try_commit(&Step { puts: vec![large(3)], ..owned.next() }).await;
    assert!(matches!(refused, Err(DeviceStoreError::TooLarge { .. })), "{refused:?}");
    owned.commit(&Step { puts: vec![large(2)], ..owned.next() }).await;
    let deletes = vec![key(KeyKind::SenderKey, 0)];
    owned.commit(&Step { puts: vec![large(3)], deletes, ..owned.next() }).await;
    let deletes = (1..4).map(|number| key(KeyKind::SenderKey, number)).collect();
    owned.commit(&Step { deletes, ..owned.next() }).await;
    let after = test.state(&device).await;
    assert_eq!((after.rows, after.credentials), (before.rows, before.credentials));
}

pub(in super::super) async fn what_was_acknowledged_survives_a_restart(test: &TestDevices) {
    let Some(reopen) = &test.reopen else { return };
    let device = device();
    let mut owned = test.owned(&device).await;
    owned.pair().await;
    let before = test.state(&device).await;
    let reopened = reopen().await;
    let state = reopened.load(&device).await.must("load").must("a device");
    assert_eq!(super::super::harness::sorted(state), before);
    let again = reopened.acquire(&device, &owned.owner, sessile_core::whatsapp::LEASE_TTL).await;
    assert_eq!(again.must("acquire").head.version, owned.version);
}
