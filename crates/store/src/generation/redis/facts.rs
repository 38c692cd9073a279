//! How a Redis is set up, as far as paid jobs depend on it. For `sessile doctor`; reads only.

use crate::open::OpenError;
use crate::redis::address::Address;
use crate::redis::server::{Node, Server};
use crate::redis::wire::{items, text};
use redis::Value;
use sessile_core::StoreError;

/// One Redis, or the one of a Cluster's masters that keeps its promises worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisFacts {
    /// Without credentials.
    pub place: String,
    /// As it names itself.
    pub version: String,
    /// What it does when memory is full: `noeviction` keeps what is there. Not every server tells.
    pub eviction: Option<String>,
    /// Whether writes go to an append-only file. Not every server tells.
    pub appends: Option<bool>,
    /// When that file is synced: `always`, `everysec`, `no`. Hosted servers keep that to themselves.
    pub sync: Option<String>,
    /// Masters, and how many of them nothing follows.
    pub masters: usize,
    /// Masters without a replica.
    pub alone: usize,
}

impl RedisFacts {
    /// Asks.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub async fn of(url: &str) -> Result<Self, OpenError> {
        let server = Server::connect(&Address::parse(url)?, Vec::new()).await?;
        let unreachable = |error: StoreError| OpenError::unreachable(&server.place, &error);
        let nodes = server.nodes().await.map_err(unreachable)?;
        let mut facts = Self {
            place: server.place.clone(),
            version: String::new(),
            eviction: None,
            appends: None,
            sync: None,
            masters: nodes.len(),
            alone: 0,
        };
        for node in nodes {
            facts.see(&server, node).await.map_err(unreachable)?;
        }
        Ok(facts)
    }

    async fn see(&mut self, server: &Server, node: Node) -> Result<(), StoreError> {
        let mut info = redis::cmd("INFO");
        info.arg("everything");
        let info = text(server.on_node(node, info).await?).unwrap_or_default();
        let said = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        self.version = said("redis_version").unwrap_or_default();
        self.alone += usize::from(said("connected_slaves").is_none_or(|count| count == "0"));
        let appends = said("aof_enabled").map(|value| value == "1");
        self.appends = if self.appends == Some(false) { self.appends } else { appends };
        let eviction = setting(server, node, "maxmemory-policy").await.or(said("maxmemory_policy"));
        if self.eviction.as_deref().is_none_or(|policy| policy == "noeviction") {
            self.eviction = eviction;
        }
        let sync = setting(server, node, "appendfsync").await;
        if self.sync.as_deref().is_none_or(|sync| sync == "always") {
            self.sync = sync;
        }
        Ok(())
    }
}

/// A server that does not let us ask is none that we can say something about.
async fn setting(server: &Server, node: Node, name: &str) -> Option<String> {
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET").arg(name);
    let value = match server.on_node(node, cmd).await.ok()? {
        Value::Map(pairs) => pairs.into_iter().next()?.1,
        list => items(list).into_iter().nth(1)?,
    };
    text(value)
}
