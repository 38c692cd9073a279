//! Where checkouts, payments, coupons, grants and refunds live: one ledger, on SQLite or Postgres.
//!
//! Opened by the program at its start, behind [`LedgerStore`]. Money needs transactions over several rows and an
//! audit that no crash can tear, so neither memory nor Redis is offered.

mod derived;
mod facts;
mod options;
mod portable;
mod postgres;
mod sqlite;

pub use facts::LedgerFacts;
pub use options::LedgerOptions;
pub use portable::{LedgerEnd, open_ledger_end};
pub use postgres::PostgresLedger;
pub use sqlite::SqliteLedger;

use crate::open::{OpenError, StoreUrl};
use sessile_core::ledger::LedgerStore;
use std::sync::Arc;

/// Opens the ledger at an address and creates what is missing there.
///
/// # Errors
/// [`OpenError`] says what to do.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sessile_store::ledger::{LedgerOptions, open_ledger};
/// let folder = tempfile::tempdir()?;
/// let url = format!("sqlite:{}", folder.path().join("sessile.db").display());
/// let ledger = open_ledger(&url, &LedgerOptions::default()).await?;
/// assert_eq!(ledger.audit_head().await?.seq, 0);
/// # Ok(())
/// # }
/// ```
pub async fn open_ledger(url: &str, options: &LedgerOptions) -> Result<Arc<dyn LedgerStore>, OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Sqlite(path) => Arc::new(SqliteLedger::open_shared(&path, options)?),
        StoreUrl::Postgres(url) => Arc::new(PostgresLedger::open(&url, options).await?),
        StoreUrl::Memory | StoreUrl::Redis(_) => {
            let what =
                "checkout and payment sessions need sqlite: or postgres://; name such a database for them";
            return Err(OpenError::Unusable { what: what.to_owned() });
        }
    })
}
