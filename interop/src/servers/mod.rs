//! Real servers on free loopback ports and in temporary folders, stopped and removed on drop.
//!
//! Tests start what they want to break: a private Postgres can be killed, a proxy can be cut. Each value owns
//! its process and its folder; dropping it, a panic, or the death of the whole test process ends both. A server
//! that the machine runs by itself is never looked for and never used.

mod account;
mod cluster;
pub(crate) mod error;
pub(crate) mod folder;
mod gateway;
pub(crate) mod node;
mod pgbouncer;
mod ports;
mod postgres;
mod postgrest;
pub(crate) mod process;
mod proxy;
mod redis;
mod tools;

pub use self::cluster::RedisCluster;
pub use self::error::ServerError;
pub use self::node::NodeApp;
pub use self::pgbouncer::PgBouncer;
pub use self::ports::free_port;
pub use self::postgres::Postgres;
pub use self::postgrest::{Keys, PostgRest, SCHEMAS, schema_name};
pub use self::process::eventually;
pub use self::proxy::Proxy;
pub use self::redis::{Persistence, Redis};
