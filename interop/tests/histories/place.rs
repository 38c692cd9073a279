//! A ledger of its own for one history: a file, or a schema.

use sessile_core::ledger::LedgerStore;
use sessile_store::ledger::{LedgerOptions, open_ledger};
use std::sync::Arc;
use tempfile::TempDir;

/// Where ledgers are made.
pub(crate) enum Engine {
    /// In files.
    Sqlite,
    /// In schemas of the database at this address.
    Postgres(String),
}

/// One ledger.
pub(crate) struct Place {
    pub(crate) ledger: Arc<dyn LedgerStore>,
    _folder: Option<TempDir>,
}

impl Engine {
    pub(crate) async fn place(&self, number: usize) -> Result<Place, String> {
        let failed = |error: &dyn std::fmt::Display| format!("no ledger could be made: {error}");
        let (url, options, folder) = match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
                let url = format!("sqlite:{}", folder.path().join("sessile.db").display());
                (url, LedgerOptions::default(), Some(folder))
            }
            Self::Postgres(url) => {
                let options = LedgerOptions {
                    schema: Some(format!("history_{number}")),
                    users_table: format!("users_{number}"),
                    ..LedgerOptions::default()
                };
                (url.clone(), options, None)
            }
        };
        let ledger = open_ledger(&url, &options).await.map_err(|error| failed(&error))?;
        Ok(Place { ledger, _folder: folder })
    }
}
