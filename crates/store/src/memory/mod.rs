//! Login sessions in this process's memory, for tests and as a last resort: they end with the process.
//!
//! The plainest reading of the contract, so that the other engines have something to be compared with. One lock
//! around everything; whoever needs speed or durability uses another engine. It never blocks on anything else.

mod rows;

use crate::options::LoginOptions;
use async_trait::async_trait;
use parking_lot::Mutex;
use rows::Rows;
use sessile_core::login::{
    Absence, DeviceHandle, EVENTS_MAX, EndReason, LIST_MAX, ListedLogin, LoginChange, LoginCount, LoginEvent,
    LoginEventKind, LoginId, LoginStore, Lookup, NewLogin, Persistence, Revoked, StoreInfo, Stored, Swept,
    UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// Login sessions that end with the process.
#[derive(Debug)]
pub struct MemoryLogins(Mutex<Rows>);

impl MemoryLogins {
    /// An empty store.
    ///
    /// ```
    /// use sessile_core::login::LoginStore;
    /// let store = sessile_store::memory::MemoryLogins::new(sessile_store::LoginOptions::default());
    /// assert_eq!(store.info().engine, "memory");
    /// ```
    #[must_use]
    pub fn new(options: LoginOptions) -> Self {
        Self(Mutex::new(Rows::new(options)))
    }
}

#[async_trait]
impl LoginStore for MemoryLogins {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.0.lock().insert(login, LoginEventKind::Created, now)
    }

    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        let rows = self.0.lock();
        Ok(match rows.get(id) {
            Some(stored) if stored.expires_at > now => Lookup::Live(stored.clone()),
            Some(stored) if stored.retires_at.is_some() => Lookup::Absent(Absence::Ended),
            Some(_) => Lookup::Absent(Absence::Expired),
            None if rows.has_ended(id) => Lookup::Absent(Absence::Ended),
            None => Lookup::Absent(Absence::Unknown),
        })
    }

    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.0.lock().update(&change, now)
    }

    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.0.lock().extend(id, expires_at, now)
    }

    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        let mut rows = self.0.lock();
        if !rows.holds(&login) && rows.is_over(old, now) {
            return Err(StoreError::Gone);
        }
        let stored = rows.insert(login, LoginEventKind::Regenerated, now)?;
        rows.retire(old, retires_at);
        Ok(stored)
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.0.lock().end(id, reason, now);
        Ok(())
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        let mut listed = self.0.lock().of_user(user, now);
        listed.sort_by_key(|(_, login)| std::cmp::Reverse(login.last_seen));
        listed.truncate(LIST_MAX);
        Ok(listed.into_iter().map(|(_, login)| login).collect())
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let mut rows = self.0.lock();
        let named = rows.of_user(user, now).into_iter().find(|(_, login)| login.handle == *handle);
        Ok(match named {
            Some((id, _)) => {
                rows.end(&id, EndReason::Revoked, now);
                Revoked::Yes
            }
            None => Revoked::NoSuchSession,
        })
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        Ok(self.0.lock().end_all(user, except, now))
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        Ok(self.0.lock().sweep(now, batch))
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        Ok(LoginCount { live: self.0.lock().live(now), more: false })
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        Ok(self.0.lock().oldest_events(limit.min(EVENTS_MAX)))
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.0.lock().forget_events(events);
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "memory",
            place: "this process".to_owned(),
            persistence: Persistence::Ephemeral,
            degraded: None,
        }
    }
}
