//! Bringing a kind's tables up to date, by any number of processes at the same moment. A file may hold the tables of
//! several kinds, so each keeps its own version in `sessile_schema` rather than in the file's one `user_version`.

use super::fault::Unanswered;
use crate::open::OpenError;
use crate::options::Choice;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::Path;

/// Where the versions are kept.
const VERSIONS: &str =
    "CREATE TABLE IF NOT EXISTS sessile_schema (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT";

/// The tables of one kind.
pub(crate) struct Tables<'a> {
    /// Under which its version is kept.
    pub(crate) name: &'a str,
    /// The one that this program knows.
    pub(crate) version: i64,
}

impl Tables<'_> {
    /// Makes sure that they are there, in this version; `create` makes them inside one transaction.
    pub(super) fn migrate(
        &self,
        db: &mut Connection,
        path: &Path,
        allowed: Choice,
        create: impl FnOnce(&Connection) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let wrong =
            |found| OpenError::Schema { place: path.display().to_string(), what: self.not_current(found) };
        if self.found(db).unopened(path)? == Some(self.version) {
            return Ok(());
        }
        if allowed == Choice::No {
            return Err(wrong(self.found(db).unopened(path)?));
        }
        // Whoever comes second waits here, and then finds everything done.
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate).unopened(path)?;
        match self.found(&step).unopened(path)? {
            Some(found) if found == self.version => return Ok(()),
            None => {
                step.execute_batch(VERSIONS).unopened(path)?;
                create(&step)?;
                let record = "INSERT INTO sessile_schema (name, version) VALUES (?1, ?2)";
                step.execute(record, params![self.name, self.version]).unopened(path)?;
            }
            found => return Err(wrong(found)),
        }
        step.commit().unopened(path)
    }

    /// The version of our tables in this file; `None`: they are not there.
    fn found(&self, db: &Connection) -> rusqlite::Result<Option<i64>> {
        let versions = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sessile_schema'";
        if db.query_row(versions, [], |_| Ok(())).optional()?.is_none() {
            return Ok(None);
        }
        let ours = "SELECT version FROM sessile_schema WHERE name = ?1";
        db.query_row(ours, [self.name], |row| row.get(0)).optional()
    }

    fn not_current(&self, found: Option<i64>) -> String {
        let (name, known) = (self.name, self.version);
        match found {
            Some(newer) if newer > known => format!(
                "table {name} has schema version {newer}, and this program knows {known}; \
                 update the program, or name another file"
            ),
            _ => format!("table {name} is missing; start once with permission to create it"),
        }
    }
}
