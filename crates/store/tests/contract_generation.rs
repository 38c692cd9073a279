//! The contract suite of generation sessions: memory here, Redis on one server and on a Cluster. Run by `./test`, which
//! starts the servers.

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

/// A database of its own for each case, on the server behind a variable.
async fn postgres(variable: &str) -> TestGenerations {
    use sessile_store::Choice;
    use sessile_store::generation::PostgresGenerations;
    let url = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run ./test, or set it to a Postgres of your own"));
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).unwrap();
    let schema = format!("g{:016x}", u64::from_ne_bytes(random));
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("create schema {schema}")).await.unwrap();
    let within =
        format!("{url}{}options=-csearch_path%3D{schema}", if url.contains('?') { '&' } else { '?' });
    let store = PostgresGenerations::open(&within, Choice::Yes).await.unwrap();
    TestGenerations::new(Arc::new(store))
}

mod direct {
    async fn engine() -> super::TestGenerations {
        super::postgres("SESSILE_TEST_POSTGRES_URL").await
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
            for index in ["due", "events-due"] {
                let mut cmd = redis::cmd("DEL");
                cmd.arg(format!("sessile:generation:{index}:{}", place.options.prefix));
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
