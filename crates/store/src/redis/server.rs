//! The connection: one server, or a Cluster. Sends batches of commands, brings the scripts back where a restart or a
//! failover has lost them, and gives every wait an end. Knows nothing of sessions.

use super::address::Address;
use super::wire::{items, number, text};
use crate::open::OpenError;
use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use redis::{Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};
use sessile_core::StoreError;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// One attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// One answer of the server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
/// One batch, with reconnecting and redirections.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a Cluster may be silent to everybody before it is connected to anew.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Attempts to reconnect, or to follow a moved slot, within one call.
const RETRIES_MAX: u32 = 4;
/// The longest pause between them.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why Redis did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisFault {
    #[error("redis at {place} failed")]
    Failed {
        place: String,
        #[source]
        cause: RedisError,
    },
    #[error("redis at {place} did not answer within {CALL_TIMEOUT:?}")]
    Silent { place: String },
    #[error("redis at {place} gave an answer of another shape than asked for")]
    Odd { place: String },
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// One master of a Cluster, or the only server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    Only,
    /// The master of that slot.
    OfSlot(u16),
}

/// A Redis that has been reached once.
pub(crate) struct Server {
    link: RwLock<Link>,
    silence: Silence,
    pub(crate) place: String,
    /// The commands that make a server know our scripts.
    scripts: Vec<Cmd>,
}

impl Server {
    pub(crate) async fn connect(address: &Address, scripts: Vec<Cmd>) -> Result<Self, OpenError> {
        if address.tls {
            // The driver takes the process's choice; somebody else's counts as well.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let unreachable = |cause: RedisError| OpenError::Unreachable {
            place: address.place.clone(),
            what: cause.to_string(),
        };
        let single = match address.nodes.first() {
            Some(node) if !address.says_cluster => {
                Some(limit(connect_single(node.clone())).await.map_err(unreachable)?)
            }
            _ => None,
        };
        let mut server = match single {
            Some(link) => Self::on(link, address.place.clone(), scripts, address),
            None => Self::cluster(address, scripts).await.map_err(unreachable)?,
        };
        if server.is_single() && server.is_part_of_a_cluster().await {
            server = Self::cluster(address, server.scripts).await.map_err(unreachable)?;
        }
        Ok(server)
    }

    async fn cluster(address: &Address, scripts: Vec<Cmd>) -> Result<Self, RedisError> {
        let link = limit(connect_cluster(&address.nodes)).await?;
        Ok(Self::on(link, format!("{} (cluster)", address.place), scripts, address))
    }

    fn on(link: Link, place: String, scripts: Vec<Cmd>, address: &Address) -> Self {
        Self { link: RwLock::new(link), silence: Silence::of(&address.nodes), place, scripts }
    }

    fn link(&self) -> Link {
        self.link.read().clone()
    }

    async fn is_part_of_a_cluster(&self) -> bool {
        let mut cmd = redis::cmd("INFO");
        cmd.arg("cluster");
        // A server that does not tell is used as a single one.
        self.one(cmd).await.ok().and_then(text).is_some_and(|info| info.contains("cluster_enabled:1"))
    }

    /// Whether keys of different slots may share a command.
    pub(crate) fn is_single(&self) -> bool {
        matches!(*self.link.read(), Link::Single(_))
    }

    /// Sends one command.
    pub(crate) async fn one(&self, cmd: Cmd) -> Result<Value, StoreError> {
        self.send(vec![cmd]).await?.pop().ok_or_else(|| self.odd())
    }

    /// Sends commands whose order does not matter; each one's keys share a slot. An error of one is an error of all.
    pub(crate) async fn send(&self, cmds: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        if cmds.is_empty() {
            return Ok(Vec::new());
        }
        let pipe = pipeline(cmds);
        let call = async {
            let mut answers = self.attempt(&pipe).await?;
            let lost: Vec<usize> = (0..answers.len()).filter(|&at| lacks_script(&answers[at])).collect();
            if !lost.is_empty() {
                self.load_scripts().await?;
                let again = pipe.cmd_iter().enumerate().filter(|(at, _)| lost.contains(at));
                let again = pipeline(again.map(|(_, cmd)| cmd.clone()).collect());
                for (at, answer) in lost.into_iter().zip(self.attempt(&again).await?) {
                    answers[at] = answer;
                }
            }
            answers.into_iter().collect()
        };
        self.within(call).await
    }

    /// Sends what has to be there first, then the rest, then what may only follow. The answer is that of the middle.
    /// A single server gets all of it at once: it keeps the order.
    pub(crate) async fn in_order(
        &self,
        before: Vec<Cmd>,
        cmds: Vec<Cmd>,
        after: Vec<Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        if self.is_single() {
            let (skip, take) = (before.len(), cmds.len());
            let all = before.into_iter().chain(cmds).chain(after).collect();
            let answers = self.send(all).await?;
            return Ok(answers.into_iter().skip(skip).take(take).collect());
        }
        self.send(before).await?;
        let answers = self.send(cmds).await?;
        self.send(after).await?;
        Ok(answers)
    }

    /// Sends a command that asks about the server itself to one master, whichever.
    pub(crate) async fn on_one_node(&self, cmd: Cmd) -> Result<Value, StoreError> {
        let call = async {
            match self.link() {
                Link::Single(mut link) => link.send_packed_command(&cmd).await,
                Link::Cluster(mut link) => {
                    link.route_command(cmd, RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary))
                        .await
                }
            }
        };
        self.within(call).await
    }

    /// Sends a write to the master that holds `key`, and waits on the very connection that it went by until a replica has
    /// it, and with it all that the server wrote before. Answers what the write said, and whether a replica confirmed.
    pub(crate) async fn replicated(
        &self,
        key: &str,
        write: Cmd,
        at_most: Duration,
    ) -> Result<(Value, bool), StoreError> {
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX));
        // In one flight: WAIT knows only of what its own connection wrote.
        let pipe = pipeline(vec![write, wait]);
        let call = async {
            let answers = match self.link() {
                Link::Single(mut link) => link.send_packed_commands(&pipe, 0, pipe.len()).await?,
                Link::Cluster(mut link) => {
                    let slot = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                    let count = pipe.len();
                    link.route_pipeline(pipe, 0, count, SingleNodeRoutingInfo::SpecificNode(slot)).await?
                }
            };
            answers.into_iter().map(refusal).collect::<Result<Vec<_>, _>>()
        };
        let mut answers = self.within(call).await?.into_iter();
        let (Some(said), Some(confirmed)) = (answers.next(), answers.next()) else { return Err(self.odd()) };
        Ok((said, number(&confirmed).is_some_and(|replicas| replicas > 0)))
    }

    /// Sends a command that names no key to one master.
    pub(crate) async fn on_node(&self, node: Node, cmd: Cmd) -> Result<Value, StoreError> {
        let call = async {
            match (self.link(), node) {
                (Link::Cluster(mut link), Node::OfSlot(slot)) => {
                    let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                    link.route_command(cmd, RoutingInfo::SingleNode(route)).await
                }
                (Link::Cluster(mut link), Node::Only) => link.req_packed_command(&cmd).await,
                (Link::Single(mut link), _) => link.send_packed_command(&cmd).await,
            }
        };
        self.within(call).await
    }

    /// Every master.
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        if self.is_single() {
            return Ok(vec![Node::Only]);
        }
        let mut cmd = redis::cmd("CLUSTER");
        cmd.arg("SLOTS");
        let mut seen = Vec::new();
        let mut nodes = Vec::new();
        for range in items(self.one(cmd).await?) {
            let mut parts = items(range).into_iter();
            let slot = parts.next().as_ref().and_then(number).and_then(|slot| u16::try_from(slot).ok());
            let master = parts.nth(1).map(items);
            if let (Some(slot), Some(master)) = (slot, master)
                && !seen.contains(&master)
            {
                seen.push(master);
                nodes.push(Node::OfSlot(slot));
            }
        }
        Ok(nodes)
    }

    /// One step of a scan.
    pub(crate) async fn scan(
        &self,
        node: Node,
        cursor: u64,
        pattern: &str,
        count: usize,
    ) -> Result<(u64, Vec<String>), StoreError> {
        let mut cmd = redis::cmd("SCAN");
        cmd.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
        let mut parts = items(self.on_node(node, cmd).await?).into_iter();
        let cursor =
            parts.next().and_then(text).and_then(|cursor| cursor.parse().ok()).ok_or_else(|| self.odd())?;
        let keys = parts.next().map(items).unwrap_or_default();
        Ok((cursor, keys.into_iter().filter_map(text).collect()))
    }

    pub(crate) fn odd(&self) -> StoreError {
        StoreError::unavailable(RedisFault::Odd { place: self.place.clone() })
    }

    async fn load_scripts(&self) -> Result<(), RedisError> {
        self.attempt(&pipeline(self.scripts.clone()))
            .await?
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(drop)
    }

    /// The outer error: nothing is known. The inner one: the server refused that command.
    async fn attempt(&self, pipe: &Pipeline) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        let answers = match self.link() {
            Link::Single(mut link) => {
                link.send_packed_commands(pipe, 0, pipe.len()).await?.into_iter().map(refusal).collect()
            }
            Link::Cluster(link) => {
                let ask = |cmd| {
                    let mut link = link.clone();
                    async move { link.req_packed_command(cmd).await.and_then(refusal) }
                };
                join_all(pipe.cmd_iter().map(ask)).await
            }
        };
        Ok(answers)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
        let place = || self.place.clone();
        let done = match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(cause)) => Err(RedisFault::Failed { place: place(), cause }),
            Err(_) => Err(RedisFault::Silent { place: place() }),
        };
        match &done {
            Err(RedisFault::Failed { cause, .. }) if !cause.is_io_error() => self.silence.is_over(),
            Err(_) => self.renew().await,
            Ok(_) => self.silence.is_over(),
        }
        done.map_err(StoreError::unavailable)
    }

    /// A Cluster that has said nothing for a while, to anybody, is connected to anew. The driver's own recovery can wait
    /// for itself when a failover meets requests under way, and then nothing comes through any more. A single server's
    /// link needs no such help.
    async fn renew(&self) {
        if self.is_single() || !self.silence.is_long() {
            return;
        }
        let Ok(_alone) = self.silence.renewing.try_lock() else { return };
        match limit(connect_cluster(&self.silence.nodes)).await {
            Ok(link) => {
                *self.link.write() = link;
                self.silence.is_over();
                tracing::warn!(
                    place = self.place,
                    "the connections to a silent Redis Cluster were made anew"
                );
            }
            Err(error) => tracing::debug!(%error, "a Redis Cluster could not be connected to anew"),
        }
    }
}

/// Since when nothing has come through, and where to connect anew.
struct Silence {
    since: Mutex<Option<Instant>>,
    nodes: Vec<ConnectionInfo>,
    renewing: tokio::sync::Mutex<()>,
}

impl Silence {
    fn of(nodes: &[ConnectionInfo]) -> Self {
        Self { since: Mutex::new(None), nodes: nodes.to_vec(), renewing: tokio::sync::Mutex::new(()) }
    }

    fn is_over(&self) {
        *self.since.lock() = None;
    }

    /// One more answer did not come: whether that has gone on for long.
    fn is_long(&self) -> bool {
        let since = *self.since.lock().get_or_insert_with(Instant::now);
        since.elapsed() >= SILENCE_MAX
    }
}

fn pipeline(cmds: Vec<Cmd>) -> Pipeline {
    let mut pipe = Pipeline::with_capacity(cmds.len());
    for cmd in cmds {
        pipe.add_command(cmd);
    }
    pipe
}

fn refusal(value: Value) -> Result<Value, RedisError> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

fn lacks_script(answer: &Result<Value, RedisError>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

async fn connect_single(node: redis::ConnectionInfo) -> Result<Link, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_number_of_retries(RETRIES_MAX as usize)
        .set_max_delay(RETRY_PAUSE_MAX);
    ConnectionManager::new_with_config(Client::open(node)?, config).await.map(Link::Single)
}

async fn connect_cluster(nodes: &[ConnectionInfo]) -> Result<Link, RedisError> {
    let builder: ClusterClientBuilder = ClusterClient::builder(nodes.to_vec());
    let client = builder
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(RESPONSE_TIMEOUT)
        .retries(RETRIES_MAX)
        .max_retry_wait(RETRY_PAUSE_MAX.as_millis() as u64)
        .use_protocol(redis::ProtocolVersion::RESP3)
        .build()?;
    client.get_async_connection().await.map(Link::Cluster)
}

/// Connecting has an end, too.
async fn limit(connect: impl Future<Output = Result<Link, RedisError>>) -> Result<Link, RedisError> {
    match tokio::time::timeout(CALL_TIMEOUT, connect).await {
        Ok(done) => done,
        Err(_) => Err(RedisError::from((ErrorKind::Io, "no answer in time"))),
    }
}
