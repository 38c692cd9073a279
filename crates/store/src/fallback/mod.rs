//! Keeps sign-ins and logouts going while the primary is away, and loses none of them.
//!
//! While the primary answers, every call goes straight to it. When it falls silent, new sessions and ends are kept
//! in a local SQLite file (durable before the answer), sessions that live there are read and changed there, and
//! whatever only the primary knows answers `Unavailable`. When it answers again, the file is drained into it. A
//! session that ended during the outage never comes back.

mod claim;
mod drain;
mod outage;
mod spool;

pub use spool::Spooled;

use crate::open::OpenError;
use crate::options::LoginOptions;
use async_trait::async_trait;
use drain::Drain;
use outage::{Mode, State};
use sessile_core::login::{
    Absence, DeviceHandle, EndReason, LIST_MAX, ListedLogin, LoginChange, LoginCount, LoginEvent, LoginId,
    LoginStore, Lookup, NewLogin, Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::{Clock, StoreError, Timestamp};
use spool::Spool;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::task::AbortHandle;

/// A primary with a local spool behind it.
pub struct Fallback {
    primary: Arc<dyn LoginStore>,
    spool: Arc<Spool>,
    state: Arc<State>,
    drain: AbortHandle,
}

impl Fallback {
    /// Puts a spool behind `primary`. The file is `spool`, or the next number beside it when another process owns
    /// that; what earlier processes left there is taken over and drained at once. Needs a runtime.
    ///
    /// # Errors
    /// [`OpenError`] when the spool cannot be opened; it says what to do.
    pub async fn open(
        primary: Arc<dyn LoginStore>,
        spool: &Path,
        options: &LoginOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let place = spool.display().to_string();
        let spool = Arc::new(Spool::open(spool, options).await?);
        let state = Arc::new(State::clear());
        let left = spool.count().map_err(|error| OpenError::unreachable(&place, &error))?;
        if left.sessions + left.ends > 0 {
            state.begin_draining("an earlier process was stopped during an outage", clock.now());
        }
        let drain = Drain { primary: primary.clone(), spool: spool.clone(), state: state.clone(), clock };
        let drain = tokio::spawn(drain.run()).abort_handle();
        Ok(Self { primary, spool, state, drain })
    }

    /// What waits for the primary; for metrics.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn spooled(&self) -> Result<Spooled, StoreError> {
        self.spool.count()
    }

    /// Passes the primary's answer on, and takes note when there was none.
    fn noted<T>(&self, answer: Result<T, StoreError>, now: Timestamp) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Unavailable(_)) = &answer {
            self.state.fall(error, now);
        }
        answer
    }

    /// Whether the spool knows this id, live or ended.
    async fn is_spooled(&self, id: &LoginId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(!matches!(self.spool.find(id, now).await?, Lookup::Absent(Absence::Unknown)))
    }

    /// Whether the primary may be asked about a session that the spool does not know.
    fn reachable(&self) -> Result<(), StoreError> {
        if self.state.mode() == Mode::Down { Err(self.state.unavailable()) } else { Ok(()) }
    }

    /// Asks the primary for something that the spool cannot stand in for.
    async fn only_primary<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
        now: Timestamp,
    ) -> Result<T, StoreError> {
        self.reachable()?;
        self.noted(call.await, now)
    }
}

/// The primary's answer, unless it gave none.
macro_rules! answered {
    ($self:ident, $now:expr, $call:expr) => {
        match $self.noted($call.await, $now) {
            Err(StoreError::Unavailable(_)) => {}
            answer => return answer,
        }
    };
}

#[async_trait]
impl LoginStore for Fallback {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        if self.state.mode() == Mode::Clear {
            // It may have landed all the same: from here on the spool has it, and the drain sees that it is the same.
            answered!(self, now, self.primary.create(login.clone(), now));
        }
        let _entered = self.state.enter(now).await;
        if self.state.mode() == Mode::Draining && !self.is_spooled(&login.id, now).await? {
            answered!(self, now, self.primary.create(login.clone(), now));
        }
        self.spool.create(login, now).await
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        if self.state.mode() != Mode::Clear {
            // The spool first: what leaves it is in the primary before.
            match self.spool.find(id, now).await? {
                Lookup::Absent(Absence::Unknown) => {}
                found => return Ok(found),
            }
        }
        self.only_primary(self.primary.load(id, now), now).await
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        if self.state.mode() == Mode::Clear {
            return self.noted(self.primary.commit(change, now).await, now);
        }
        let _guard = self.state.guard(&change.id).await;
        if self.is_spooled(&change.id, now).await? {
            return self.spool.commit(change, now).await;
        }
        self.only_primary(self.primary.commit(change, now), now).await
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        if self.state.mode() == Mode::Clear {
            return self.noted(self.primary.touch(id, expires_at, now).await, now);
        }
        let _guard = self.state.guard(id).await;
        if self.is_spooled(id, now).await? {
            return self.spool.touch(id, expires_at, now).await;
        }
        self.only_primary(self.primary.touch(id, expires_at, now), now).await
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        if self.state.mode() == Mode::Clear {
            answered!(self, now, self.primary.replace(old, retires_at, login.clone(), now));
        }
        let _entered = self.state.enter(now).await;
        let _guard = self.state.guard(old).await;
        let spooled = self.is_spooled(old, now).await? || self.is_spooled(&login.id, now).await?;
        if self.state.mode() == Mode::Draining && !spooled {
            answered!(self, now, self.primary.replace(old, retires_at, login.clone(), now));
        }
        self.spool.replace(old, retires_at, login, now).await
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        if self.state.mode() == Mode::Clear {
            answered!(self, now, self.primary.destroy(id, reason, now));
        }
        let _entered = self.state.enter(now).await;
        let _guard = self.state.guard(id).await;
        if self.state.mode() == Mode::Draining && !self.is_spooled(id, now).await? {
            answered!(self, now, self.primary.destroy(id, reason, now));
        }
        self.spool.end(id, reason, now).await
    }

    /// While the primary is away there is no list: half of one would look like the whole.
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        let mut listed = self.only_primary(self.primary.list(user, now), now).await?;
        if self.state.mode() == Mode::Clear {
            return Ok(listed);
        }
        let (ends, spooled) = (self.spool.ends(usize::MAX)?, self.spool.list(user, now).await?);
        let here = |handle: &DeviceHandle| spooled.iter().any(|login| login.handle == *handle);
        let ended = |handle: &DeviceHandle| ends.iter().any(|(id, _)| id.handle() == *handle);
        listed.retain(|login| !here(&login.handle) && !ended(&login.handle));
        listed.extend(spooled);
        listed.sort_by_key(|login| std::cmp::Reverse(login.last_seen));
        listed.truncate(LIST_MAX);
        Ok(listed)
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        if self.state.mode() != Mode::Clear {
            let _entered = self.state.enter(now).await;
            if self.spool.revoke(user, handle, now).await? == Revoked::Yes {
                return Ok(Revoked::Yes);
            }
        }
        self.only_primary(self.primary.revoke(user, handle, now), now).await
    }

    /// Ends what is spooled in any case; only the primary knows the rest, so its silence is the answer.
    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut ended = 0;
        if self.state.mode() != Mode::Clear {
            let _entered = self.state.enter(now).await;
            for (id, retired) in self.spool.ids_of(user, now)? {
                if Some(&id) != except {
                    let _guard = self.state.guard(&id).await;
                    self.spool.end(&id, EndReason::Revoked, now).await?;
                    ended += u64::from(!retired);
                }
            }
        }
        Ok(ended + self.only_primary(self.primary.revoke_all(user, except, now), now).await?)
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.only_primary(self.primary.sweep(now, batch), now).await
    }

    /// What waits in the spool is counted once it is handed over.
    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        self.reachable()?;
        self.primary.count(now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.reachable()?;
        self.primary.events(limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.reachable()?;
        self.primary.settle(events).await
    }

    /// Sign-ins go on while one of the two answers; [`LoginStore::info`] says that it is only one.
    async fn ping(&self) -> Result<(), StoreError> {
        if self.state.mode() != Mode::Down && self.primary.ping().await.is_ok() {
            return Ok(());
        }
        self.spool.ping().await
    }

    fn info(&self) -> StoreInfo {
        StoreInfo { degraded: self.state.reason(), ..self.primary.info() }
    }
}

impl Drop for Fallback {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("info", &self.info()).field("mode", &self.state.mode()).finish()
    }
}
