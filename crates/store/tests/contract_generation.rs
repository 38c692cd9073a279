//! The contract suite of generation sessions: memory and SQLite here, Postgres directly and through PgBouncer in
//! transaction mode, Redis on one server and on a Cluster. Run by `./test`, which starts the servers.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails must stop the test")]

use redis::IntoConnectionInfo;
use redis::cluster::ClusterClient;
use redis::{Cmd, FromRedisValue};
use sessile_core::generation::GENERATION_LIFETIME;
use sessile_core::{Clock, SystemClock};
use sessile_store::contract::generation::{Lose, Plant, TestGenerations};
use sessile_store::generation::MemoryGenerations;
use sessile_store::generation::redis::{RedisGenerationOptions, RedisGenerations};
use std::sync::Arc;

mod memory {
    use super::*;

    async fn engine() -> TestGenerations {
        let store = Arc::new(MemoryGenerations::default());
        let old = store.clone();
        let plant: Plant = Arc::new(move |key, json| {
            old.plant(&key, &json);
            Box::pin(std::future::ready(()))
        });
        TestGenerations::new(store).planting(plant)
    }
    sessile_store::generation_contract!(engine);
}

mod sqlite {
    use super::*;
    use sessile_store::Choice;
    use sessile_store::generation::SqliteGenerations;

    async fn engine() -> TestGenerations {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteGenerations::open(&folder.path().join("sessile.db"), Choice::Yes).unwrap();
        TestGenerations::new(Arc::new(store)).guarded_by(folder)
    }
    sessile_store::generation_contract!(engine);
}

/// A database of its own for each case on the server, reached by the URL in a variable: the server's own, or a pooler's.
async fn postgres(variable: &str) -> TestGenerations {
    use sessile_store::Choice;
    use sessile_store::generation::PostgresGenerations;
    let url = |variable: &str| {
        std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run ./test, or set it to a Postgres of your own")
        })
    };
    let (server, way) = (url("SESSILE_TEST_POSTGRES_URL"), url(variable));
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("g{:016x}", u64::from_ne_bytes(random));
    run_sql(&server, &format!("create database {name}")).await;
    let mut within = url::Url::parse(&way).unwrap();
    within.set_path(&name);
    let store = PostgresGenerations::open(within.as_str(), Choice::Yes).await.unwrap();
    TestGenerations::new(Arc::new(store)).guarded_by(Database { server, name })
}

async fn run_sql(server: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.unwrap();
    let task = tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
    drop(client);
    task.await.unwrap().unwrap();
}

/// Goes with its case.
struct Database {
    server: String,
    name: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("drop database {} with (force)", self.name));
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run_sql(&server, &drop));
        });
        dropped.join().unwrap();
    }
}

mod direct {
    async fn engine() -> super::TestGenerations {
        super::postgres("SESSILE_TEST_POSTGRES_URL").await
    }
    sessile_store::generation_contract!(engine);
}

/// PgBouncer in transaction mode, without support for prepared statements.
mod through_pgbouncer {
    async fn engine() -> super::TestGenerations {
        super::postgres("SESSILE_TEST_PGBOUNCER_URL").await
    }
    sessile_store::generation_contract!(engine);
}

const SINGLE: &str = "SESSILE_TEST_REDIS_URL";
const CLUSTER: &str = "SESSILE_TEST_REDIS_CLUSTER_URL";

/// A server under test, and a key prefix of our own on it.
#[derive(Clone)]
struct Place {
    url: String,
    is_cluster: bool,
    options: RedisGenerationOptions,
}

impl Place {
    fn new(variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run ./test, or set it to a Redis of your own")
        });
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).unwrap();
        let prefix = format!("g{:016x}:", u64::from_ne_bytes(random));
        Self { url, is_cluster: variable == CLUSTER, options: RedisGenerationOptions { prefix } }
    }

    /// Runs a command as somebody else would.
    async fn run<T: FromRedisValue>(&self, cmd: &Cmd) -> T {
        if self.is_cluster {
            let (_, hosts) = self.url.split_once("://").unwrap();
            let nodes =
                hosts.split(',').map(|host| format!("redis://{}", host.trim_start_matches("redis://")));
            let nodes: Vec<_> = nodes.map(|url| url.into_connection_info().unwrap()).collect();
            let client = ClusterClient::new(nodes).unwrap();
            cmd.query_async(&mut client.get_async_connection().await.unwrap()).await.unwrap()
        } else {
            let client = redis::Client::open(self.url.as_str()).unwrap();
            cmd.query_async(&mut client.get_multiplexed_async_connection().await.unwrap()).await.unwrap()
        }
    }
}

async fn engine(variable: &str) -> TestGenerations {
    let place = Place::new(variable);
    let store = Arc::new(RedisGenerations::open(&place.url, &place.options).await.unwrap());
    let old = place.clone();
    let plant: Plant = Arc::new(move |key, json| {
        let old = old.clone();
        Box::pin(async move {
            let mut cmd = redis::cmd("SETEX");
            cmd.arg(format!("{}{key}", old.options.prefix)).arg(GENERATION_LIFETIME.as_secs()).arg(json);
            old.run::<()>(&cmd).await;
        })
    });
    let lose: Lose = Arc::new(move || {
        let place = place.clone();
        Box::pin(async move {
            let prefix = &place.options.prefix;
            let of = |kind: &str, name: &str| format!("sessile:generation:{kind}:{prefix}{name}");
            for key in [of("due", ""), of("events-due", ""), of("guest", ":guest"), of("payment", ":pi_lost")]
            {
                let mut cmd = redis::cmd("DEL");
                cmd.arg(key);
                place.run::<i64>(&cmd).await;
            }
        })
    });
    // Redis removes keys by its own clock.
    TestGenerations::new(store).at(SystemClock.now()).planting(plant).losing(lose)
}

mod single {
    async fn engine() -> super::TestGenerations {
        super::engine(super::SINGLE).await
    }
    sessile_store::generation_contract!(engine);
}

mod cluster {
    async fn engine() -> super::TestGenerations {
        super::engine(super::CLUSTER).await
    }
    sessile_store::generation_contract!(engine);
}
