//! Where users live: a small table beside the login sessions, on memory, SQLite or Postgres.
//!
//! Opened by the server at its start, behind `sessile_core::UserDirectory`. [`SpooledUsers`] keeps sign-ins going
//! while Postgres is away. Nobody above this module sees SQL.

mod memory;
mod postgres;
mod spooled;
mod sqlite;

pub use memory::MemoryUsers;
pub use postgres::PostgresUsers;
pub use spooled::SpooledUsers;
pub use sqlite::SqliteUsers;
pub(crate) use sqlite::create_tables;

/// The table's name where none is configured.
pub const USERS_TABLE: &str = "users";
/// Longest name: what is derived from it has to fit into 63 bytes.
const TABLE_CHARS_MAX: usize = 40;

/// Only names that need no quoting are taken, so that none can end a statement.
pub(crate) fn check_table(table: &str) -> Result<(), crate::OpenError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = table.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if begins && table.len() <= TABLE_CHARS_MAX && table.bytes().all(plain) {
        return Ok(());
    }
    let what = format!(
        "the users table's name is 1 to {TABLE_CHARS_MAX} lower-case letters, digits and underscores, \
         not beginning with a digit"
    );
    Err(crate::OpenError::Unusable { what })
}
