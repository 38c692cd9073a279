//! The engine is chosen by URL, at run time.

use crate::memory::MemoryLogins;
use crate::options::LoginOptions;
use crate::postgres::PostgresLogins;
use crate::redis::RedisLogins;
use crate::sqlite::SqliteLogins;
use sessile_core::StoreError;
use sessile_core::login::LoginStore;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a store could not be opened. Each sentence says what to do; none holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL or an option is wrong.
    #[error("{what}")]
    Unusable {
        /// What is wrong and how it should be.
        what: String,
    },
    /// The server or the file cannot be reached.
    #[error(
        "{place} does not answer: {what}. Check that it runs, and that address and credentials are right"
    )]
    Unreachable {
        /// Host and database, or the file; no credentials.
        place: String,
        /// What the driver said.
        what: String,
    },
    /// It answers, but its tables are not what we need.
    #[error("{place}: {what}")]
    Schema {
        /// Where.
        place: String,
        /// What is wrong, and the remedy.
        what: String,
    },
}

impl OpenError {
    /// An [`OpenError::Unreachable`] that tells the innermost reason, which is the one that helps.
    #[must_use]
    pub fn unreachable(place: &str, error: &StoreError) -> Self {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        Self::Unreachable { place: place.to_owned(), what: reason.to_string() }
    }
}

/// Where sessions live, as an address says it.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:`
    Memory,
    /// `sqlite:path` or `sqlite://path`
    Sqlite(PathBuf),
    /// `postgres://…` or `postgresql://…`
    Postgres(String),
    /// `redis://…`, `rediss://…`, a list of them, or `redis+cluster://…`
    Redis(String),
}

impl StoreUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] names the schemes that are known; it never repeats the address.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        match scheme {
            "memory" => Ok(Self::Memory),
            "sqlite" | "file" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(unusable("the address names no file; write sqlite:/path/to/sessile.db"));
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(url.to_owned())),
            "redis" | "rediss" | "redis+cluster" | "rediss+cluster" => Ok(Self::Redis(url.to_owned())),
            _ => Err(unusable(
                "the address has none of the known schemes postgres://, postgresql://, sqlite:, redis://, \
                 rediss://, memory:",
            )),
        }
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory:",
            Self::Sqlite(_) => "sqlite:[…]",
            Self::Postgres(_) => "postgres://[…]",
            Self::Redis(_) => "redis://[…]",
        })
    }
}

fn unusable(what: &str) -> OpenError {
    OpenError::Unusable { what: what.to_owned() }
}

/// Opens the login store at an address and creates what is missing there.
///
/// # Errors
/// [`OpenError`] says what to do.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sessile_store::OpenError> {
/// let store = sessile_store::open_logins("memory:", &sessile_store::LoginOptions::default()).await?;
/// assert_eq!(store.info().engine, "memory");
/// # Ok(())
/// # }
/// ```
pub async fn open_logins(url: &str, options: &LoginOptions) -> Result<Arc<dyn LoginStore>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Memory => Arc::new(MemoryLogins::new(options.clone())),
        StoreUrl::Sqlite(path) => Arc::new(SqliteLogins::open_shared(&path, options)?),
        StoreUrl::Postgres(url) => Arc::new(PostgresLogins::open(&url, options).await?),
        StoreUrl::Redis(url) => Arc::new(RedisLogins::open(&url, options).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_schemes_are_refused_without_repeating_the_address() {
        let error = StoreUrl::parse("mysql://u:hunter2@h/d").err().unwrap().to_string();
        assert!(error.contains("postgres://") && !error.contains("hunter2"), "{error}");
        assert_eq!(StoreUrl::parse("sqlite:///a/b.db").ok(), Some(StoreUrl::Sqlite("/a/b.db".into())));
        assert!(StoreUrl::parse("sqlite:").is_err() && StoreUrl::parse("").is_err());
        let shown = format!("{:?}", StoreUrl::parse("postgres://u:hunter2@h/d").unwrap());
        assert!(!shown.contains("hunter2"));
    }
}
