//! Homes of WhatsApp devices: SQLite, Postgres, files, Supabase, and memory for tests. One contract suite.

mod failpoint;
pub mod file;
mod memory;
pub mod migration;
mod pace;
mod postgres;
pub(crate) mod rules;
mod spool;
mod sqlite;
mod supabase;

pub use file::FileDevices;
pub use memory::MemoryDevices;
pub use pace::TokioPace;
pub use postgres::{PostgresDevices, TABLES};
pub use spool::{SpoolMode, SpooledDevices, Standing, must_arrive};
pub use sqlite::SqliteDevices;
pub use supabase::{SupabaseDevices, SupabaseKey};
