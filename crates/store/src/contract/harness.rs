//! What a case is given: an engine, the moment that counts as the present, and what this engine can do. Used by the
//! cases and by whoever makes a [`TestStore`]; it knows no engine.

use crate::ends::LoginEnd;
use futures_util::future::BoxFuture;
use sessile_core::login::{
    CookieFields, Edit, LoginChange, LoginData, LoginId, LoginStore, Lookup, Merge, NewLogin, Stored,
};
use sessile_core::{OsEntropy, Timestamp};
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What one case may take.
const CASE_LIMIT: Duration = Duration::from_secs(120);
/// How long the cases' sessions live.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Overwrites the stored value of that session with something that is no session.
pub type Corrupt = Arc<dyn Fn(LoginId) -> BoxFuture<'static, ()> + Send + Sync>;
/// Opens the same place again, as another process would after this one was killed.
pub type Reopen = Arc<dyn Fn() -> BoxFuture<'static, Arc<dyn LoginStore>> + Send + Sync>;

/// Whether the engine under test was set up to record events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventLog {
    /// It was.
    Recorded,
    /// It was not, and shows none.
    Off,
}

/// Who removes expired sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// [`LoginStore::sweep`] does, and counts them.
    Swept,
    /// The engine does on its own: it may have forgotten them, and the sweep may find none.
    ByEngine,
}

/// Where engines truly differ.
#[derive(Clone)]
pub struct Capabilities {
    /// Events.
    pub events: EventLog,
    /// Expiry.
    pub expiry: Expiry,
    /// How to damage a row; `None`: the engine holds nothing that could be damaged.
    pub corrupt: Option<Corrupt>,
    /// How to come back after a restart; `None`: it forgets.
    pub reopen: Option<Reopen>,
}

/// An engine under test.
pub struct TestStore {
    /// The engine.
    pub store: Arc<dyn LoginStore>,
    /// The moment that counts as the present, in whole seconds: the clock's for an engine with a clock of its own.
    pub base: Timestamp,
    /// What it can do.
    pub capabilities: Capabilities,
    end: Option<Arc<dyn LoginEnd>>,
    guard: Box<dyn Any + Send + Sync>,
}

impl TestStore {
    /// An engine that records events, sweeps and forgets on restart, at a fixed moment of 2030.
    #[must_use]
    pub fn new(store: Arc<dyn LoginStore>) -> Self {
        Self {
            store,
            base: Timestamp::from_unix_ms(1_900_000_000_000),
            capabilities: Capabilities {
                events: EventLog::Recorded,
                expiry: Expiry::Swept,
                corrupt: None,
                reopen: None,
            },
            end: None,
            guard: Box::new(()),
        }
    }

    /// The engine is an end of moves, too.
    #[must_use]
    pub fn giving_and_taking(mut self, end: Arc<dyn LoginEnd>) -> Self {
        self.end = Some(end);
        self
    }

    /// The engine as an end of a move; `None`: it gives and takes nothing.
    pub(super) fn end(&self) -> Option<&dyn LoginEnd> {
        self.end.as_deref()
    }

    /// With another present moment; cut to whole seconds.
    #[must_use]
    pub fn at(mut self, base: Timestamp) -> Self {
        self.base = Timestamp::from_unix_ms(base.unix_seconds() * 1000);
        self
    }

    /// With other capabilities.
    #[must_use]
    pub fn with(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Keeps `guard` until the case is over; its drop cleans up.
    #[must_use]
    pub fn guarded_by(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Box::new(guard);
        self
    }

    pub(super) fn after(&self, seconds: u64) -> Timestamp {
        self.base.plus(Duration::from_secs(seconds))
    }

    /// A new session that ends an hour from the base, holding these keys next to the cookie.
    pub(super) fn login(&self, entries: &str) -> NewLogin {
        self.login_until(entries, self.base.plus(HOUR))
    }

    pub(super) fn login_until(&self, entries: &str, expires_at: Timestamp) -> NewLogin {
        let comma = if entries.is_empty() { "" } else { "," };
        let ends = expires_at.to_iso8601();
        let json = format!(
            r#"{{"cookie":{{"originalMaxAge":3600000,"expires":"{ends}","httpOnly":true,"path":"/"}}{comma}{entries}}}"#
        );
        let data = LoginData::parse(&json).must("a case's own JSON");
        NewLogin { id: new_id(), data, expires_at }
    }

    /// Stores a session with these keys.
    pub(super) async fn given(&self, entries: &str) -> (LoginId, Arc<Stored>) {
        let login = self.login(entries);
        let id = login.id.clone();
        (id, self.store.create(login, self.base).await.must("create"))
    }

    pub(super) async fn live(&self, id: &LoginId, now: Timestamp) -> Option<Arc<Stored>> {
        match self.store.load(id, now).await.must("load") {
            Lookup::Live(stored) => Some(stored),
            Lookup::Absent(_) => None,
        }
    }

    /// The keys of a session that has to be live, as JSON without the cookie.
    pub(super) async fn entries(&self, id: &LoginId, now: Timestamp) -> String {
        entries_of(&self.live(id, now).await.must("a live session"))
    }
}

/// A session's own keys as JSON, without the cookie.
pub(super) fn entries_of(stored: &Stored) -> String {
    let entry = |key: &str| format!("\"{key}\":{}", stored.data.raw(key).unwrap_or("?"));
    stored.data.keys().map(entry).collect::<Vec<_>>().join(",")
}

pub(super) fn new_id() -> LoginId {
    LoginId::generate(&OsEntropy).must("random bytes")
}

/// A change that was decided on `base`: each key is set to that JSON, or removed.
pub(super) fn change(id: &LoginId, base: &Arc<Stored>, edits: &[(&str, Option<&str>)]) -> LoginChange {
    let edit = |(key, json): &(&str, Option<&str>)| Edit {
        key: (*key).into(),
        value: json.map(|json| serde_json::from_str(json).must("a case's own JSON")),
    };
    let cookie = base.data.cookie().unwrap_or_else(no_cookie);
    LoginChange {
        id: id.clone(),
        base: base.clone(),
        edits: edits.iter().map(edit).collect(),
        cookie: cookie.ending(Some(HOUR), Some(base.expires_at)),
        device: None,
        expires_at: base.expires_at,
        merge: Merge::ByKey,
        bytes_max: 64 * 1024,
    }
}

fn no_cookie() -> CookieFields {
    serde_json::from_str("{}").must("an empty cookie")
}

/// Runs a case, but not for ever.
pub async fn within_limit(case: impl Future<Output = ()>) {
    // Boxed: a case is a large future, and a thread's stack is not.
    let case = Box::pin(case);
    if tokio::time::timeout(CASE_LIMIT, case).await.is_err() {
        panic!("the case did not end within {CASE_LIMIT:?}");
    }
}

/// A value that a case cannot go on without.
pub trait Must<T> {
    /// The value, or the end of the test with `what` was attempted and why it failed.
    fn must(self, what: &str) -> T;
}

impl<T, E: fmt::Debug> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error:?}"),
        }
    }
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    fn must(self, what: &str) -> T {
        match self {
            Some(value) => value,
            None => panic!("{what}: there is none"),
        }
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestStore({:?} at {})", self.store.info(), self.base)
    }
}
