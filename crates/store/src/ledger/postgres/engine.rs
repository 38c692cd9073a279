//! A batch of decisions is one transaction in two round trips: the first takes the head's lock and loads everything,
//! the second writes everything and commits.
//!
//! The lock on `audit_head` makes one line of all processes, so that no decision sees half of another's and none is
//! decided on something stale. Its waits are short and end on the server's side too: a process that is frozen or cut
//! off loses the lock with its transaction.

use super::keys::Keys;
use super::loads::{Flight, Loads, Locking};
use super::rows::Unreadable;
use super::writes::Writes;
use crate::postgres::connect::{Database, Link, Query, Step, Value, lost_a_race};
use sessile_core::ledger::{Books, Reads, Sheet, Work, settle};
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Error, Row};

/// How often a batch that lost a deadlock against a foreign writer is run again.
const RACES_MAX: usize = 3;
/// Every look-up has an index. A plan is made once, also while a table is still small, so it must not be a scan of
/// the whole table; and no plan of ours is worth compiling.
const BEGIN: &str = "begin; set local lock_timeout = '4s'; set local statement_timeout = '8s'; \
    set local idle_in_transaction_session_timeout = '5s'; set local timezone = 'UTC'; \
    set local enable_seqscan = off; set local jit = off; set local plan_cache_mode = force_generic_plan";
/// One picture for all statements, without any lock.
const LOOK: &str = "begin isolation level repeatable read read only; set local statement_timeout = '8s'; \
    set local idle_in_transaction_session_timeout = '5s'; set local timezone = 'UTC'; \
    set local enable_seqscan = off; set local jit = off; set local plan_cache_mode = force_generic_plan";
/// A statement of its own kind: plans that fit its parameters.
const ALONE: &str = "begin; set local lock_timeout = '4s'; set local statement_timeout = '8s'; \
    set local timezone = 'UTC'; set local jit = off";

/// The ledger in one schema of one database.
pub(super) struct Engine {
    pub(super) database: Database,
    pub(super) unreadable: Unreadable,
    loads: Loads,
    writes: Writes,
}

impl Engine {
    pub(super) fn new(database: Database, schema: &str, users: &str) -> Self {
        Self {
            database,
            unreadable: Unreadable::default(),
            loads: Loads::new(schema, users),
            writes: Writes::new(schema, users),
        }
    }

    /// Carries a batch out. Where the database refuses it, its halves are tried: who cannot be written fails alone.
    pub(super) async fn transact(&self, works: Vec<Work>) -> Vec<Result<(), StoreError>> {
        let mut answers = Vec::with_capacity(works.len());
        let mut rest: Vec<&[Work]> = vec![&works];
        while let Some(batch) = rest.pop() {
            match self.batch(batch).await {
                Ok(outcomes) => answers.extend(outcomes),
                Err(error) if batch.len() > 1 && Blame::of(&error) == Blame::Somebody => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    rest.extend([second, first]);
                }
                Err(error) => answers.extend(for_all(batch.len(), named(error))),
            }
        }
        answers
    }

    async fn batch(&self, works: &[Work]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut races = 0;
        loop {
            let done = self.database.run(|mut link| async move {
                let done = Box::pin(self.attempt(&mut link, works)).await;
                if done.as_ref().is_err_and(|error| error.as_db_error().is_some()) {
                    // The transaction is still open on this connection.
                    let _ = link.client.batch_execute("rollback").await;
                }
                (link, done)
            });
            match done.await {
                Err(error) if lost_a_race(&error) && races < RACES_MAX => races += 1,
                Err(error) => return Err(error),
                Ok(settled) => return settled,
            }
        }
    }

    /// The two round trips. A fault of the driver is the outer error, one in what came back the inner one.
    async fn attempt(
        &self,
        link: &mut Link,
        works: &[Work],
    ) -> Result<Result<Vec<Result<(), StoreError>>, StoreError>, Error> {
        let keys = Keys::of(works.iter().map(Work::reads));
        let flight = self.loads.flight(&keys, BEGIN, Locking::Locked);
        let answers = self.database.flight(link, &flight.steps).await?;
        let sheet = match self.settled(&flight, &answers, works) {
            Ok(sheet) => sheet,
            Err(error) => {
                self.database.flight(link, &[Step::Script("rollback")]).await?;
                return Ok(Err(error));
            }
        };
        let now = works.iter().map(Work::now).max().unwrap_or(Timestamp::EPOCH);
        let mut steps = self.writes.steps(&sheet, now);
        // Nothing was written: the locks go without waiting for the disk.
        steps.push(Step::Script(if steps.is_empty() { "rollback" } else { "commit" }));
        self.database.flight(link, &steps).await?;
        drop(steps);
        Ok(Ok(sheet.outcomes))
    }

    fn settled(
        &self,
        flight: &Flight<'_>,
        answers: &[Vec<Row>],
        works: &[Work],
    ) -> Result<Sheet, StoreError> {
        let (head, mut books) = flight.books(answers, &self.unreadable)?;
        Ok(settle(&mut books, &head, works))
    }

    /// Books for a batch of askers, who share them.
    pub(super) async fn look(&self, reads: Vec<Reads>) -> Vec<Result<Arc<Books>, StoreError>> {
        let keys = Keys::of(&reads);
        let mut flight = self.loads.flight(&keys, LOOK, Locking::Shown);
        flight.steps.push(Step::Script("commit"));
        let books = match self.fly(&flight.steps).await {
            Ok(answers) => flight.books(&answers, &self.unreadable).map(|(_, books)| Arc::new(books)),
            Err(error) => Err(error),
        };
        match books {
            Ok(books) => reads.iter().map(|_| Ok(books.clone())).collect(),
            Err(error) => for_all(reads.len(), error),
        }
    }

    /// Runs one statement as a transaction of its own.
    pub(super) async fn ask(&self, query: &Query, values: Vec<Value<'_>>) -> Result<Vec<Row>, StoreError> {
        let steps = [Step::Script(ALONE), Step::Ask(query, values), Step::Script("commit")];
        let mut answers = self.fly(&steps).await?;
        Ok(answers.swap_remove(1))
    }

    /// Sends steps that are one transaction from its beginning to its end.
    async fn fly(&self, steps: &[Step<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        let fly = self.database.run(|mut link| async move {
            let answers = Box::pin(self.database.flight(&mut link, steps)).await;
            (link, answers)
        });
        fly.await
    }
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// One piece of work cannot be written; the others can.
    Somebody,
    /// Nobody's: the database did not answer, or not in time.
    Nobody,
}

impl Blame {
    fn of(error: &StoreError) -> Self {
        let code = database_error(error).map(DbError::code);
        // Data exceptions (our own guard among them), integrity violations, limits of the program.
        let classes = ["22", "23", "54"];
        match code {
            Some(code) if classes.iter().any(|class| code.code().starts_with(class)) => Self::Somebody,
            _ => Self::Nobody,
        }
    }
}

fn database_error(error: &StoreError) -> Option<&DbError> {
    let (StoreError::Refused(cause) | StoreError::Unavailable(cause)) = error else { return None };
    cause.downcast_ref::<Error>().and_then(Error::as_db_error)
}

/// What an error means to the one whose fault it is.
fn named(error: StoreError) -> StoreError {
    match database_error(&error).map(DbError::code) {
        Some(code) if *code == SqlState::UNIQUE_VIOLATION => StoreError::Taken,
        // Our guard: a row is not as it was decided on, or the name of a new one was purged.
        Some(code) if *code == SqlState::DIVISION_BY_ZERO => StoreError::Conflict,
        Some(code) if code.code().starts_with("23") => StoreError::Refused(Box::new(Shared(Arc::new(error)))),
        _ => error,
    }
}

/// The same error for everybody.
fn for_all<T>(count: usize, error: StoreError) -> Vec<Result<T, StoreError>> {
    if count == 1 {
        return vec![Err(error)];
    }
    let refused = matches!(error, StoreError::Refused(_));
    let cause = Arc::new(error);
    let again = |_| {
        let shared: Box<Shared> = Box::new(Shared(cause.clone()));
        Err(if refused { StoreError::Refused(shared) } else { StoreError::Unavailable(shared) })
    };
    (0..count).map(again).collect()
}

#[derive(Debug, thiserror::Error)]
#[error("the transaction failed")]
struct Shared(#[source] Arc<StoreError>);
