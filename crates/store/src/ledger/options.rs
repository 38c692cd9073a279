//! How a ledger is set up.

use crate::options::Choice;
use crate::users::USERS_TABLE;

/// The choices; [`LedgerOptions::default`] is what the program uses when nothing is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Create what is missing at the start, and take over tables of the older shape.
    pub create: Choice,
    /// Postgres: the schema; `None` is the role's search path.
    pub schema: Option<String>,
    /// The users' table, in which tiers are kept.
    pub users_table: String,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { create: Choice::Yes, schema: None, users_table: USERS_TABLE.to_owned() }
    }
}
