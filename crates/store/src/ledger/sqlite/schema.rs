//! The tables and their versions.

use super::takeover::take_over;
use crate::open::OpenError;
use crate::options::Choice;
use crate::sqlite::file::{SqliteFile, Tables, Unanswered};
use rusqlite::ErrorCode;

/// The version of the ledger's tables.
const LEDGER_SCHEMA_VERSION: i64 = 1;

/// The ledger's tables, for whoever wants to create or read them by hand.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// Makes the tables where they are missing, and takes over those of an older application.
pub(super) fn prepare(file: &SqliteFile, create: Choice) -> Result<(), OpenError> {
    let path = file.path();
    let tables = Tables { name: "ledger", version: LEDGER_SCHEMA_VERSION };
    file.migrate(&tables, create, |db| {
        take_over(db, path)?;
        match db.execute_batch(SCHEMA) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let what = format!("{error}: the table holds that value twice; remove one of the rows");
                Err(OpenError::Schema { place: path.display().to_string(), what })
            }
            made => made.unopened(path),
        }
    })
}
