//! Batches of loads, swaps, touches and creations, and the end of a session. One script call for a whole batch on a
//! single server; on Cluster one per session, all in flight together.

use super::keys::{Keys, Names};
use super::look::{self, Seen, version};
use super::outbox::{self, Told};
use super::people;
use super::scripts::{Lua, Scripts};
use super::server::Server;
use super::sweep::{self, Round};
use super::wire::{items, number};
use crate::group::{Extended, Found, Insert, Inserted, LoginEngine, Swap, Swapped};
use crate::options::{Choice, Layout, LoginOptions};
use async_trait::async_trait;
use redis::Cmd;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginCount, LoginEvent, LoginEventKind, LoginId,
    Names as KeptNames, Persistence, Revoked, StoreInfo, Swept, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::time::Duration;
use tokio::sync::Mutex;

/// Ended ids are remembered this long after their session would have expired, against late writers.
pub(super) const REMEMBER: Duration = Duration::from_secs(86_400);

/// One key prefix on one server or Cluster.
pub(crate) struct RedisEngine {
    server: Server,
    pub(super) scripts: Scripts,
    pub(super) names: Names,
    layout: Layout,
    pub(super) events: Choice,
    pub(super) user_key: String,
    pub(super) round: Mutex<Round>,
}

/// One item of a script: its id, which of its keys the script takes, and its own arguments.
pub(super) struct Item<'a, const ARGS: usize> {
    pub(super) id: &'a LoginId,
    pub(super) args: [String; ARGS],
}

/// What became of an id that was to retire.
#[derive(PartialEq, Eq)]
enum Retired {
    Yes,
    /// Somebody ended it meanwhile.
    WasEnded,
}

/// Which keys of a session a script takes, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// The session and its mark.
    Two,
    /// Its events as well.
    Three,
}

impl RedisEngine {
    pub(super) fn new(server: Server, scripts: Scripts, names: Names, options: &LoginOptions) -> Self {
        Self {
            server,
            scripts,
            names,
            layout: options.layout,
            events: options.events,
            user_key: options.user_key.clone(),
            round: Mutex::new(Round::default()),
        }
    }

    /// What a caller's id is stored as. Everything below the engine's own calls knows only this one.
    pub(super) fn stored(&self, id: &LoginId) -> LoginId {
        match self.layout {
            Layout::Shared => id.clone(),
            // A hash is letters, digits, `-` and `_`, so it always can be a name.
            Layout::StandAlone => LoginId::parse(&id.hashed()).unwrap_or_else(|| id.clone()),
        }
    }

    fn all_stored<'a>(&self, ids: impl Iterator<Item = &'a LoginId>) -> Vec<LoginId> {
        ids.map(|id| self.stored(id)).collect()
    }

    /// The handle of the session that is stored as `id`.
    pub(super) fn handle(&self, id: &LoginId) -> DeviceHandle {
        match self.layout {
            Layout::Shared => id.handle(),
            Layout::StandAlone => DeviceHandle::of_hash(id.expose()),
        }
    }

    /// Which names these keys hold.
    pub(super) const fn kept_names(&self) -> KeptNames {
        match self.layout {
            Layout::Shared => KeptNames::Plain,
            Layout::StandAlone => KeptNames::Hashed,
        }
    }

    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Whether the keys of that session can be together.
    pub(super) fn can_place(&self, id: &LoginId) -> bool {
        self.server.is_single() || self.names.shares_slot(id)
    }

    /// The ids' places, grouped by what one command may name. Ids that Cluster cannot place are in no group.
    pub(super) fn groups<'a>(&self, ids: impl Iterator<Item = &'a LoginId>) -> Vec<Vec<usize>> {
        if self.server.is_single() {
            let all: Vec<usize> = ids.enumerate().map(|(at, _)| at).collect();
            return if all.is_empty() { Vec::new() } else { vec![all] };
        }
        ids.enumerate().filter(|(_, id)| self.can_place(id)).map(|(at, _)| vec![at]).collect()
    }

    /// Runs a script over all items; the answer is its number for each, 0 for an id that cannot be placed.
    pub(super) async fn run<const ARGS: usize>(
        &self,
        script: &Lua,
        takes: Takes,
        common: &[String],
        items_of: &[Item<'_, ARGS>],
        (before, after): (Vec<Cmd>, Vec<Cmd>),
    ) -> Result<Vec<i64>, StoreError> {
        let groups = self.groups(items_of.iter().map(|item| item.id));
        let mut calls = Vec::with_capacity(groups.len());
        for group in &groups {
            let keys: Vec<Keys> = group.iter().map(|&at| self.names.keys(items_of[at].id)).collect();
            let mut names: Vec<&str> = Vec::with_capacity(keys.len() * 3);
            for key in &keys {
                names.extend([key.session.as_str(), key.mark.as_str()]);
                if takes == Takes::Three {
                    names.push(&key.events);
                }
            }
            let own = group.iter().flat_map(|&at| &items_of[at].args);
            let args: Vec<&str> = common.iter().chain(own).map(String::as_str).collect();
            calls.push(script.call(&names, &args));
        }
        let mut numbers = vec![0; items_of.len()];
        let answers = self.server.in_order(before, calls, after).await?;
        for (group, answer) in groups.iter().zip(answers) {
            let answers = items(answer);
            if answers.len() != group.len() {
                return Err(self.server.odd());
            }
            for (&at, answer) in group.iter().zip(answers) {
                numbers[at] = number(&answer).ok_or_else(|| self.server.odd())?;
            }
        }
        Ok(numbers)
    }

    pub(super) async fn look(&self, ids: &[LoginId]) -> Result<Vec<Seen>, StoreError> {
        look::look(self, ids).await
    }

    async fn look_at(&self, id: &LoginId) -> Result<Seen, StoreError> {
        self.look(std::slice::from_ref(id)).await?.pop().ok_or_else(|| self.server.odd())
    }

    /// Creates, and tells `kind`. The user's index is written first: a hint may lack its session, never the reverse.
    async fn make(
        &self,
        inserts: &[&Insert<'_>],
        kind: LoginEventKind,
        now: Timestamp,
    ) -> Result<Vec<Inserted>, StoreError> {
        let mut before = Vec::with_capacity(inserts.len());
        let mut items = Vec::with_capacity(inserts.len());
        let ids = self.all_stored(inserts.iter().map(|insert| &insert.login.id));
        for (insert, id) in inserts.iter().zip(&ids) {
            let expires_at = insert.login.expires_at;
            let indexed = insert.user.iter().filter(|_| self.can_place(id));
            before.extend(indexed.map(|user| people::index(self, user, id, expires_at)));
            let event = outbox::entry(self, &Told { kind, id, user: insert.user.as_ref(), at: now });
            items.push(Item { id, args: [insert.json.to_owned(), moment(expires_at), event] });
        }
        let after = outbox::due(self, items.iter().map(|item| item.id));
        let made = self.run(&self.scripts.insert, Takes::Three, &[], &items, (before, after)).await?;
        let answer = |(insert, made): (&&Insert<'_>, i64)| match made {
            1 => Inserted::Done(version(insert.json)),
            _ => Inserted::Taken,
        };
        Ok(inserts.iter().zip(made).map(answer).collect())
    }

    /// Lets an id answer until `retires_at` only, and remembers that.
    async fn retire(&self, id: &LoginId, retires_at: Timestamp) -> Result<Retired, StoreError> {
        let (keys, remember) = (self.names.keys(id), REMEMBER.as_millis().to_string());
        let args = [&*moment(retires_at), &*remember];
        let call = self.scripts.retire.call(&[&keys.session, &keys.mark], &args);
        match number(&self.server.one(call).await?) {
            Some(1) => Ok(Retired::Yes),
            Some(0) => Ok(Retired::WasEnded),
            _ => Err(self.server.odd()),
        }
    }

    /// Ends sessions; says of each whether it was live.
    pub(super) async fn end(
        &self,
        sessions: &[(LoginId, Option<UserId>)],
        reason: EndReason,
        now: Timestamp,
    ) -> Result<Vec<bool>, StoreError> {
        let item = |(id, user): &'_ (LoginId, Option<UserId>)| {
            let event = |kind| outbox::entry(self, &Told { kind, id, user: user.as_ref(), at: now });
            [event(reason.into()), event(LoginEventKind::Expired)]
        };
        let items: Vec<Item<'_, 2>> =
            sessions.iter().map(|pair| Item { id: &pair.0, args: item(pair) }).collect();
        let mut after = outbox::due(self, sessions.iter().map(|(id, _)| id));
        let indexed = sessions.iter().filter_map(|(id, user)| Some((id, user.as_ref()?)));
        after.extend(indexed.map(|(id, user)| people::forget(self, user, id)));
        let common = [moment(now), REMEMBER.as_millis().to_string()];
        let ended = self.run(&self.scripts.end, Takes::Three, &common, &items, (Vec::new(), after)).await?;
        Ok(ended.into_iter().map(|ended| ended == 1).collect())
    }
}

/// A moment as a script takes it. Redis refuses expiries before 1970.
pub(super) fn moment(at: Timestamp) -> String {
    at.unix_ms().max(1).to_string()
}

#[async_trait]
impl LoginEngine for RedisEngine {
    async fn read(&self, ids: &[LoginId]) -> Result<Vec<Found>, StoreError> {
        let ids = self.all_stored(ids.iter());
        Ok(self.look(&ids).await?.into_iter().map(Seen::into_found).collect())
    }

    async fn swap(&self, swaps: &[Swap<'_>], now: Timestamp) -> Result<Vec<Swapped>, StoreError> {
        let ids = self.all_stored(swaps.iter().map(|swap| swap.id));
        let before = swaps
            .iter()
            .zip(&ids)
            .filter_map(|(swap, id)| Some(people::index(self, swap.user.as_ref()?, id, swap.expires_at)))
            .collect();
        let item = |swap: &Swap<'_>| {
            let expected = format!("{:016x}", swap.expected.0);
            [expected, swap.json.to_owned(), moment(swap.expires_at)]
        };
        let items: Vec<Item<'_, 3>> =
            swaps.iter().zip(&ids).map(|(swap, id)| Item { id, args: item(swap) }).collect();
        let script = &self.scripts.swap;
        let done = self.run(script, Takes::Two, &[moment(now)], &items, (before, Vec::new())).await?;
        let answer = |(swap, done): (&Swap<'_>, i64)| match done {
            1 => Swapped::Done(version(swap.json)),
            _ => Swapped::Stale,
        };
        Ok(swaps.iter().zip(done).map(answer).collect())
    }

    async fn extend(
        &self,
        touches: &[(LoginId, Timestamp)],
        now: Timestamp,
    ) -> Result<Vec<Extended>, StoreError> {
        let ids = self.all_stored(touches.iter().map(|(id, _)| id));
        let ends = touches.iter().map(|(_, expires_at)| moment(*expires_at));
        let items: Vec<Item<'_, 1>> =
            ids.iter().zip(ends).map(|(id, end)| Item { id, args: [end] }).collect();
        let script = &self.scripts.extend;
        let done = self.run(script, Takes::Two, &[moment(now)], &items, Default::default()).await?;
        Ok(done.into_iter().map(|done| if done == 1 { Extended::Done } else { Extended::Gone }).collect())
    }

    async fn insert(&self, inserts: &[Insert<'_>], now: Timestamp) -> Result<Vec<Inserted>, StoreError> {
        let inserts: Vec<&Insert<'_>> = inserts.iter().collect();
        self.make(&inserts, LoginEventKind::Created, now).await
    }

    /// Two slots, so two steps: the new session first, so that there is always one. Whoever crashes in between leaves
    /// both, and the same call again retires the old one. A logout that comes in between ends the new one, too.
    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        insert: &Insert<'_>,
        now: Timestamp,
    ) -> Result<Inserted, StoreError> {
        let ids = [self.stored(old), self.stored(&insert.login.id)];
        let [old, new] = &ids;
        if let [was, is] = self.look(&ids).await?.as_slice() {
            let over = match was.mark {
                Some(look::Mark::Ended) => true,
                Some(look::Mark::Retires(at)) => at <= now,
                Some(look::Mark::Expired) | None => false,
            };
            if over && is.json.as_deref() != Some(insert.json) {
                return Err(StoreError::Gone);
            }
        }
        let made = self.make(&[insert], LoginEventKind::Regenerated, now).await?;
        let Some(Inserted::Done(version)) = made.first().copied() else {
            return Ok(Inserted::Taken);
        };
        if self.can_place(old) && self.retire(old, retires_at).await? == Retired::WasEnded {
            self.end(&[(new.clone(), insert.user.clone())], EndReason::Revoked, now).await?;
            return Err(StoreError::Gone);
        }
        Ok(Inserted::Done(version))
    }

    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        let id = self.stored(id);
        let user = self.look_at(&id).await?.user(&self.user_key);
        self.end(&[(id, user)], reason, now).await.map(drop)
    }

    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        people::list(self, user, now).await
    }

    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        people::revoke(self, user, handle, now).await
    }

    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let except = except.map(|id| self.stored(id));
        people::revoke_all(self, user, except.as_ref(), now).await
    }

    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        sweep::sweep(self, now, batch).await
    }

    async fn count(&self, now: Timestamp) -> Result<LoginCount, StoreError> {
        sweep::count(self, now).await
    }

    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        outbox::events(self, limit).await
    }

    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        outbox::settle(self, events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.server.one(redis::cmd("PING")).await.map(drop)
    }

    fn user_key(&self) -> &str {
        &self.user_key
    }

    fn place_of(&self, id: &LoginId) -> String {
        format!("redis key {}… (session {})", self.names.prefix(), id.fingerprint())
    }

    fn info(&self) -> StoreInfo {
        StoreInfo {
            engine: "redis",
            place: format!("{} {}*", self.server.place, self.names.prefix()),
            persistence: Persistence::Durable,
            degraded: None,
        }
    }
}
