//! Homes of generation sessions: Redis (`session:<id>`), Postgres, SQLite, and memory for tests. One contract suite.

pub mod memory;
mod portable;
pub mod postgres;
pub mod redis;
pub mod sqlite;

pub use memory::MemoryGenerations;
pub use portable::open_generation_end;
pub use postgres::PostgresGenerations;
pub use redis::RedisGenerations;
pub use sqlite::SqliteGenerations;

use crate::open::{OpenError, StoreUrl};
use crate::options::Choice;
use redis::RedisGenerationOptions;
use sessile_core::generation::GenerationStore;
use std::sync::Arc;

/// Opens the home of generation sessions at an address, and creates what is missing there.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn open_generations(url: &str) -> Result<Arc<dyn GenerationStore>, OpenError> {
    open_generations_as(url, Choice::Yes).await
}

/// Opens the home of generation sessions at an address; creates what is missing there if told to.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn open_generations_as(url: &str, create: Choice) -> Result<Arc<dyn GenerationStore>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Memory => Arc::new(MemoryGenerations::default()),
        StoreUrl::Sqlite(path) => Arc::new(SqliteGenerations::open(&path, create)?),
        StoreUrl::Postgres(url) => Arc::new(PostgresGenerations::open(&url, create).await?),
        StoreUrl::Redis(url) => {
            Arc::new(RedisGenerations::open(&url, &RedisGenerationOptions::default()).await?)
        }
    })
}
