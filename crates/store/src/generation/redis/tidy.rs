//! Going round all keys, one bounded step at a time: work and events that no index knows of are found. Redis itself
//! removes what is over.

use super::events::Events;
use super::jobs::{Found, Jobs};
use crate::redis::server::Node;
use crate::redis::wire::number;
use sessile_core::generation::{Generation, GenerationKey, Tidied};
use sessile_core::{StoreError, Timestamp};

/// Keys that one step asks for, at least and at most.
const SCAN_MIN: usize = 100;
const SCAN_MAX: usize = 1000;
/// Values that a list looks at.
const RECENT_LOOKS_MAX: usize = 2000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Jobs,
    Events,
}

/// Where the way round has got to; fresh when `left` is empty.
#[derive(Debug, Default)]
pub(super) struct Round {
    left: Vec<(Node, Phase)>,
    cursor: u64,
}

pub(super) async fn step(
    round: &mut Round,
    jobs: &Jobs,
    events: &Events,
    now: Timestamp,
    batch: usize,
) -> Result<Tidied, StoreError> {
    let server = &jobs.desk().server;
    if round.left.is_empty() {
        let nodes = server.nodes().await?;
        let both = [Phase::Events, Phase::Jobs];
        round.left =
            both.into_iter().flat_map(|phase| nodes.iter().map(move |node| (*node, phase))).collect();
        round.cursor = 0;
    }
    let Some(&(node, phase)) = round.left.last() else { return Ok(Tidied::default()) };
    let pattern = match phase {
        Phase::Jobs => format!("{}*", jobs.desk().prefix),
        Phase::Events => format!("{}*", events.prefix()),
    };
    let (next, keys) = server.scan(node, round.cursor, &pattern, batch.clamp(SCAN_MIN, SCAN_MAX)).await?;
    let mut found = 0;
    for key in keys {
        let mended = match phase {
            Phase::Jobs => met(jobs, &key, now).await?,
            Phase::Events => events.met(&key).await?,
        };
        found += u64::from(mended);
    }
    round.cursor = next;
    if next == 0 {
        round.left.pop();
    }
    Ok(Tidied { removed: 0, found })
}

/// A job that a scan met: it belongs into the index if it has work.
async fn met(jobs: &Jobs, place: &str, now: Timestamp) -> Result<bool, StoreError> {
    let Some(job) = job_at(jobs, place, now).await? else { return Ok(false) };
    let Some(at) = job.due_at() else { return Ok(false) };
    let mut cmd = redis::cmd("ZADD");
    cmd.arg(jobs.desk().ours("due")).arg("NX").arg(at.unix_ms()).arg(job.key().as_str());
    Ok(number(&jobs.desk().server.one(cmd).await?) == Some(1))
}

async fn job_at(jobs: &Jobs, place: &str, now: Timestamp) -> Result<Option<Generation>, StoreError> {
    let id = place.strip_prefix(&jobs.desk().prefix);
    let Some(key) = id.and_then(GenerationKey::parse) else { return Ok(None) };
    match jobs.look(&key, now).await {
        Ok(Some(Found::Job(job))) => Ok(Some(*job)),
        Ok(Some(Found::Pointer(_)) | None) | Err(StoreError::Undecodable { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Jobs for the operator's list: as many as a bounded look finds, newest first.
pub(super) async fn recent(
    jobs: &Jobs,
    status: Option<&str>,
    limit: usize,
) -> Result<Vec<Generation>, StoreError> {
    let server = &jobs.desk().server;
    let pattern = format!("{}*", jobs.desk().prefix);
    let mut found = Vec::new();
    let mut looks = 0;
    for node in server.nodes().await? {
        let mut cursor = 0;
        loop {
            let (next, keys) = server.scan(node, cursor, &pattern, SCAN_MAX).await?;
            for key in keys {
                looks += 1;
                // Expired ones are not there any more.
                found.extend(job_at(jobs, &key, Timestamp::EPOCH).await?);
            }
            cursor = next;
            if cursor == 0 || looks >= RECENT_LOOKS_MAX {
                break;
            }
        }
    }
    found.retain(|job| status.is_none_or(|status| job.status.name() == status));
    found.sort_by(|a, b| b.created_at.cmp(&a.created_at));
    found.truncate(limit);
    Ok(found)
}
