//! A user's sessions: the device list, and ending them from elsewhere.

use crate::contract::harness::{Must, TestStore, change, new_id};
use sessile_core::Timestamp;
use sessile_core::login::{
    Absence, Device, DeviceHandle, EndReason, LIST_MAX, LoginId, Lookup, NewLogin, Revoked, UserId,
};

fn new_user() -> UserId {
    // An id that tries an engine's quoting as well.
    UserId::parse(format!("O'Brien é%_{}", new_id().expose())).must("a user id")
}

fn entries(user: &UserId) -> String {
    format!("\"userId\":{}", serde_json::Value::from(user.as_str()))
}

impl TestStore {
    /// A session of `user` that begins `seconds` after the base, and lives an hour from then.
    async fn given_of(&self, user: &UserId, seconds: u64) -> LoginId {
        let now = self.after(seconds);
        let mut login = self.login_until(&entries(user), self.after(seconds + 3600));
        let agent = Some(format!("agent {seconds}"));
        login.data.set_device(Device { created_at: now.unix_ms(), agent, address: None });
        let id = login.id.clone();
        self.store.create(login, now).await.must("create");
        id
    }

    async fn handles(&self, user: &UserId, now: Timestamp) -> Vec<DeviceHandle> {
        let listed = self.store.list(user, now).await.must("list");
        listed.into_iter().map(|login| login.handle).collect()
    }
}

pub(crate) async fn list_shows_a_users_sessions_newest_first(test: &TestStore) {
    let (user, other) = (new_user(), new_user());
    let a = test.given_of(&user, 0).await;
    let b = test.given_of(&user, 120).await;
    let c = test.given_of(&user, 240).await;
    let stranger = test.given_of(&other, 60).await;
    let now = test.after(300);
    let expected: Vec<_> = [&c, &b, &a].map(LoginId::handle).into();
    assert_eq!(test.handles(&user, now).await, expected);
    assert_eq!(test.handles(&other, now).await, [stranger.handle()]);

    // Using the oldest one makes it the newest.
    test.store.touch(&a, test.after(480 + 3600), test.after(480)).await.must("touch");
    let listed = test.store.list(&user, test.after(500)).await.must("list");
    let handles: Vec<_> = listed.iter().map(|login| login.handle.clone()).collect();
    assert_eq!(handles, [&a, &c, &b].map(LoginId::handle));
    assert!(listed.iter().all(|login| login.last_seen <= test.after(500)), "{listed:?}");
    assert_eq!(listed[0].expires_at, test.after(480 + 3600));
    assert_eq!(listed[0].device.as_ref().and_then(|d| d.agent.as_deref()), Some("agent 0"));

    // Neither ended, nor expired, nor regenerated sessions are shown.
    test.store.destroy(&a, EndReason::Destroyed, test.after(500)).await.must("destroy");
    let renewed = test.login_until(&entries(&user), test.after(9000));
    let new = renewed.id.clone();
    test.store.replace(&c, test.after(520), renewed, test.after(510)).await.must("replace");
    assert_eq!(test.handles(&user, test.after(515)).await, [&new, &b].map(LoginId::handle));
    assert_eq!(test.handles(&user, test.after(120 + 3601)).await, [new.handle()]);
}

pub(crate) async fn list_is_bounded(test: &TestStore) {
    let user = new_user();
    for n in 0..LIST_MAX as u64 + 3 {
        test.given_of(&user, n).await;
    }
    assert_eq!(test.handles(&user, test.after(200)).await.len(), LIST_MAX);
}

pub(crate) async fn what_lives_is_counted(test: &TestStore) {
    let user = new_user();
    let count = async |seconds| test.store.count(test.after(seconds)).await.must("count").live;
    assert_eq!(count(0).await, 0);
    let a = test.given_of(&user, 0).await;
    let b = test.given_of(&user, 120).await;
    test.given(r#""cart":[]"#).await;
    assert_eq!(count(130).await, 3);
    // An old id that still answers is no second session.
    let renewed = test.login_until(&entries(&user), test.after(9000));
    test.store.replace(&a, test.after(150), renewed, test.after(140)).await.must("replace");
    assert_eq!(count(141).await, 3);
    test.store.destroy(&b, EndReason::Destroyed, test.after(150)).await.must("destroy");
    assert_eq!(count(151).await, 2);
}

pub(crate) async fn list_follows_the_user_that_a_commit_sets(test: &TestStore) {
    let (first, second) = (new_user(), new_user());
    let (id, base) = test.given(r#""cart":[]"#).await;
    assert!(test.handles(&first, test.base).await.is_empty());
    let is = |user: &UserId| serde_json::Value::from(user.as_str()).to_string();
    for (user, other) in [(&first, &second), (&second, &first)] {
        let edit = change(&id, &base, &[("userId", Some(&is(user)))]);
        test.store.commit(edit, test.base).await.must("commit");
        assert_eq!(test.handles(user, test.base).await, [id.handle()]);
        assert!(test.handles(other, test.base).await.is_empty(), "still listed under the user it had before");
    }
    test.store.commit(change(&id, &base, &[("userId", None)]), test.base).await.must("commit");
    assert!(test.handles(&second, test.base).await.is_empty());
    assert_eq!(test.store.revoke_all(&second, None, test.base).await.must("revoke_all"), 0);
    assert!(test.live(&id, test.base).await.is_some());
}

async fn assert_ended(test: &TestStore, id: &LoginId) {
    let found = test.store.load(id, test.base).await.must("load");
    assert!(matches!(found, Lookup::Absent(Absence::Ended)), "{found:?}");
    let again = NewLogin { id: id.clone(), ..test.login("") };
    assert!(test.store.create(again, test.base).await.is_err(), "a revoked id was given out again");
}

pub(crate) async fn revoke_ends_that_session_only(test: &TestStore) {
    let user = new_user();
    let (a, b) = (test.given_of(&user, 0).await, test.given_of(&user, 0).await);
    let revoke = async || test.store.revoke(&user, &a.handle(), test.base).await.must("revoke");
    assert_eq!(revoke().await, Revoked::Yes);
    assert_ended(test, &a).await;
    assert!(test.live(&b, test.base).await.is_some());
    assert_eq!(revoke().await, Revoked::NoSuchSession, "it was ended before");
    assert_eq!(test.handles(&user, test.base).await, [b.handle()]);
}

pub(crate) async fn revoke_refuses_another_users_handle(test: &TestStore) {
    let (user, other) = (new_user(), new_user());
    let id = test.given_of(&user, 0).await;
    test.given_of(&other, 0).await;
    let answer = test.store.revoke(&other, &id.handle(), test.base).await.must("revoke");
    assert_eq!(answer, Revoked::NoSuchSession);
    let answer = test.store.revoke(&user, &new_id().handle(), test.base).await.must("revoke");
    assert_eq!(answer, Revoked::NoSuchSession);
    assert!(test.live(&id, test.base).await.is_some());
}

pub(crate) async fn revoke_all_spares_the_current_one(test: &TestStore) {
    let (user, other) = (new_user(), new_user());
    let current = test.given_of(&user, 0).await;
    let (a, b) = (test.given_of(&user, 0).await, test.given_of(&user, 0).await);
    let stranger = test.given_of(&other, 0).await;
    // An id within its grace ends with the others, but is the same session as its successor.
    let renewed = test.login(&entries(&user));
    let new = renewed.id.clone();
    test.store.replace(&a, test.after(60), renewed, test.base).await.must("replace");

    let ended = test.store.revoke_all(&user, Some(&current), test.base).await.must("revoke_all");
    assert_eq!(ended, 2);
    assert_ended(test, &b).await;
    assert_ended(test, &new).await;
    assert!(test.live(&a, test.base).await.is_none(), "a retired id outlived the revocation");
    assert!(test.live(&current, test.base).await.is_some());
    assert!(test.live(&stranger, test.base).await.is_some());
    assert_eq!(test.store.revoke_all(&user, None, test.base).await.must("revoke_all"), 1);
    assert!(test.handles(&user, test.base).await.is_empty());
}
