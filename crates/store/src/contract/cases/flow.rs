//! The login service on top of the engine, with a fault at every call in turn: before the write, and after it.

use crate::contract::faulty::{Fault, FaultyStore, Moment, Trouble};
use crate::contract::harness::{Must, TestStore, new_id};
use sessile_core::login::{
    CookieOut, CookiePolicy, CookieSigner, LoginPolicy, LoginSession, Logins, Plan, UserId, Write,
};
use sessile_core::{ManualClock, OsEntropy, SecretList, StoreError};
use std::sync::Arc;

/// Calls to try at most; the flow below makes far fewer.
const CALLS_MAX: u64 = 100;
/// How often one write is repeated; one fault needs one repetition.
const ATTEMPTS_MAX: usize = 3;

fn logins(test: &TestStore, store: Arc<FaultyStore>) -> Logins {
    let secrets = SecretList::parse("a secret of this test that is long enough").must("a secret");
    let policy = LoginPolicy::new(CookiePolicy::plain_http());
    let clock = Arc::new(ManualClock::at(test.base));
    Logins::new(store, policy, CookieSigner::new(&secrets), clock, Arc::new(OsEntropy))
}

fn same(write: &Write) -> Write {
    match write {
        Write::Nothing => Write::Nothing,
        Write::Create(login) => Write::Create(login.clone()),
        Write::Commit(change) => Write::Commit(change.clone()),
        Write::Touch(id, expires_at) => Write::Touch(id.clone(), *expires_at),
        Write::Replace { old, retires_at, login } => {
            Write::Replace { old: old.clone(), retires_at: *retires_at, login: login.clone() }
        }
        Write::Destroy(id) => Write::Destroy(id.clone()),
    }
}

/// One visitor's browser, which repeats what was not answered.
struct Browser<'t> {
    logins: &'t Logins,
    cookie: Option<String>,
}

impl Browser<'_> {
    async fn request(&mut self, act: impl FnOnce(&mut LoginSession)) {
        let mut session = self.open().await;
        act(&mut session);
        let Plan { write, cookie } = self.logins.plan(&mut session).must("plan");
        self.keep(&write).await;
        let told = self.logins.carry_out(Plan { write: Write::Nothing, cookie }).await.must("the cookie");
        match told {
            CookieOut::Set { value, .. } => self.cookie = Some(value),
            CookieOut::Clear => self.cookie = None,
            CookieOut::Leave => {}
        }
    }

    async fn open(&self) -> LoginSession {
        for _ in 0..ATTEMPTS_MAX {
            let opened = self.logins.open(self.cookie.as_deref().into_iter()).await;
            if opened.fault.is_none() {
                return opened.session;
            }
        }
        panic!("the store never answered")
    }

    async fn keep(&self, write: &Write) {
        let mut unanswered = 0;
        while unanswered < ATTEMPTS_MAX {
            match self.logins.write(same(write)).await {
                Ok(_) => return,
                // The call before had landed.
                Err(StoreError::Taken) if unanswered > 0 => return,
                Err(StoreError::Unavailable(_)) => unanswered += 1,
                Err(error) => panic!("{write:?}: {error:?}"),
            }
        }
        panic!("the store never answered");
    }
}

pub(crate) async fn sign_in_survives_a_fault_at_every_call(test: &TestStore) {
    for moment in [Moment::BeforeTheWrite, Moment::AfterTheWrite] {
        let mut call = 1;
        while flow(test, Fault { call, moment }).await.has_fired() {
            call += 1;
            assert!(call < CALLS_MAX, "the flow does not end");
        }
        assert!(call > 8, "the flow made only {call} calls: it cannot have done all its steps");
    }
}

async fn flow(test: &TestStore, fault: Fault) -> Arc<FaultyStore> {
    let store = Arc::new(FaultyStore::new(test.store.clone(), Trouble::Once(fault)));
    let logins = logins(test, store.clone());
    let user = UserId::parse(new_id().expose()).must("a user id");
    let sign_in = |session: &mut LoginSession| {
        session.set("userId", user.as_str()).must("set");
        session.regenerate();
    };

    let mut phone = Browser { logins: &logins, cookie: None };
    phone.request(|session| session.set("cart", &["tea"]).must("set")).await;
    phone.request(|session| session.set("theme", "dark").must("set")).await;
    let visitor = phone.open().await.id().cloned().must("the visitor's id");
    phone.request(sign_in).await;
    phone.request(|session| session.set("seen", &true).must("set")).await;

    let mut laptop = Browser { logins: &logins, cookie: None };
    laptop.request(sign_in).await;
    let ended = laptop.open().await.id().cloned().must("the laptop's id");
    laptop.request(LoginSession::destroy).await;
    assert_eq!(laptop.cookie, None, "{fault:?}: the logout left the cookie");

    let kept = phone.open().await;
    let id = kept.id().cloned().must("a live session at the end");
    assert_ne!(id, visitor, "{fault:?}: signing in kept the id");
    let entries = kept.data().keys().collect::<Vec<_>>();
    assert_eq!(entries, ["cart", "theme", "userId", "seen"], "{fault:?}");
    let listed = test.store.list(&user, test.base).await.must("list");
    let handles: Vec<_> = listed.into_iter().map(|login| login.handle).collect();
    assert_eq!(handles, [id.handle()], "{fault:?}: exactly one session is live");
    assert!(test.live(&ended, test.base).await.is_none(), "{fault:?}: the laptop is still signed in");
    assert!(test.live(&visitor, test.after(11)).await.is_none(), "{fault:?}: the old id outlived its grace");
    store
}

pub(crate) async fn it_answers_and_says_which_store_it_is(test: &TestStore) {
    test.store.ping().await.must("ping");
    let info = test.store.info();
    assert!(["postgres", "sqlite", "redis", "memory"].contains(&info.engine), "{info:?}");
    assert!(
        !info.place.is_empty() && !info.place.contains("password") && info.degraded.is_none(),
        "{info:?}"
    );
}
