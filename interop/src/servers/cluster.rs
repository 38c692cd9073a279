//! A private Redis Cluster of three masters without replicas: the smallest one that spreads keys.

use std::time::Duration;

use crate::servers::{
    error::ServerError,
    ports,
    process::eventually,
    redis::{Persistence, Redis, ask},
    tools,
};

/// Redis Cluster refuses fewer masters.
const MASTERS: usize = 3;
/// How long the nodes may take to agree.
const AGREE_LIMIT: Duration = Duration::from_secs(30);
/// Short, so that tests of a lost node need not wait long.
const SETTINGS: [(&str, &str); 3] =
    [("cluster-enabled", "yes"), ("cluster-config-file", "nodes.conf"), ("cluster-node-timeout", "2000")];

/// A running Redis Cluster.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes, joins them and waits until all of them serve.
    ///
    /// # Errors
    /// When Redis is not installed or the nodes do not agree; the error says which package or shows the output.
    pub async fn start() -> Result<Self, ServerError> {
        let node = || Redis::start_on(ports::free_cluster_port, Persistence::EveryWrite, &SETTINGS);
        let (first, second, third) = tokio::try_join!(node(), node(), node())?;
        let cluster = Self { nodes: vec![first, second, third] };
        cluster.join_nodes().await?;
        cluster.wait_until_serving().await?;
        Ok(cluster)
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
                let known = format!("cluster_known_nodes:{MASTERS}\r\n");
                if !(info.contains("cluster_state:ok") && info.contains(&known)) {
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
        let args: Vec<_> = ["--cluster", "create"]
            .into_iter()
            .chain(addresses.iter().map(String::as_str))
            .chain(["--cluster-replicas", "0", "--cluster-yes"])
            .collect();
        tools::run(&program, &args, &std::env::temp_dir(), None).await.map(drop)
    }
}
