//! A schema of its own in the test database for each case, and a way there behind the engine's back.

use sessile_store::Choice;
use sessile_store::contract::Must;
use sessile_store::ledger::{LedgerOptions, PostgresLedger};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Where a test's ledger lives.
#[derive(Clone)]
pub(crate) struct Place {
    /// The server, or the pooler in front of it.
    pub(crate) url: String,
    /// The schema, and the users' table beside it.
    pub(crate) options: LedgerOptions,
}

impl Place {
    /// A new one behind the URL in `variable`.
    pub(crate) fn new(variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set: run ./test, or set it to a Postgres of your own")
        });
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).must("random bytes");
        let number = u64::from_ne_bytes(random);
        let options = LedgerOptions {
            create: Choice::Yes,
            schema: Some(format!("ledger_{number}")),
            users_table: format!("u_{number}"),
        };
        Self { url, options }
    }

    /// The schema's name.
    pub(crate) fn schema(&self) -> &str {
        self.options.schema.as_deref().must("a schema of its own")
    }

    /// Opens the ledger there.
    pub(crate) async fn open(&self) -> PostgresLedger {
        PostgresLedger::open(&self.url, &self.options).await.must("open")
    }

    /// A connection in the same schema.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.must("connect");
        tokio::spawn(connection);
        client
    }

    /// Runs SQL in the schema, as another program would: how many rows the last statement changed.
    pub(crate) async fn sql(&self, statement: &str) -> Result<u64, String> {
        let client = self.client().await;
        let told = |error: tokio_postgres::Error| {
            error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
        };
        // In one transaction, so that a pooler in between gives both the same connection.
        let begin = format!("begin; set local search_path = \"{}\", public", self.schema());
        client.batch_execute(&begin).await.map_err(told)?;
        let mut rows = 0;
        for message in client.simple_query(statement).await.map_err(told)? {
            if let SimpleQueryMessage::CommandComplete(changed) = message {
                rows = changed;
            }
        }
        client.batch_execute("commit").await.map_err(told)?;
        Ok(rows)
    }
}
