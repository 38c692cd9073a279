//! Going round all keys, one bounded step at a time: work, marks and events that no index knows of are found, and the
//! jobs are counted. Redis itself removes what is over.

use super::events::Events;
use super::jobs::{Found, Jobs};
use crate::redis::server::Node;
use crate::redis::wire::number;
use futures_util::future::join_all;
use sessile_core::generation::{Generation, GenerationKey, Refund, Status, Tally, Tidied};
use sessile_core::{StoreError, Timestamp};
use std::collections::BTreeMap;

/// Keys that one step asks for, at least and at most.
const SCAN_MIN: usize = 100;
const SCAN_MAX: usize = 1000;
/// Values that are read side by side; each may hold a prompt of a MiB.
const AT_ONCE: usize = 32;
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
    counting: Count,
    counted: Count,
}

/// What was met on a way round.
#[derive(Debug, Default)]
struct Count {
    jobs: BTreeMap<&'static str, u64>,
    refunds_due: u64,
    refunds_ordered: u64,
}

impl Count {
    fn meet(&mut self, job: &Generation) {
        *self.jobs.entry(job.status.name()).or_default() += 1;
        self.refunds_due += u64::from(job.own().refund == Refund::Due);
        self.refunds_ordered += u64::from(job.own().refund == Refund::Ordered);
    }
}

impl Round {
    /// The numbers of the last whole way round.
    pub(super) fn tally(&self) -> Tally {
        let of = |status: Status| Some((status, *self.counted.jobs.get(status.name())?));
        Tally {
            jobs: Status::ALL.into_iter().filter_map(of).collect(),
            refunds_due: self.counted.refunds_due,
            refunds_ordered: self.counted.refunds_ordered,
            ..Tally::default()
        }
    }
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
        (round.cursor, round.counting) = (0, Count::default());
    }
    let Some(&(node, phase)) = round.left.last() else { return Ok(Tidied::default()) };
    let pattern = match phase {
        Phase::Jobs => format!("{}*", jobs.desk().prefix),
        Phase::Events => format!("{}*", events.prefix()),
    };
    let scanned = server.scan(node, round.cursor, &pattern, batch.clamp(SCAN_MIN, SCAN_MAX)).await;
    let (next, keys) = match scanned {
        Ok(scanned) => scanned,
        Err(error) => {
            // The nodes may be others after a failover: the way round begins anew.
            round.left.clear();
            return Err(error);
        }
    };
    let mut found = 0;
    for some in keys.chunks(AT_ONCE) {
        found += match phase {
            Phase::Jobs => met(jobs, some, now, &mut round.counting).await?,
            Phase::Events => {
                let met = join_all(some.iter().map(|key| events.met(key))).await;
                let met = met.into_iter().collect::<Result<Vec<bool>, _>>()?;
                met.into_iter().map(u64::from).sum::<u64>()
            }
        };
    }
    round.cursor = next;
    if next == 0 {
        round.left.pop();
    }
    let more = !round.left.is_empty();
    if !more {
        round.counted = std::mem::take(&mut round.counting);
    }
    Ok(Tidied { removed: 0, found, more })
}

/// Jobs that a scan met: each belongs into the index if it has work, and under its marks.
async fn met(jobs: &Jobs, places: &[String], now: Timestamp, count: &mut Count) -> Result<u64, StoreError> {
    let (mut due, mut marks) = (Vec::new(), Vec::new());
    for met in join_all(places.iter().map(|place| job_at(jobs, place, now))).await {
        let Some(job) = met? else { continue };
        count.meet(&job);
        if let Some(at) = job.due_at() {
            let mut cmd = redis::cmd("ZADD");
            cmd.arg(jobs.desk().ours("due")).arg("NX").arg(at.unix_ms()).arg(job.key().as_str());
            due.push(cmd);
        }
        marks.extend(jobs.guest_hint(&job));
        marks.extend(jobs.payment_hint(&job));
    }
    jobs.desk().server.send(marks).await?;
    let added = jobs.desk().server.send(due).await?;
    Ok(added.iter().filter(|added| number(added) == Some(1)).count() as u64)
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
