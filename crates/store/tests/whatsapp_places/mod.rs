//! A database of its own on the test server for each case, and a way there behind the engine's back.

use sessile_store::Choice;
use sessile_store::contract::Must;
use sessile_store::whatsapp::PostgresDevices;
use tokio_postgres::{Client, NoTls};

/// Where a test's devices live.
#[derive(Clone)]
pub(crate) struct Place {
    /// The database, directly or through the pooler.
    pub(crate) url: String,
}

impl Place {
    /// A new one behind the URL in `variable`.
    pub(crate) async fn new(variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run ./test, or set it to a Postgres of your own")
        });
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).must("random bytes");
        let name = format!("devices_{:016x}", u64::from_ne_bytes(random));
        let server = Self { url };
        server.sql(&format!("create database {name}")).await;
        let mut url = url::Url::parse(&server.url).must("a URL");
        url.set_path(&name);
        Self { url: url.to_string() }
    }

    /// Opens the devices there.
    pub(crate) async fn open(&self) -> PostgresDevices {
        PostgresDevices::open(&self.url, Choice::Yes).await.must("open")
    }

    /// A connection.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.must("connect");
        tokio::spawn(connection);
        client
    }

    /// Runs SQL, as another program would.
    pub(crate) async fn sql(&self, script: &str) {
        self.client().await.batch_execute(script).await.must(script);
    }
}
