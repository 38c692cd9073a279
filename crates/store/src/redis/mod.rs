//! Login sessions in connect-redis's own keys, on one Redis server or a Cluster, 7.0 or later (or Valkey).
//!
//! Every write to one session is one script, so that its condition and its effect are one step (a replacement touches
//! two sessions, which Cluster keeps apart: the new one first, then the old one); all keys of one session share its
//! slot. Redis expires keys by its own clock, on its own: what is told about expiry, and a user's list of sessions,
//! are hints that the sweep mends. `Ok` is as durable as the server is set up to be: see [`RedisFacts`].

pub(crate) mod address;
mod engine;
mod facts;
mod keys;
mod look;
mod outbox;
mod people;
mod portable;
pub(crate) mod scan;
pub(crate) mod scripts;
pub(crate) mod server;
mod sweep;
pub(crate) mod wire;

pub use facts::RedisFacts;

use crate::group::{Grouped, Shape, Shapes, through_group};
use crate::open::OpenError;
use crate::options::LoginOptions;
use address::Address;
use engine::RedisEngine;
use keys::Names;
use scripts::Scripts;
use server::Server;
use sessile_core::StoreError;

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
        let scripts = Scripts::new();
        let server = Server::connect(&Address::parse(url)?, scripts.loads()).await?;
        facts::check_commands(&server).await?;
        Ok(Self(Grouped::start(RedisEngine::new(server, scripts, names, options), SHAPES)))
    }

    /// Looks at the server without changing anything.
    ///
    /// # Errors
    /// [`OpenError`] when it cannot be reached.
    pub async fn inspect(url: &str, options: &LoginOptions) -> Result<RedisFacts, OpenError> {
        Names::new(&options.prefix)?;
        let server = Server::connect(&Address::parse(url)?, Vec::new()).await?;
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

through_group!(RedisLogins);
