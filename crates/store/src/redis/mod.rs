//! Login sessions in connect-redis's own keys, on one Redis server or a Cluster, 7.0 or later (or Valkey).
//!
//! Every write is one script, so that its condition and its effect are one step; all keys of one session share its
//! slot. Redis expires keys by its own clock, on its own: what is told about expiry, and a user's list of sessions,
//! are hints that the sweep mends. `Ok` is as durable as the server is set up to be: see [`RedisFacts`].

mod address;
mod engine;
mod facts;
mod keys;
mod look;
mod outbox;
mod people;
mod scripts;
mod server;
mod sweep;
mod wire;

pub use facts::RedisFacts;

use crate::group::{Grouped, Shape, Shapes};
use crate::open::OpenError;
use crate::options::LoginOptions;
use address::Address;
use async_trait::async_trait;
use engine::RedisEngine;
use keys::Names;
use server::Server;
use sessile_core::login::{
    DeviceHandle, EndReason, ListedLogin, LoginChange, LoginEvent, LoginId, LoginStore, Lookup, NewLogin,
    Revoked, StoreInfo, Stored, Swept, UserId,
};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// Two batches of loads in flight keep both ends busy; one of writes per kind merges best.
const SHAPES: Shapes =
    Shapes { reads: Shape { batch_max: 128, lanes: 2 }, writes: Shape { batch_max: 128, lanes: 1 } };

/// Login sessions in Redis.
pub struct RedisLogins(Grouped<RedisEngine>);

impl RedisLogins {
    /// Connects and checks that the server can do what is needed.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn open(url: &str, options: &LoginOptions) -> Result<Self, OpenError> {
        let names = Names::new(&options.prefix)?;
        let server = Server::connect(&Address::parse(url)?).await?;
        facts::check_commands(&server).await?;
        Ok(Self(Grouped::start(RedisEngine::new(server, names, options), SHAPES)))
    }

    /// Looks at the server without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be reached.
    pub async fn inspect(url: &str, options: &LoginOptions) -> Result<RedisFacts, OpenError> {
        Names::new(&options.prefix)?;
        let server = Server::connect(&Address::parse(url)?).await?;
        facts::facts(&server).await.map_err(|error| OpenError::unreachable(&server.place, &error))
    }

    /// Looks at the server that this store is connected to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn diagnose(&self) -> Result<RedisFacts, StoreError> {
        facts::facts(self.0.engine().server()).await
    }
}

#[async_trait]
impl LoginStore for RedisLogins {
    async fn create(&self, login: NewLogin, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.0.create(login, now).await
    }
    async fn load(&self, id: &LoginId, now: Timestamp) -> Result<Lookup, StoreError> {
        self.0.load(id, now).await
    }
    async fn commit(&self, change: LoginChange, now: Timestamp) -> Result<Arc<Stored>, StoreError> {
        self.0.commit(change, now).await
    }
    async fn touch(&self, id: &LoginId, expires_at: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.0.touch(id, expires_at, now).await
    }
    async fn replace(
        &self,
        old: &LoginId,
        retires_at: Timestamp,
        login: NewLogin,
        now: Timestamp,
    ) -> Result<Arc<Stored>, StoreError> {
        self.0.replace(old, retires_at, login, now).await
    }
    async fn destroy(&self, id: &LoginId, reason: EndReason, now: Timestamp) -> Result<(), StoreError> {
        self.0.destroy(id, reason, now).await
    }
    async fn list(&self, user: &UserId, now: Timestamp) -> Result<Vec<ListedLogin>, StoreError> {
        self.0.list(user, now).await
    }
    async fn revoke(
        &self,
        user: &UserId,
        handle: &DeviceHandle,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.0.revoke(user, handle, now).await
    }
    async fn revoke_all(
        &self,
        user: &UserId,
        except: Option<&LoginId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.0.revoke_all(user, except, now).await
    }
    async fn sweep(&self, now: Timestamp, batch: usize) -> Result<Swept, StoreError> {
        self.0.sweep(now, batch).await
    }
    async fn events(&self, limit: usize) -> Result<Vec<LoginEvent>, StoreError> {
        self.0.events(limit).await
    }
    async fn settle(&self, events: &[LoginEvent]) -> Result<(), StoreError> {
        self.0.settle(events).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.0.ping().await
    }
    fn info(&self) -> StoreInfo {
        self.0.info()
    }
}
