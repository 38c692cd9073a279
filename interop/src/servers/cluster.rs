//! A private Redis Cluster of three masters, the smallest one that spreads keys; with a replica each where a test needs a
//! failover.

use std::time::Duration;

use crate::servers::{
    error::ServerError,
    ports,
    process::eventually,
    redis::{Persistence, Redis, ask},
    tools,
};

/// How long the nodes may take to agree.
const AGREE_LIMIT: Duration = Duration::from_secs(30);
/// Short, so that tests of a lost node need not wait long.
const SETTINGS: [(&str, &str); 4] = [
    ("cluster-enabled", "yes"),
    ("cluster-config-file", "nodes.conf"),
    ("cluster-node-timeout", "2000"),
    ("repl-diskless-sync-delay", "0"),
];
/// How long a replica may take to be chosen in place of its master.
const FAILOVER_LIMIT: Duration = Duration::from_secs(30);

/// A running Redis Cluster.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    replicas: usize,
}

impl RedisCluster {
    /// Starts the nodes, joins them and waits until all of them serve.
    ///
    /// # Errors
    /// When Redis is not installed or the nodes do not agree; the error says which package or shows the output.
    pub async fn start() -> Result<Self, ServerError> {
        Self::start_with(0).await
    }

    /// The same with so many replicas of each master.
    ///
    /// # Errors
    /// As [`RedisCluster::start`].
    pub async fn start_with(replicas: usize) -> Result<Self, ServerError> {
        let node = || Redis::start_on(ports::free_cluster_port, Persistence::EveryWrite, &SETTINGS);
        let mut nodes = Vec::new();
        for _ in 0..=replicas {
            let (first, second, third) = tokio::try_join!(node(), node(), node())?;
            nodes.extend([first, second, third]);
        }
        let cluster = Self { nodes, replicas };
        cluster.join_nodes().await?;
        cluster.wait_until_serving().await?;
        Ok(cluster)
    }

    /// Kills one of the masters at once and waits until its replica serves in its place; answers which node it was, to be
    /// restarted.
    ///
    /// # Errors
    /// When there is no such master, or nobody takes its place.
    pub async fn fail_over(&mut self, master: usize) -> Result<usize, ServerError> {
        let mut masters = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if role(node).await.is_some_and(|role| role == "master") {
                masters.push(at);
            }
        }
        let none = || ServerError::Setup(format!("there is no master number {master}"));
        let killed = *masters.get(master).ok_or_else(none)?;
        self.nodes[killed].kill_9().await?;
        let nodes = &self.nodes;
        let taken_over = async || {
            let mut serving = 0;
            for (at, node) in nodes.iter().enumerate().filter(|(at, _)| *at != killed) {
                let info = ask(node.port(), &["CLUSTER", "INFO"]).await?;
                let new = !masters.contains(&at) && role(node).await? == "master";
                serving += usize::from(new && info.contains("cluster_state:ok"));
            }
            (serving == 1).then_some(())
        };
        eventually("a replica to take its master's place", FAILOVER_LIMIT, taken_over).await?;
        Ok(killed)
    }

    /// One `redis://` URL per node, separated by commas.
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// One URL per node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The nodes, for tests that kill and restart one. Writes survive a node's restart.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }

    /// Waits until every node says that the whole cluster serves, as after a node's restart.
    ///
    /// # Errors
    /// [`ServerError::TimedOut`] when they do not agree in time.
    pub async fn wait_until_serving(&self) -> Result<(), ServerError> {
        let agreed = async || {
            for node in &self.nodes {
                let info = ask(node.port(), &["CLUSTER", "INFO"]).await?;
                let known = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
                if !(info.contains("cluster_state:ok") && info.contains(&known)) {
                    return None;
                }
                let replication = ask(node.port(), &["INFO", "replication"]).await?;
                let followed = format!("connected_slaves:{}\r\n", self.replicas);
                let follows = replication.contains("master_link_status:up");
                if !(replication.contains(&followed) || follows) {
                    return None;
                }
            }
            Some(())
        };
        eventually("the cluster's nodes to agree", AGREE_LIMIT, agreed).await
    }

    async fn join_nodes(&self) -> Result<(), ServerError> {
        let program = tools::find("redis-cli", "redis-tools")?;
        let addresses: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let replicas = self.replicas.to_string();
        let args: Vec<_> = ["--cluster", "create"]
            .into_iter()
            .chain(addresses.iter().map(String::as_str))
            .chain(["--cluster-replicas", &replicas, "--cluster-yes"])
            .collect();
        tools::run(&program, &args, &std::env::temp_dir(), None).await.map(drop)
    }
}

async fn role(node: &Redis) -> Option<String> {
    let info = ask(node.port(), &["INFO", "replication"]).await?;
    info.lines().find_map(|line| line.strip_prefix("role:")).map(str::to_owned)
}
