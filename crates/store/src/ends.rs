//! The two ends of a move, chosen by URL as everything else is. For `sessile copy` and other maintenance by hand; a server
//! never opens one.

use crate::open::{OpenError, StoreUrl};
use crate::options::LoginOptions;
use crate::postgres::PostgresLogins;
use crate::redis::RedisLogins;
use crate::sqlite::SqliteLogins;
use sessile_core::login::{AmendLogins, LoginStore, Names, PortableLogin};
use sessile_core::portable::Porter;
use std::sync::Arc;

/// A home of login sessions that gives and takes them.
pub trait LoginEnd: LoginStore + Porter<PortableLogin> + AmendLogins {
    /// Whether it keeps ids or hashes of them.
    fn names(&self) -> Names;
}

impl LoginEnd for SqliteLogins {
    fn names(&self) -> Names {
        Self::names(self)
    }
}

impl LoginEnd for PostgresLogins {
    fn names(&self) -> Names {
        Self::names(self)
    }
}

impl LoginEnd for RedisLogins {
    fn names(&self) -> Names {
        Self::names(self)
    }
}

/// Opens the login sessions at an address as one end of a move.
///
/// # Errors
/// [`OpenError`] says what to do; memory is no end of anything.
pub async fn open_login_end(url: &str, options: &LoginOptions) -> Result<Arc<dyn LoginEnd>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Memory => return Err(nowhere()),
        StoreUrl::Sqlite(path) => Arc::new(SqliteLogins::open_shared(&path, options)?),
        StoreUrl::Postgres(url) => Arc::new(PostgresLogins::open(&url, options).await?),
        StoreUrl::Redis(url) => Arc::new(RedisLogins::open(&url, options).await?),
    })
}

pub(crate) fn nowhere() -> OpenError {
    let what = "nothing moves from or to memory: name sqlite:, postgres:// or redis://".to_owned();
    OpenError::Unusable { what }
}
