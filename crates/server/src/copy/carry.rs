//! Driving one kind from one end to the other: copy, compare, and again while the source has changed meanwhile.

use super::checkpoint::{Checkpoint, Stage};
use super::told::Told;
use crate::exit::Stop;
use crate::stores::reason_of;
use sessile_core::portable::{Batch, Landed, Mark, Portable, Porter, Sum};
use sessile_core::{Clock, StoreError};
use std::time::Duration;
use tokio::time::Instant;

/// How often all of it is gone through: a source that is in use changes on the way.
const ROUNDS_MAX: u32 = 3;
/// How often one batch is tried while an end does not answer, and the first pause between two tries.
const TRIES_MAX: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Rows that are named when they differ.
const NAMED_MAX: usize = 10;

/// Which kind goes where; places without credentials.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) kind: &'static str,
    pub(super) from: String,
    pub(super) to: String,
}

/// What is to be done with.
pub(super) struct Work<'a, R> {
    pub(super) from: &'a dyn Porter<R>,
    pub(super) to: &'a dyn Porter<R>,
    pub(super) batch: usize,
    pub(super) clock: &'a dyn Clock,
}

/// How many rows came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    pub(super) new: u64,
    pub(super) renewed: u64,
    pub(super) kept: u64,
    pub(super) refused: u64,
    pub(super) unreadable: u64,
}

impl Counts {
    fn add(&mut self, landed: &[Landed]) {
        for one in landed {
            *match one {
                Landed::New => &mut self.new,
                Landed::Renewed => &mut self.renewed,
                Landed::Kept => &mut self.kept,
                Landed::Refused => &mut self.refused,
            } += 1;
        }
    }

    /// Rows that were looked at.
    pub(super) const fn rows(&self) -> u64 {
        self.new + self.renewed + self.kept + self.refused
    }

    const fn changed(&self) -> u64 {
        self.new + self.renewed
    }
}

/// What a comparison of all rows found.
#[derive(Debug, Clone, Default)]
pub(super) struct Compared {
    pub(super) from: Sum,
    pub(super) to: Sum,
    /// Rows that the destination has in a later state.
    pub(super) newer: u64,
    pub(super) missing: u64,
    pub(super) differing: u64,
    /// Some of those that are missing or differ.
    pub(super) named: Vec<String>,
}

/// The end of it.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) counts: Counts,
    pub(super) compared: Compared,
    pub(super) took: Duration,
    /// Rows that this run itself copied, and how long that took: an earlier run may have done the rest.
    pub(super) copied: u64,
    pub(super) copying: Duration,
}

impl Carried {
    /// Whether everything that the source has is at the destination, in this state or a later one.
    pub(super) fn agrees(&self) -> bool {
        let Compared { from, to, missing, differing, .. } = &self.compared;
        *missing == 0 && *differing == 0 && from == to
    }
}

/// Copies and compares until both agree or nothing changes any more.
pub(super) async fn carry<R: Portable>(
    work: &Work<'_, R>,
    checkpoint: &mut Checkpoint,
    told: &mut Told,
) -> Result<Carried, Stop> {
    let began = Instant::now();
    let (mut copied, mut copying) = (0, Duration::ZERO);
    for round in 1.. {
        let before = checkpoint.counts;
        if checkpoint.stage == Stage::Copying {
            let began = Instant::now();
            copy(work, checkpoint, told).await?;
            copied += checkpoint.counts.rows() - before.rows();
            copying += began.elapsed();
        }
        let compared = compare(work, told).await?;
        let changed = checkpoint.counts.changed() - before.changed();
        let carried = Carried { counts: checkpoint.counts, compared, took: began.elapsed(), copied, copying };
        // What differs although this round changed nothing will differ after the next one, too.
        if carried.agrees() || round == ROUNDS_MAX || (round > 1 && changed == 0) {
            return Ok(carried);
        }
        told.again(&carried);
        checkpoint.begin_again()?;
    }
    Err(Stop::failed("no round was made"))
}

/// One way through the source. While one batch comes in at the destination, the source is asked for the next one.
async fn copy<R: Portable>(
    work: &Work<'_, R>,
    checkpoint: &mut Checkpoint,
    told: &mut Told,
) -> Result<(), Stop> {
    told.begin("copy", size(work).await?, checkpoint.counts.rows());
    let mut batch = export(work, checkpoint.mark.as_ref()).await?;
    loop {
        let ahead = async {
            match &batch.next {
                Some(next) => export(work, Some(next)).await.map(Some),
                None => Ok(None),
            }
        };
        let (landed, ahead) = tokio::join!(import(work, &batch.rows), ahead);
        checkpoint.counts.add(&landed?);
        checkpoint.counts.unreadable += batch.unreadable;
        told.at(checkpoint.counts.rows());
        let next = batch.next.take();
        match (ahead?, next) {
            (Some(following), Some(next)) => {
                checkpoint.reached(next)?;
                batch = following;
            }
            _ => return checkpoint.copied(),
        }
    }
}

/// One way through the source, beside what lies under the same names at the destination.
async fn compare<R: Portable>(work: &Work<'_, R>, told: &mut Told) -> Result<Compared, Stop> {
    told.begin("compare", size(work).await?, 0);
    let mut compared = Compared::default();
    let mut batch = export(work, None).await?;
    let mut rows = 0;
    loop {
        let ahead = async {
            match &batch.next {
                Some(next) => export(work, Some(next)).await.map(Some),
                None => Ok(None),
            }
        };
        let held = retried(work, "--to", async || work.to.held(&batch.rows, work.clock.now()).await);
        let (held, ahead) = tokio::join!(held, ahead);
        let now = work.clock.now();
        for (row, held) in batch.rows.iter().zip(held?) {
            if row.canonical().is_none() {
                // The memory of an end is not compared; what lives on in spite of it is a difference.
                if held.is_some_and(|held| row.is_newer_than(&held)) {
                    compared.differ(row);
                }
            } else if !row.ends_before(now) {
                // What ended between the two looks is no difference.
                compared.add(row, held.as_ref());
            }
        }
        rows += batch.rows.len() as u64;
        told.at(rows);
        match ahead? {
            Some(following) => batch = following,
            None => return Ok(compared),
        }
    }
}

impl Compared {
    fn add<R: Portable>(&mut self, row: &R, held: Option<&R>) {
        if held.is_some_and(|held| held.is_newer_than(row)) {
            self.newer += 1;
            return;
        }
        self.from.add(row);
        let Some(held) = held else {
            self.missing += 1;
            return self.name(row, "is missing");
        };
        self.to.add(held);
        if held.canonical() != row.canonical() {
            self.differ(row);
        }
    }

    fn differ(&mut self, row: &impl Portable) {
        self.differing += 1;
        self.name(row, "differs");
    }

    fn name(&mut self, row: &impl Portable, how: &str) {
        if self.named.len() < NAMED_MAX {
            self.named.push(format!("{} {how}", row.fingerprint()));
        }
    }
}

async fn size<R: Portable>(work: &Work<'_, R>) -> Result<u64, Stop> {
    retried(work, "--from", async || work.from.size(work.clock.now()).await).await
}

async fn export<R: Portable>(work: &Work<'_, R>, from: Option<&Mark>) -> Result<Batch<R>, Stop> {
    retried(work, "--from", async || work.from.export(from, work.batch, work.clock.now()).await).await
}

/// Takes a batch; where the engine refuses it as a whole, each row is tried alone.
async fn import<R: Portable>(work: &Work<'_, R>, rows: &[R]) -> Result<Vec<Landed>, Stop> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    match retried_or_refused(work, rows).await? {
        Some(landed) => Ok(landed),
        None if rows.len() == 1 => Ok(vec![Landed::Refused]),
        None => {
            let mut landed = Vec::with_capacity(rows.len());
            for row in rows.chunks(1) {
                let one = retried_or_refused(work, row).await?;
                landed.extend(one.unwrap_or_else(|| vec![Landed::Refused]));
            }
            Ok(landed)
        }
    }
}

async fn retried_or_refused<R: Portable>(
    work: &Work<'_, R>,
    rows: &[R],
) -> Result<Option<Vec<Landed>>, Stop> {
    retried(work, "--to", async || match work.to.import(rows, work.clock.now()).await {
        Err(StoreError::Refused(_)) => Ok(None),
        landed => landed.map(Some),
    })
    .await
}

/// An end that does not answer is asked again for a while.
async fn retried<R, T>(
    _: &Work<'_, R>,
    end: &str,
    call: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<T, Stop> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES_MAX {
        match call().await {
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(end, reason = reason_of(&error), "an end of the copy does not answer");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other.map_err(|error| stopped(end, &error)),
        }
    }
    call().await.map_err(|error| stopped(end, &error))
}

fn stopped(end: &str, error: &StoreError) -> Stop {
    if matches!(error, StoreError::Conflict) {
        return Stop::failed(super::money::ANOTHER_CHAIN);
    }
    Stop::failed(format!(
        "{end}: {}. What has arrived stays; run the same command again and it goes on from there",
        reason_of(error)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use sessile_core::login::{LoginId, LoginName, PortableLogin, PortableSession};
    use sessile_core::{SystemClock, Timestamp};
    use std::sync::Mutex;

    /// One row on each side. The session at the source ends, by a logout, when it has been shown once.
    struct End {
        row: Mutex<Option<PortableLogin>>,
        logs_out: bool,
    }

    fn name() -> LoginName {
        LoginName::Plain(LoginId::parse("a").unwrap())
    }

    fn over() -> PortableLogin {
        PortableLogin::Ended { name: name(), until: Timestamp::FAR }
    }

    #[async_trait]
    impl Porter<PortableLogin> for End {
        async fn size(&self, _: Timestamp) -> Result<u64, StoreError> {
            Ok(1)
        }

        async fn export(
            &self,
            _: Option<&Mark>,
            _: usize,
            _: Timestamp,
        ) -> Result<Batch<PortableLogin>, StoreError> {
            let mut row = self.row.lock().unwrap();
            let shown = row.clone();
            if self.logs_out {
                *row = Some(over());
            }
            Ok(Batch { rows: shown.into_iter().collect(), next: None, unreadable: 0 })
        }

        async fn import(&self, rows: &[PortableLogin], _: Timestamp) -> Result<Vec<Landed>, StoreError> {
            *self.row.lock().unwrap() = rows.last().cloned();
            Ok(vec![Landed::New; rows.len()])
        }

        async fn held(
            &self,
            like: &[PortableLogin],
            _: Timestamp,
        ) -> Result<Vec<Option<PortableLogin>>, StoreError> {
            Ok(like.iter().map(|_| self.row.lock().unwrap().clone()).collect())
        }
    }

    #[tokio::test]
    async fn who_logs_out_at_the_source_meanwhile_is_not_left_signed_in_at_the_destination() {
        let session = PortableLogin::Session(PortableSession {
            name: name(),
            json: "{}".to_owned(),
            expires_at: Timestamp::FAR,
            retiring: false,
        });
        let from = End { row: Mutex::new(Some(session)), logs_out: true };
        let to = End { row: Mutex::new(None), logs_out: false };
        let folder = tempfile::tempdir().unwrap();
        let way = Way { kind: "login", from: "a".to_owned(), to: "b".to_owned() };
        let mut checkpoint = Checkpoint::of(folder.path(), &way, true).unwrap();
        let mut told = Told::quiet(&way, true);
        let work = Work { from: &from, to: &to, batch: 10, clock: &SystemClock };
        let carried = carry(&work, &mut checkpoint, &mut told).await.unwrap();
        assert!(carried.agrees(), "{carried:?}");
        assert_eq!(*to.row.lock().unwrap(), Some(over()));
    }
}
