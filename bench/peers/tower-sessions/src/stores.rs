//! The three stores, each with the settings that measured best here (`POOL_SIZE` overrides the size).
//!
//! Called once by `main`. It must never weaken durability: Postgres keeps its own setting, SQLite runs
//! `synchronous=FULL`.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::{PostgresStore, SqliteStore};

const POSTGRES_POOL: u32 = 16;
const SQLITE_POOL: u32 = 8;
const REDIS_POOL: u32 = 1;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn postgres(url: &str) -> Result<PostgresStore> {
    let pool = PgPoolOptions::new()
        .max_connections(pool_size(POSTGRES_POOL)?)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The default pings the server before every use: one more round trip a request.
        .test_before_acquire(std::env::var_os("POOL_PING").is_some())
        .connect(url)
        .await
        .context("Postgres did not answer at DATABASE_URL")?;
    let store = PostgresStore::new(pool);
    store.migrate().await.context("the table could not be created")?;
    Ok(store)
}

pub async fn sqlite(path: &str) -> Result<SqliteStore> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let pool = SqlitePoolOptions::new()
        .max_connections(pool_size(SQLITE_POOL)?)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(std::env::var_os("POOL_PING").is_some())
        .connect_with(options)
        .await
        .context("SQLITE_PATH cannot be opened")?;
    let store = SqliteStore::new(pool);
    store.migrate().await.context("the table could not be created")?;
    Ok(store)
}

pub async fn redis(url: &str) -> Result<RedisStore<Pool>> {
    let config = Config::from_url(url).context("REDIS_URL is not understood")?;
    let size = usize::try_from(pool_size(REDIS_POOL)?)?;
    let pool = Pool::new(config, None, None, None, size).context("the Redis pool could not be made")?;
    // The connection tasks end with the process.
    drop(pool.connect());
    pool.wait_for_connect().await.context("Redis did not answer at REDIS_URL")?;
    Ok(RedisStore::new(pool))
}

fn pool_size(best: u32) -> Result<u32> {
    match std::env::var("POOL_SIZE") {
        Ok(size) => size.parse().context("POOL_SIZE is not a number"),
        Err(_) => Ok(best),
    }
}
