//! How a login store is set up: where it is, and the few choices that its tables and keys leave open.

use std::fmt;

/// Which tables Postgres uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// connect-pg-simple's own table with plain ids, shared with an Express application.
    Shared,
    /// A table of ours that stores only a hash of each id. For installations without an Express peer.
    StandAlone,
}

/// Whether something extra is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// The choices; [`LoginOptions::default`] is what the program uses when nothing is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOptions {
    /// The top-level key that names the user (`userId`).
    pub user_key: String,
    /// Record events in the outbox. Somebody has to take them ([`sessile_core::login::LoginStore::events`]).
    pub events: Choice,
    /// Postgres: shared with Express, or stand-alone.
    pub layout: Layout,
    /// Postgres: the schema; `None` is the role's search path.
    pub schema: Option<String>,
    /// Postgres and SQLite: the table; `None` is `session` (shared) or `sessile_login` (stand-alone, SQLite).
    pub table: Option<String>,
    /// Create what is missing at the start.
    pub create: Choice,
    /// Postgres, shared layout: triggers that keep a late write by Express from reviving an ended session.
    pub guard: Choice,
    /// Redis: the key prefix (`sess:`).
    pub prefix: String,
}

impl Default for LoginOptions {
    fn default() -> Self {
        Self {
            user_key: "userId".to_owned(),
            events: Choice::No,
            layout: Layout::Shared,
            schema: None,
            table: None,
            create: Choice::Yes,
            guard: Choice::Yes,
            prefix: "sess:".to_owned(),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared with Express",
            Self::StandAlone => "stand-alone, hashed ids",
        })
    }
}
