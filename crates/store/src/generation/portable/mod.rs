//! Paid jobs and Stripe's messages that move from one engine to another. A job may be known by our name at one end and by
//! Stripe's at the other: the later revision says which counts.

mod postgres;
mod sqlite;

use super::{PostgresGenerations, RedisGenerations, SqliteGenerations};
use crate::ends::nowhere;
use crate::generation::redis::RedisGenerationOptions;
use crate::open::{OpenError, StoreUrl};
use crate::options::Choice;
use sessile_core::generation::{GenerationKey, PortableGeneration};
use sessile_core::portable::{Mark, Porter};
use std::sync::Arc;

/// What jobs, and then messages, begin with in a mark.
const JOBS: &str = "job ";
const EVENTS: &str = "event ";

/// Opens the paid jobs at an address as one end of a move; answers where that is, too.
///
/// # Errors
/// [`OpenError`] says what to do; memory is no end of anything.
pub async fn open_generation_end(
    url: &str,
    create: Choice,
) -> Result<(Arc<dyn Porter<PortableGeneration>>, String), OpenError> {
    Ok(match StoreUrl::parse(url)? {
        StoreUrl::Memory => return Err(nowhere()),
        StoreUrl::Sqlite(path) => {
            let place = path.display().to_string();
            (Arc::new(SqliteGenerations::open(&path, create)?), place)
        }
        StoreUrl::Postgres(url) => {
            let store = PostgresGenerations::open(&url, create).await?;
            let place = store.place().to_owned();
            (Arc::new(store), place)
        }
        StoreUrl::Redis(url) => {
            let store = RedisGenerations::open(&url, &RedisGenerationOptions::default()).await?;
            let place = store.place().to_owned();
            (Arc::new(store), place)
        }
    })
}

/// What a mark says: jobs after a name, or messages after an id.
enum After<'a> {
    Job(&'a str),
    Event(&'a str),
}

impl<'a> After<'a> {
    fn of(mark: Option<&'a Mark>) -> Self {
        let text = mark.map_or(JOBS, Mark::as_str);
        match text.strip_prefix(EVENTS) {
            Some(id) => Self::Event(id),
            None => Self::Job(text.strip_prefix(JOBS).unwrap_or_default()),
        }
    }
}

/// The mark behind the last of `met` names: the next batch, or the beginning of the messages.
fn next_job(met: usize, limit: usize, last: Option<&str>) -> Mark {
    match last.filter(|_| met >= limit) {
        Some(name) => Mark::new(format!("{JOBS}{name}")),
        None => Mark::new(EVENTS),
    }
}

fn next_event(met: usize, limit: usize, last: Option<&str>) -> Option<Mark> {
    last.filter(|_| met >= limit).map(|id| Mark::new(format!("{EVENTS}{id}")))
}

/// A stored value under its name; `None` when it is no job.
pub(super) fn job(name: &str, json: &str) -> Option<PortableGeneration> {
    PortableGeneration::job(json, &GenerationKey::parse(name)?).ok()
}
