//! What has ended stays ended: destroyed, revoked and expired sessions, and calls that are repeated.

use crate::contract::harness::{Expiry, HOUR, Must, TestStore, change, entries_of, new_id};
use sessile_core::StoreError;
use sessile_core::login::{Absence, EndReason, LoginId, Lookup, NewLogin};

pub(crate) async fn commit_never_inserts(test: &TestStore) {
    let (_, base) = test.given(r#""k":0"#).await;
    let unknown = new_id();
    let answer = test.store.commit(change(&unknown, &base, &[("k", Some("1"))]), test.base).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "{answer:?}");
    let answer = test.store.touch(&unknown, test.after(7200), test.base).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "{answer:?}");
    let found = test.store.load(&unknown, test.base).await.must("load");
    assert!(matches!(found, Lookup::Absent(Absence::Unknown)), "{found:?}");
}

async fn assert_ended(test: &TestStore, id: &LoginId) {
    let found = test.store.load(id, test.base).await.must("load");
    assert!(matches!(found, Lookup::Absent(Absence::Ended)), "an ended session is said to be: {found:?}");
}

pub(crate) async fn commit_never_revives_a_destroyed_session(test: &TestStore) {
    for reason in [EndReason::Destroyed, EndReason::Revoked] {
        let (id, base) = test.given(r#""userId":"u""#).await;
        test.store.destroy(&id, reason, test.base).await.must("destroy");
        let late = change(&id, &base, &[("k", Some("1"))]);
        let answer = test.store.commit(late, test.base).await;
        assert!(matches!(answer, Err(StoreError::Gone)), "a logged-out session came back: {answer:?}");
        assert_ended(test, &id).await;
    }
}

pub(crate) async fn touch_never_revives(test: &TestStore) {
    let (id, _) = test.given(r#""userId":"u""#).await;
    test.store.destroy(&id, EndReason::Destroyed, test.base).await.must("destroy");
    let answer = test.store.touch(&id, test.after(7200), test.base).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "{answer:?}");
    assert_ended(test, &id).await;
}

pub(crate) async fn commit_after_destroy_race(test: &TestStore) {
    for round in 0..25 {
        let (id, base) = test.given(r#""userId":"u""#).await;
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let (store, now, key) = (test.store.clone(), test.base, format!("k{n}"));
                let edit = change(&id, &base, &[(&key, Some("1"))]);
                tokio::spawn(async move { store.commit(edit, now).await.map(drop) })
            })
            .collect();
        let (store, ended, now) = (test.store.clone(), id.clone(), test.base);
        let end = tokio::spawn(async move { store.destroy(&ended, EndReason::Destroyed, now).await });
        for writer in writers {
            let answer = writer.await.must("a writer");
            assert!(matches!(answer, Ok(()) | Err(StoreError::Gone)), "round {round}: {answer:?}");
        }
        end.await.must("the logout").must("destroy");
        assert_ended(test, &id).await;
        let late = test.store.commit(change(&id, &base, &[("late", Some("1"))]), test.base).await;
        assert!(matches!(late, Err(StoreError::Gone)), "round {round}: {late:?}");
    }
}

pub(crate) async fn expired_is_gone_before_the_sweep(test: &TestStore) {
    let (id, base) = test.given(r#""userId":"u""#).await;
    assert!(test.live(&id, test.after(3599)).await.is_some());
    let late = test.base.plus(HOUR).plus(std::time::Duration::from_secs(1));
    let found = test.store.load(&id, late).await.must("load");
    let said = match test.capabilities.expiry {
        Expiry::Swept => matches!(found, Lookup::Absent(Absence::Expired)),
        Expiry::ByEngine => matches!(found, Lookup::Absent(Absence::Expired | Absence::Unknown)),
    };
    assert!(said, "{found:?}");
    let answer = test.store.touch(&id, test.after(99_999), late).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "a touch revived an expired session: {answer:?}");
    let answer = test.store.commit(change(&id, &base, &[("k", Some("1"))]), late).await;
    assert!(matches!(answer, Err(StoreError::Gone)), "a commit revived an expired session: {answer:?}");
    assert!(test.live(&id, late).await.is_none());
}

pub(crate) async fn lost_reply_is_safe_to_repeat(test: &TestStore) {
    let login = test.login(r#""k":0"#);
    let id = login.id.clone();
    let base = test.store.create(login.clone(), test.base).await.must("create");
    // Repeated, a create may say that it happened or that the id is taken; it must not change anything.
    match test.store.create(login, test.base).await {
        Ok(again) => assert_eq!(entries_of(&again), r#""k":0"#),
        Err(error) => assert!(matches!(error, StoreError::Taken), "{error:?}"),
    }
    for _ in 0..2 {
        let edit = change(&id, &base, &[("k", Some("1")), ("n", Some("2"))]);
        let answer = test.store.commit(edit, test.base).await.must("commit");
        assert_eq!(entries_of(&answer), r#""k":1,"n":2"#);
    }
    for _ in 0..2 {
        test.store.touch(&id, test.after(7200), test.base).await.must("touch");
        assert_eq!(test.live(&id, test.base).await.must("live").expires_at, test.after(7200));
    }

    let renewed = NewLogin { expires_at: test.after(7200), ..test.login(r#""k":9"#) };
    for attempt in 0..2 {
        let answer = test.store.replace(&id, test.after(10), renewed.clone(), test.base).await;
        assert!(
            answer.is_ok() || (attempt > 0 && matches!(answer, Err(StoreError::Taken))),
            "attempt {attempt}: {answer:?}"
        );
        assert_eq!(test.entries(&renewed.id, test.base).await, r#""k":9"#);
        assert!(test.live(&id, test.after(9)).await.is_some());
        assert!(test.live(&id, test.after(11)).await.is_none());
    }
    for _ in 0..2 {
        test.store.destroy(&renewed.id, EndReason::Destroyed, test.base).await.must("destroy");
        assert_ended(test, &renewed.id).await;
    }
}
