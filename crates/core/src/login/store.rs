//! Where login sessions live: the contract every engine passes, and the values that cross it.

use super::change::LoginChange;
use super::data::{Device, LoginData};
use super::id::{DeviceHandle, LoginId, UserId};
use crate::store::StoreError;
use crate::time::Timestamp;
use async_trait::async_trait;
use std::fmt;
use std::sync::Arc;

/// Sessions that one list shows at most.
pub const LIST_MAX: usize = 100;
/// Events that one read returns at most.
pub const EVENTS_MAX: usize = 1000;

/// What an engine compares to see whether a stored session changed. Opaque: a counter, a row version, a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

/// A session as the store holds it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its data.
    pub data: LoginData,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What a commit is compared with.
    pub version: Version,
    /// Set when the id was regenerated away and answers only until then.
    pub retires_at: Option<Timestamp>,
}

/// What a load found.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The session, live at the moment that was asked for.
    Live(Arc<Stored>),
    /// No session, and why.
    Absent(Absence),
}

/// Why there is no session under an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// Never heard of, or long forgotten.
    Unknown,
    /// Its time is up, swept or not.
    Expired,
    /// Logged out, revoked or regenerated away.
    Ended,
    /// The stored value cannot be read; it is kept as it is at this place.
    Undecodable(String),
}

/// A session to be created.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// Its id.
    pub id: LoginId,
    /// Its data, with the cookie's attributes and the device.
    pub data: LoginData,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why a session is ended by hand; the event that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The visitor logged out.
    Destroyed,
    /// Somebody revoked it from elsewhere.
    Revoked,
}

/// One row of a user's device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLogin {
    /// Names the session to its owner.
    pub handle: DeviceHandle,
    /// When it ends.
    pub expires_at: Timestamp,
    /// About when it was last used: as exact as the touch interval.
    pub last_seen: Timestamp,
    /// The device, when one of us has written the session.
    pub device: Option<Device>,
}

/// What one batch of sweeping did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Sessions removed.
    pub removed: u64,
    /// Whether the batch was full, so that there may be more.
    pub more: bool,
}

/// How many sessions there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginCount {
    /// Live ones.
    pub live: u64,
    /// Whether there may be more: an engine without an index stops counting at its bound.
    pub more: bool,
}

/// Something that happened to a session, kept in the outbox until somebody has taken it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginEvent {
    /// Names the event to [`LoginStore::settle`]; rises with time within one engine.
    pub id: String,
    /// What happened.
    pub kind: LoginEventKind,
    /// To which session.
    pub handle: DeviceHandle,
    /// Whose it is, where that is known.
    pub user: Option<UserId>,
    /// When.
    pub at: Timestamp,
}

/// What can happen to a login session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginEventKind {
    /// It began.
    Created,
    /// It got a new id (told about the new one).
    Regenerated,
    /// Its visitor logged out.
    Destroyed,
    /// Its time was up and it was swept.
    Expired,
    /// It was ended from elsewhere.
    Revoked,
}

impl LoginEventKind {
    /// `login.created` and so on: the name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "login.created",
            Self::Regenerated => "login.regenerated",
            Self::Destroyed => "login.destroyed",
            Self::Expired => "login.expired",
            Self::Revoked => "login.revoked",
        }
    }

    /// The reverse of [`LoginEventKind::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Created, Self::Regenerated, Self::Destroyed, Self::Expired, Self::Revoked]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl From<EndReason> for LoginEventKind {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Destroyed => Self::Destroyed,
            EndReason::Revoked => Self::Revoked,
        }
    }
}

impl fmt::Display for LoginEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which store is in use, for logs, `/readyz` and `doctor`. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInfo {
    /// `postgres`, `sqlite`, `redis` or `memory`.
    pub engine: &'static str,
    /// Host and database, or file; no credentials.
    pub place: String,
    /// Whether sessions outlive this process.
    pub persistence: Persistence,
    /// Set while a fallback stands in for the primary, with the reason.
    pub degraded: Option<String>,
}

/// Whether what is stored outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It does.
    Durable,
    /// It does not.
    Ephemeral,
}

/// Durable home of login sessions. An engine is a `LoginStore` when it passes the contract suite.
///
/// 1. `create` never overwrites: an id that exists, or was ended, is [`StoreError::Taken`].
/// 2. `commit` and `touch` only update. What was destroyed, revoked or has expired is [`StoreError::Gone`], and
///    nothing brings it back.
/// 3. `commit` merges its edits into what is stored *now*: disjoint keys of concurrent commits all survive, the
///    same key is last-committed wins. In [`super::Merge::Strict`] a session whose keys changed since they were
///    read is [`StoreError::Conflict`] and nothing changes.
/// 4. `replace` makes the new session exist before the old one ends, in one step. An old one that was ended is
///    [`StoreError::Gone`]: data of a logged-out session never moves on. The old id answers loads until
///    `retires_at`, takes no change, is prolonged by no touch, and then it is gone.
/// 5. Expiry is decided by `now` against the stored expiry, swept or not.
/// 6. [`StoreError::Unavailable`] means *unknown*: the write may have landed. Repeating the same call is safe.
/// 7. An answer of `Ok` means durable. State and event are one transaction.
/// 8. No engine reads a clock: `now` is an argument.
#[async_trait]
pub trait LoginStore: Send + Sync + 'static {
    /// Stores a new session.
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError>;
    /// Finds a session, or says why there is none.
    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError>;
    /// Merges a change into the stored session; the answer is what is stored then.
    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError>;
    /// Pushes the expiry forward, never back.
    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError>;
    /// Stores `login` and lets `old` answer until `retires_at` only.
    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError>;
    /// Ends a session; one that is not there is ended already. The id is refused for good.
    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError>;
    /// A user's live sessions, the most recently used first, [`LIST_MAX`] at most.
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError>;
    /// Ends that session of that user; says whether there was one.
    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError>;
    /// Ends all of a user's sessions but `except`; says how many.
    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Removes at most `batch` expired sessions.
    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError>;
    /// How many sessions are live, for the operator; an id that was regenerated away does not count.
    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError>;
    /// The oldest untaken events, [`EVENTS_MAX`] at most.
    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError>;
    /// Forgets events that were taken.
    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError>;
    /// Asks the engine for an answer.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Which store this is.
    fn info(&self) -> StoreInfo;
}

/// What [`LoginStore::revoke`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The session was live and is ended.
    Yes,
    /// That user has no such session.
    NoSuchSession,
}
