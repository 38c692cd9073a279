//! Regeneration: the new id exists before the old one goes, and the old one goes.

use crate::contract::harness::{Expiry, Must, TestStore, change};
use sessile_core::StoreError;
use sessile_core::login::{Absence, EndReason, Lookup, NewLogin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) async fn replace_has_no_gap(test: &TestStore) {
    for round in 0..25 {
        let (old, _) = test.given(r#""k":0"#).await;
        let login = test.login(r#""k":1"#);
        let new = login.id.clone();
        let done = Arc::new(AtomicBool::new(false));
        let poller = {
            let (store, now, done) = (test.store.clone(), test.base, done.clone());
            let (old, new) = (old.clone(), new.clone());
            tokio::spawn(async move {
                let live = |found: Result<Lookup, StoreError>| matches!(found, Ok(Lookup::Live(_)));
                loop {
                    let last = done.load(Ordering::SeqCst);
                    // The old one first: if it is not there any more, the new one must be by now.
                    let seen = live(store.load(&old, now).await) || live(store.load(&new, now).await);
                    assert!(seen, "round {round}: for a moment there was no session at all");
                    if last {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            })
        };
        // No grace: the old id ends in the very step that makes the new one.
        test.store.replace(&old, test.base, login, test.base).await.must("replace");
        done.store(true, Ordering::SeqCst);
        poller.await.must("the poller");
        assert!(test.live(&old, test.base).await.is_none(), "round {round}: the old id still answers");
        assert!(test.live(&new, test.base).await.is_some());
    }
}

pub(crate) async fn replaced_id_answers_until_its_grace_ends_and_no_longer(test: &TestStore) {
    let (old, base) = test.given(r#""k":0"#).await;
    let login = test.login(r#""k":1"#);
    let new = login.id.clone();
    let grace_ends = test.after(60);
    test.store.replace(&old, grace_ends, login, test.base).await.must("replace");

    let retired = test.live(&old, test.after(59)).await.must("the old id within its grace");
    assert_eq!(retired.retires_at, Some(grace_ends));
    let answer = test.store.commit(change(&old, &base, &[("k", Some("2"))]), test.after(1)).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "a retired id took a change: {answer:?}");
    // A touch may be refused or ignored.
    let answer = test.store.touch(&old, test.after(9999), test.after(1)).await;
    assert!(matches!(answer, Ok(()) | Err(StoreError::Gone)), "{answer:?}");
    let found = test.store.load(&old, test.after(61)).await.must("load");
    let said = match test.capabilities.expiry {
        Expiry::Swept => matches!(found, Lookup::Absent(Absence::Ended)),
        Expiry::ByEngine => matches!(found, Lookup::Absent(_)),
    };
    assert!(said, "the old id after its grace: {found:?}");
    let answer = test.store.touch(&old, test.after(9999), test.after(61)).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "{answer:?}");
    assert_eq!(test.entries(&new, test.after(61)).await, r#""k":1"#);
}

pub(crate) async fn replace_refuses_a_taken_id_and_keeps_the_old_one(test: &TestStore) {
    let (old, _) = test.given(r#""k":"old""#).await;
    let (other, _) = test.given(r#""k":"other""#).await;
    let login = NewLogin { id: other.clone(), ..test.login(r#""k":"mine""#) };
    let answer = test.store.replace(&old, test.base, login, test.base).await;
    assert!(matches!(answer, Err(StoreError::Taken)), "{answer:?}");
    assert_eq!(test.entries(&old, test.base).await, r#""k":"old""#);
    assert_eq!(test.entries(&other, test.base).await, r#""k":"other""#);

    // A session that the store does not know any more can still sign in.
    let unknown = crate::contract::harness::new_id();
    let login = test.login(r#""k":"mine""#);
    let new = login.id.clone();
    test.store.replace(&unknown, test.base, login, test.base).await.must("replace of an unknown id");
    assert!(test.live(&new, test.base).await.is_some());
}

/// A logout or a revocation that comes in while a request regenerates must not be undone by it.
pub(crate) async fn replace_never_revives_an_ended_session(test: &TestStore) {
    for reason in [EndReason::Destroyed, EndReason::Revoked] {
        let (old, _) = test.given(r#""userId":"u""#).await;
        test.store.destroy(&old, reason, test.base).await.must("destroy");
        let login = test.login(r#""userId":"u""#);
        let new = login.id.clone();
        let answer = test.store.replace(&old, test.after(10), login, test.base).await;
        assert!(matches!(answer, Err(StoreError::Gone)), "a logged-out session came back: {answer:?}");
        assert!(test.live(&new, test.base).await.is_none());
        assert!(test.live(&old, test.base).await.is_none());
    }
    // Nor does an id that was regenerated away, once its grace is over.
    let (old, _) = test.given(r#""userId":"u""#).await;
    test.store.replace(&old, test.base, test.login(""), test.base).await.must("replace");
    let answer = test.store.replace(&old, test.after(20), test.login(""), test.after(10)).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "{answer:?}");
}
