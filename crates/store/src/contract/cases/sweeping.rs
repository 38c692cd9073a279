//! Cleaning up, and telling: bounded sweeps from many processes at once, and the outbox of events.

use crate::contract::harness::{EventLog, Expiry, Must, TestStore};
use sessile_core::Timestamp;
use sessile_core::login::{
    EVENTS_MAX, EndReason, LoginEvent, LoginEventKind, LoginId, Persistence, Revoked, Swept, UserId,
};

impl TestStore {
    /// `count` sessions that end an hour from the base.
    async fn given_many(&self, count: usize) -> Vec<LoginId> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.given("").await.0);
        }
        ids
    }
}

pub(crate) async fn sweep_is_bounded(test: &TestStore) {
    test.given_many(25).await;
    let live = test.login_until("", test.after(99_999));
    let id = live.id.clone();
    test.store.create(live, test.base).await.must("create");
    let sweep = async |now: Timestamp| test.store.sweep(now, 10).await.must("sweep");
    assert_eq!(sweep(test.base).await.removed, 0, "nothing has expired yet");
    let late = test.after(7200);
    let mut swept = Vec::new();
    for _ in 0..4 {
        swept.push(sweep(late).await);
    }
    if test.capabilities.expiry == Expiry::Swept {
        let full = Swept { removed: 10, more: true };
        let (rest, none) = (Swept { removed: 5, more: false }, Swept { removed: 0, more: false });
        assert_eq!(swept, [full, full, rest, none]);
    } else {
        assert!(swept.iter().all(|s| s.removed <= 10), "{swept:?}");
    }
    assert!(test.live(&id, late).await.is_some(), "a live session was swept");
}

pub(crate) async fn concurrent_sweepers_remove_each_once(test: &TestStore) {
    const EXPIRED: usize = 60;
    let ids = test.given_many(EXPIRED).await;
    let late = test.after(7200);
    let sweepers: Vec<_> = (0..4)
        .map(|_| {
            let store = test.store.clone();
            tokio::spawn(async move {
                let mut removed = 0;
                for _ in 0..EXPIRED {
                    let swept = store.sweep(late, 7).await.must("sweep");
                    removed += swept.removed;
                    if !swept.more {
                        break;
                    }
                }
                removed
            })
        })
        .collect();
    let mut removed = 0;
    for sweeper in sweepers {
        removed += sweeper.await.must("a sweeper");
    }
    // Whoever found everything taken by others has left; the last rows may need one more look.
    removed += test.store.sweep(late, EXPIRED).await.must("sweep").removed;
    if test.capabilities.expiry == Expiry::Swept {
        assert_eq!(removed, EXPIRED as u64, "each expired session is removed by exactly one sweeper");
    }
    for id in ids {
        assert!(test.live(&id, late).await.is_none());
    }
}

async fn events(test: &TestStore) -> Vec<LoginEvent> {
    test.store.events(EVENTS_MAX).await.must("events")
}

pub(crate) async fn events_tell_each_change_once(test: &TestStore) {
    use LoginEventKind::{Created, Destroyed, Expired, Regenerated, Revoked as WasRevoked};
    let user = UserId::parse("u1").must("a user id");
    let (old, _) = test.given(r#""userId":"u1""#).await;
    let renewed = test.login_until(r#""userId":"u1""#, test.after(99_999));
    let new = renewed.id.clone();
    for _ in 0..2 {
        // The repetition may say Taken; it tells nothing new either way.
        drop(test.store.replace(&old, test.after(10), renewed.clone(), test.after(1)).await);
    }
    let (destroyed, _) = test.given("").await;
    let (revoked, _) = test.given(r#""userId":"u1""#).await;
    let (expired, _) = test.given(r#""userId":"u1""#).await;
    for _ in 0..2 {
        test.store.destroy(&destroyed, EndReason::Destroyed, test.after(2)).await.must("destroy");
    }
    let answer = test.store.revoke(&user, &revoked.handle(), test.after(3)).await.must("revoke");
    assert_eq!(answer, Revoked::Yes);
    for _ in 0..2 {
        test.store.sweep(test.after(7200), 100).await.must("sweep");
    }

    let told = events(test).await;
    if test.capabilities.events == EventLog::Off {
        assert!(told.is_empty(), "{told:?}");
        return;
    }
    let kinds = |id: &LoginId| -> Vec<LoginEventKind> {
        told.iter().filter(|event| event.handle == id.handle()).map(|event| event.kind).collect()
    };
    assert_eq!(kinds(&old), [Created]);
    assert_eq!(kinds(&new), [Regenerated]);
    assert_eq!(kinds(&destroyed), [Created, Destroyed]);
    assert_eq!(kinds(&revoked), [Created, WasRevoked]);
    match test.capabilities.expiry {
        Expiry::Swept => assert_eq!(kinds(&expired), [Created, Expired]),
        Expiry::ByEngine => assert_eq!(kinds(&expired)[0], Created),
    }
    let of =
        |id: &LoginId, kind| told.iter().find(|e| e.handle == id.handle() && e.kind == kind).must("an event");
    assert_eq!(of(&new, Regenerated).user, Some(user.clone()));
    assert_eq!(of(&revoked, WasRevoked).user, Some(user));
    assert_eq!(of(&destroyed, Destroyed).at, test.after(2));
    assert_eq!(of(&destroyed, Destroyed).user, None);

    // Taken in parts; what is not taken stays.
    let oldest = test.store.events(3).await.must("events");
    assert_eq!(oldest, told[..3]);
    test.store.settle(&oldest).await.must("settle");
    test.store.settle(&oldest).await.must("settle again");
    assert_eq!(events(test).await, told[3..]);
    if let (Some(reopen), Persistence::Durable) = (&test.capabilities.reopen, test.store.info().persistence) {
        let again = reopen().await;
        assert_eq!(again.events(EVENTS_MAX).await.must("events after a restart"), told[3..]);
    }
    test.store.settle(&told).await.must("settle");
    assert!(events(test).await.is_empty());
}
