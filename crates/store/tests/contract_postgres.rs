//! The contract suite against Postgres: the shared table, the stand-alone one, and both through PgBouncer in
//! transaction mode. Each case has a table of its own. Run by `./test`, which starts the servers.

use sessile_core::login::LoginId;
use sessile_store::contract::{Capabilities, Corrupt, EventLog, Expiry, Must, Reopen, TestStore};
use sessile_store::postgres::PostgresLogins;
use sessile_store::{Choice, Layout, LoginOptions};
use std::sync::Arc;
use tokio_postgres::NoTls;

fn url(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run ./test, or set it to a Postgres of your own"))
}

fn options(layout: Layout) -> LoginOptions {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).must("random bytes");
    let table = format!("t_{}", u64::from_ne_bytes(random));
    LoginOptions { layout, table: Some(table), events: Choice::Yes, ..LoginOptions::default() }
}

async fn store(variable: &str, layout: Layout) -> TestStore {
    let (url, options) = (url(variable), options(layout));
    let store = Arc::new(PostgresLogins::open(&url, &options).await.must("open"));
    let (again_url, again) = (url.clone(), options.clone());
    let reopen: Reopen = Arc::new(move || {
        let (url, options) = (again_url.clone(), again.clone());
        Box::pin(async move { Arc::new(PostgresLogins::open(&url, &options).await.must("open")) as _ })
    });
    let corrupt: Corrupt = Arc::new(move |id: LoginId| {
        let (url, options) = (url.clone(), options.clone());
        Box::pin(async move { damage(&url, &options, &id).await })
    });
    TestStore::new(store.clone()).giving_and_taking(store).with(Capabilities {
        events: EventLog::Recorded,
        expiry: Expiry::Swept,
        corrupt: Some(corrupt),
        reopen: Some(reopen),
    })
}

async fn damage(url: &str, options: &LoginOptions, id: &LoginId) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.must("connect");
    let task = tokio::spawn(connection);
    let key = match options.layout {
        Layout::Shared => id.expose().to_owned(),
        Layout::StandAlone => id.hashed(),
    };
    let table = options.table.as_deref().must("a table of its own");
    let sql = format!("update \"{table}\" set sess = '[\"not a session\"]' where sid = '{key}'");
    client.batch_execute(&sql).await.must("damage");
    drop(client);
    task.await.must("the connection's task").must("the connection's end");
}

mod shared {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store("SESSILE_TEST_POSTGRES_URL", sessile_store::Layout::Shared).await
    }
    sessile_store::contract!(engine);
}

mod stand_alone {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store("SESSILE_TEST_POSTGRES_URL", sessile_store::Layout::StandAlone).await
    }
    sessile_store::contract!(engine);
}

mod through_pgbouncer {
    async fn engine() -> sessile_store::contract::TestStore {
        super::store("SESSILE_TEST_PGBOUNCER_URL", sessile_store::Layout::Shared).await
    }
    sessile_store::contract!(engine);
}
