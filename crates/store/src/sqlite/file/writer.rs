//! The one thread that writes. It sleeps until something waits, takes everything that does, carries it out in one
//! transaction and answers after the commit: an idle store pays no delay, a busy one pays one fsync per batch.
//!
//! It knows no kind of session: a job gets the connection, inside the transaction, and jobs of several kinds share
//! one. A refusal (gone, taken, too large) is decided before its item writes anything, so neighbours never notice. When
//! SQLite itself fails in the middle, the batch is rolled back and each item is tried alone.

use super::fault::SqliteFault;
use crate::open::OpenError;
use rusqlite::Connection;
use sessile_core::StoreError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Items in one transaction.
const BATCH_MAX: usize = 512;
/// Items that may wait; beyond that, askers wait for a place.
const QUEUE_MAX: usize = 16 * 1024;
/// How long an asker waits for its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How long the file is left alone after long work, so that another process gets its turn: SQLite keeps no queue,
/// and whoever asks again at once nearly always wins. Twice the pause of one who waits.
const GIVE_WAY: Duration = Duration::from_millis(2);

type Refusable<R> = Result<R, StoreError>;

/// Whether a piece of work is one of many long ones in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It is not.
    GoOn,
    /// It is: afterwards other processes get a turn.
    GiveWay,
}

trait Job: Send {
    fn manners(&self) -> Manners;
    fn run(&mut self, db: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>);
    fn fail(self: Box<Self>, fault: &SqliteFault);
}

struct Ask<W, R> {
    work: W,
    manners: Manners,
    outcome: Option<Refusable<R>>,
    reply: oneshot::Sender<Refusable<R>>,
}

impl<W, R> Job for Ask<W, R>
where
    W: Fn(&Connection) -> rusqlite::Result<Refusable<R>> + Send,
    R: Send,
{
    fn manners(&self) -> Manners {
        self.manners
    }

    fn run(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // An asker that went away does not want its answer.
            drop(self.reply.send(outcome));
        }
    }

    fn fail(self: Box<Self>, fault: &SqliteFault) {
        drop(self.reply.send(Err(StoreError::unavailable(fault.clone()))));
    }
}

/// The way to the thread.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(db: Connection, path: &Path) -> Result<Self, OpenError> {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        let place = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || Bench { db, place }.serve(inbox))
            .map_err(|error| OpenError::Unusable {
                what: format!(
                    "no thread could be started for the SQLite writer ({error}); raise the limit on threads"
                ),
            })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Waits until `work` has been carried out and is durable. It is carried out even when the asker goes away.
    pub(super) async fn ask<W, R>(&self, work: W, manners: Manners) -> Refusable<R>
    where
        W: Fn(&Connection) -> rusqlite::Result<Refusable<R>> + Send + 'static,
        R: Send + 'static,
    {
        let stopped = || StoreError::unavailable("the SQLite writer has stopped; restart the program");
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Ask { work, manners, outcome: None, reply });
        let exchange = async {
            let queue = self.queue.as_ref().ok_or_else(stopped)?;
            queue.send(job).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        };
        let late =
            || StoreError::unavailable(format!("the SQLite writer did not answer within {ANSWER_LIMIT:?}"));
        tokio::time::timeout(ANSWER_LIMIT, exchange).await.map_err(|_| late())?
    }
}

impl Drop for Writer {
    /// Waits until the thread has finished what was accepted.
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the SQLite writer ended with a panic");
        }
    }
}

/// Where in a batch SQLite failed.
enum Failed {
    /// Before any item ran, or at the commit: the same would happen to each item alone, or has happened already.
    Whole(rusqlite::Error),
    /// While an item ran; everything is rolled back.
    Midway,
}

struct Bench {
    db: Connection,
    place: PathBuf,
}

impl Bench {
    fn serve(self, mut inbox: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while inbox.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            let gives_way = batch.iter().any(|job| job.manners() == Manners::GiveWay);
            match self.transact(&mut batch) {
                Ok(()) => batch.drain(..).for_each(Job::answer),
                Err(Failed::Whole(error)) => self.fail(&mut batch, &error),
                Err(Failed::Midway) => batch.drain(..).for_each(|job| self.alone(job)),
            }
            if gives_way {
                std::thread::park_timeout(GIVE_WAY);
            }
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<(), Failed> {
        self.say("BEGIN IMMEDIATE").map_err(Failed::Whole)?;
        for job in batch {
            if let Err(error) = self.run(job) {
                tracing::warn!(place = %self.place.display(), %error, "a change failed; its batch is tried one by one");
                self.undo();
                return Err(Failed::Midway);
            }
        }
        self.say("COMMIT").map_err(|error| {
            self.undo();
            Failed::Whole(error)
        })
    }

    /// A panic is the fault of its own job: the thread goes on, and nothing of the job is kept.
    fn run(&self, job: &mut Box<dyn Job>) -> rusqlite::Result<()> {
        catch_unwind(AssertUnwindSafe(|| job.run(&self.db))).unwrap_or_else(|_| {
            let panicked = "the change panicked; this is a fault of the program, and its log says where";
            Err(rusqlite::Error::ToSqlConversionFailure(panicked.into()))
        })
    }

    fn alone(&self, mut job: Box<dyn Job>) {
        let done =
            self.say("BEGIN IMMEDIATE").and_then(|()| self.run(&mut job)).and_then(|()| self.say("COMMIT"));
        match done {
            Ok(()) => job.answer(),
            Err(error) => {
                self.undo();
                self.fail(&mut vec![job], &error);
            }
        }
    }

    fn fail(&self, batch: &mut Vec<Box<dyn Job>>, error: &rusqlite::Error) {
        let fault = SqliteFault::new(&self.place, error);
        tracing::error!(%fault, changes = batch.len(), "changes could not be stored");
        batch.drain(..).for_each(|job| job.fail(&fault));
    }

    fn undo(&self) {
        // SQLite may have rolled back by itself.
        if !self.db.is_autocommit() && self.say("ROLLBACK").is_err() {
            tracing::error!(place = %self.place.display(), "a transaction could not be rolled back");
        }
    }

    fn say(&self, sql: &str) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute([]).map(drop)
    }
}
