//! The sessions themselves: what the memory engine holds under its lock. Plain functions on plain maps, each one
//! transaction because the caller holds the lock; nothing here waits.

use crate::options::{Choice, LoginOptions};
use sessile_core::login::{
    EndReason, ListedLogin, LoginChange, LoginEvent, LoginEventKind, LoginId, NewLogin, Stored, Swept,
    UserId, Version,
};
use sessile_core::{StoreError, Timestamp};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long an ended id is remembered beyond its expiry, and one that was never seen from its end on.
const ENDED_KEPT: Duration = Duration::from_secs(86_400);
/// Events that wait at most; beyond that the oldest is dropped, since nobody takes them.
const EVENTS_KEPT_MAX: usize = 100_000;

#[derive(Debug)]
struct Row {
    stored: Arc<Stored>,
    seen_at: Timestamp,
    user: Option<UserId>,
}

/// Sessions, ended ids and untaken events.
#[derive(Debug)]
pub(super) struct Rows {
    user_key: String,
    rows: HashMap<LoginId, Row>,
    /// Ended ids, and when each may be forgotten.
    ended: HashMap<LoginId, Timestamp>,
    events: Option<VecDeque<LoginEvent>>,
    event_last: u64,
    version_last: u64,
}

impl Rows {
    pub(super) fn new(options: LoginOptions) -> Self {
        Self {
            user_key: options.user_key,
            rows: HashMap::new(),
            ended: HashMap::new(),
            events: (options.events == Choice::Yes).then(VecDeque::new),
            event_last: 0,
            version_last: 0,
        }
    }

    pub(super) fn get(&self, id: &LoginId) -> Option<&Arc<Stored>> {
        self.rows.get(id).map(|row| &row.stored)
    }

    pub(super) fn has_ended(&self, id: &LoginId) -> bool {
        self.ended.contains_key(id)
    }

    /// Whether the id was ended, or regenerated away and its grace is over.
    pub(super) fn is_over(&self, id: &LoginId, now: Timestamp) -> bool {
        match self.get(id) {
            Some(stored) => stored.retires_at.is_some_and(|retires_at| retires_at <= now),
            None => self.has_ended(id),
        }
    }

    /// Whether this very session is stored already: the same call came before and its answer was lost.
    pub(super) fn holds(&self, login: &NewLogin) -> bool {
        self.get(&login.id).is_some_and(|stored| {
            stored.expires_at == login.expires_at && stored.data.to_json() == login.data.to_json()
        })
    }

    pub(super) fn insert(
        &mut self,
        login: NewLogin,
        kind: LoginEventKind,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        if self.has_ended(&login.id) {
            return Err(StoreError::Taken);
        }
        if let Some(stored) = self.get(&login.id) {
            return if self.holds(&login) { Ok(stored.clone()) } else { Err(StoreError::Taken) };
        }
        let user = login.data.user(&self.user_key);
        let stored = Arc::new(Stored {
            data: login.data,
            expires_at: login.expires_at,
            version: self.next_version(),
            retires_at: None,
        });
        self.tell(kind, &login.id, user.clone(), now);
        let row = Row { stored: stored.clone(), seen_at: now, user };
        self.rows.insert(login.id, row);
        Ok(stored)
    }

    pub(super) fn update(&mut self, change: &LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        let version = self.next_version();
        let row = self.rows.get_mut(&change.id).ok_or(StoreError::Gone)?;
        if row.stored.expires_at <= now || row.stored.retires_at.is_some() {
            return Err(StoreError::Gone);
        }
        let (data, _) = change.apply(&row.stored.data)?;
        row.user = data.user(&self.user_key);
        row.seen_at = now;
        row.stored = Arc::new(Stored { data, expires_at: change.expires_at, version, retires_at: None });
        Ok(row.stored.clone())
    }

    pub(super) fn extend(
        &mut self,
        id: &LoginId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = self.rows.get_mut(id).filter(|row| row.stored.expires_at > now).ok_or(StoreError::Gone)?;
        if row.stored.retires_at.is_none() {
            let stored = Arc::make_mut(&mut row.stored);
            stored.expires_at = stored.expires_at.max(expires_at);
            row.seen_at = row.seen_at.max(now);
        }
        Ok(())
    }

    /// The earliest of several retirements counts.
    pub(super) fn retire(&mut self, id: &LoginId, retires_at: Timestamp) {
        if let Some(row) = self.rows.get_mut(id) {
            let stored = Arc::make_mut(&mut row.stored);
            stored.expires_at = stored.expires_at.min(retires_at);
            stored.retires_at = Some(stored.expires_at);
        }
    }

    pub(super) fn end(&mut self, id: &LoginId, reason: EndReason, now: Timestamp) {
        let row = self.rows.remove(id);
        let expiry = row.as_ref().map_or(now, |row| row.stored.expires_at).max(now);
        let kept = self.ended.entry(id.clone()).or_insert(now);
        *kept = expiry.plus(ENDED_KEPT).max(*kept);
        // A retired id goes on under its new one: nothing to tell.
        if let Some(row) = row.filter(|row| row.stored.retires_at.is_none()) {
            let live = row.stored.expires_at > now;
            self.tell(if live { reason.into() } else { LoginEventKind::Expired }, id, row.user, now);
        }
    }

    pub(super) fn end_all(&mut self, user: &UserId, except: Option<&LoginId>, now: Timestamp) -> u64 {
        let theirs = |(id, row): &(&LoginId, &Row)| {
            row.user.as_ref() == Some(user) && Some(*id) != except && row.stored.expires_at > now
        };
        let ids: Vec<(LoginId, bool)> = self
            .rows
            .iter()
            .filter(theirs)
            .map(|(id, row)| (id.clone(), row.stored.retires_at.is_none()))
            .collect();
        ids.iter().for_each(|(id, _)| self.end(id, EndReason::Revoked, now));
        ids.iter().filter(|(_, counts)| *counts).count() as u64
    }

    /// A user's live sessions; ids that were regenerated away are not shown.
    pub(super) fn of_user(&self, user: &UserId, now: Timestamp) -> Vec<(LoginId, ListedLogin)> {
        let live = |row: &Row| row.stored.expires_at > now && row.stored.retires_at.is_none();
        self.rows
            .iter()
            .filter(|(_, row)| row.user.as_ref() == Some(user) && live(row))
            .map(|(id, row)| {
                let listed = ListedLogin {
                    handle: id.handle(),
                    expires_at: row.stored.expires_at,
                    last_seen: row.seen_at,
                    device: row.stored.data.device(),
                };
                (id.clone(), listed)
            })
            .collect()
    }

    pub(super) fn live(&self, now: Timestamp) -> u64 {
        let live = |row: &&Row| row.stored.expires_at > now && row.stored.retires_at.is_none();
        self.rows.values().filter(live).count() as u64
    }

    pub(super) fn sweep(&mut self, now: Timestamp, batch: usize) -> Swept {
        self.ended.retain(|_, kept| *kept > now);
        let over = self.rows.iter().filter(|(_, row)| row.stored.expires_at <= now);
        let ids: Vec<LoginId> = over.take(batch).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            let Some(row) = self.rows.remove(id) else { continue };
            if row.stored.retires_at.is_some() {
                self.ended.insert(id.clone(), now.plus(ENDED_KEPT));
            } else {
                self.tell(LoginEventKind::Expired, id, row.user, now);
            }
        }
        Swept { removed: ids.len() as u64, more: ids.len() == batch }
    }

    pub(super) fn oldest_events(&self, limit: usize) -> Vec<LoginEvent> {
        self.events.iter().flatten().take(limit).cloned().collect()
    }

    pub(super) fn forget_events(&mut self, taken: &[LoginEvent]) {
        let taken: HashSet<&str> = taken.iter().map(|event| event.id.as_str()).collect();
        if let Some(events) = &mut self.events {
            events.retain(|event| !taken.contains(event.id.as_str()));
        }
    }

    fn tell(&mut self, kind: LoginEventKind, id: &LoginId, user: Option<UserId>, at: Timestamp) {
        let Some(events) = &mut self.events else { return };
        if events.len() == EVENTS_KEPT_MAX {
            events.pop_front();
            tracing::warn!(kept = EVENTS_KEPT_MAX, "nobody takes login events: the oldest was dropped");
        }
        self.event_last += 1;
        events.push_back(LoginEvent { id: self.event_last.to_string(), kind, handle: id.handle(), user, at });
    }

    fn next_version(&mut self) -> Version {
        self.version_last += 1;
        Version(self.version_last)
    }
}
