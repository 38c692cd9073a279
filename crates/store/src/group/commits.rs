//! Commits, many sessions at once and many changes to one session.
//!
//! Each round lays every waiting change over what the session is believed to hold, in the order in which they came,
//! and swaps all sessions in one statement. A session that somebody else changed meanwhile is read and goes into
//! the next round; a session that ended is [`StoreError::Gone`] for everybody who wanted to change it.

use super::engine::{Found, LoginEngine, Swap, Swapped};
use super::{At, decode, for_all, latest, only};
use sessile_core::login::{LoginChange, LoginData, LoginId, Stored, Version};
use sessile_core::{StoreError, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// Rounds before a session that others keep changing is given up as a conflict.
const ROUNDS_MAX: usize = 32;

type Answer = Result<Arc<Stored>, StoreError>;

/// One session's waiting changes, and what it is believed to hold.
struct Target<'a> {
    id: &'a LoginId,
    items: Vec<usize>,
    current: Arc<Stored>,
}

/// What a round would make of one session.
struct Proposal {
    json: String,
    data: LoginData,
    expires_at: Timestamp,
    outcome: Vec<(usize, Result<(), StoreError>)>,
}

pub(super) async fn commit_batch<E: LoginEngine>(engine: Arc<E>, items: Vec<At<LoginChange>>) -> Vec<Answer> {
    match commit_all(&*engine, &items).await {
        Err(StoreError::Refused(_)) if items.len() > 1 => {
            // One value that the engine will not take must not fail its neighbours.
            let mut answers = Vec::with_capacity(items.len());
            for item in &items {
                answers.push(commit_all(&*engine, std::slice::from_ref(item)).await.and_then(only));
            }
            answers
        }
        Err(error) => for_all(&items, error),
        Ok(answers) => answers,
    }
}

async fn commit_all<E: LoginEngine>(
    engine: &E,
    items: &[At<LoginChange>],
) -> Result<Vec<Answer>, StoreError> {
    let now = latest(items.iter().map(|(_, now)| *now));
    let mut answers: Vec<Option<Answer>> = items.iter().map(|_| None).collect();
    let mut targets = by_session(items);
    for _ in 0..ROUNDS_MAX {
        let stale = round(engine, items, targets, &mut answers, now).await?;
        if stale.is_empty() {
            break;
        }
        targets = reread(engine, stale, &mut answers, now).await?;
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Err(StoreError::Conflict))).collect())
}

fn by_session(items: &[At<LoginChange>]) -> Vec<Target<'_>> {
    let mut place: HashMap<&LoginId, usize> = HashMap::with_capacity(items.len());
    let mut targets: Vec<Target<'_>> = Vec::with_capacity(items.len());
    for (index, (change, _)) in items.iter().enumerate() {
        let at = *place.entry(&change.id).or_insert_with(|| {
            targets.push(Target {
                id: &change.id,
                items: Vec::with_capacity(1),
                current: change.base.clone(),
            });
            targets.len() - 1
        });
        targets[at].items.push(index);
    }
    // One order for everybody, so that two processes never wait for each other's rows.
    targets.sort_unstable_by(|a, b| a.id.cmp(b.id));
    targets
}

/// Swaps what can be swapped; the answer is the sessions that others have changed.
async fn round<'a, E: LoginEngine>(
    engine: &E,
    items: &[At<LoginChange>],
    targets: Vec<Target<'a>>,
    answers: &mut [Option<Answer>],
    now: Timestamp,
) -> Result<Vec<Target<'a>>, StoreError> {
    let mut proposals = Vec::with_capacity(targets.len());
    for target in targets {
        match propose(items, &target) {
            Ok(proposal) => proposals.push((target, proposal)),
            Err(refusals) => {
                refusals.into_iter().for_each(|(index, error)| answers[index] = Some(Err(error)))
            }
        }
    }
    let swaps: Vec<Swap<'_>> = proposals
        .iter()
        .map(|(target, proposal)| Swap {
            id: target.id,
            expected: target.current.version,
            json: &proposal.json,
            user: proposal.data.user(engine.user_key()),
            expires_at: proposal.expires_at,
        })
        .collect();
    if swaps.is_empty() {
        return Ok(Vec::new());
    }
    let swapped = engine.swap(&swaps, now).await?;
    let mut stale = Vec::new();
    for ((target, proposal), swapped) in proposals.into_iter().zip(swapped) {
        match swapped {
            Swapped::Done(version) => settle(proposal, version, answers),
            Swapped::Stale => stale.push(target),
        }
    }
    Ok(stale)
}

/// Lays the changes over what is believed to be stored. `Err` when none of them can be.
fn propose(items: &[At<LoginChange>], target: &Target<'_>) -> Result<Proposal, Vec<(usize, StoreError)>> {
    let mut data = None;
    let mut json = String::new();
    // Of the changes alone: a change may shorten a session, too.
    let mut expires_at = Timestamp::EPOCH;
    let mut outcome = Vec::with_capacity(target.items.len());
    for &index in &target.items {
        let change = &items[index].0;
        match change.apply(data.as_ref().unwrap_or(&target.current.data)) {
            Ok((merged, text)) => {
                (data, json) = (Some(merged), text);
                expires_at = expires_at.max(change.expires_at);
                outcome.push((index, Ok(())));
            }
            Err(error) => outcome.push((index, Err(error))),
        }
    }
    match data {
        Some(data) => Ok(Proposal { json, data, expires_at, outcome }),
        None => Err(outcome.into_iter().filter_map(|(index, o)| o.err().map(|e| (index, e))).collect()),
    }
}

fn settle(proposal: Proposal, version: Version, answers: &mut [Option<Answer>]) {
    let Proposal { data, expires_at, outcome, .. } = proposal;
    let stored = Arc::new(Stored { data, expires_at, version, retires_at: None });
    for (index, outcome) in outcome {
        answers[index] = Some(outcome.map(|()| stored.clone()));
    }
}

/// Reads the sessions that others have changed; those that ended are answered.
async fn reread<'a, E: LoginEngine>(
    engine: &E,
    stale: Vec<Target<'a>>,
    answers: &mut [Option<Answer>],
    now: Timestamp,
) -> Result<Vec<Target<'a>>, StoreError> {
    let ids: Vec<LoginId> = stale.iter().map(|target| target.id.clone()).collect();
    let found = engine.read(&ids).await?;
    let mut again = Vec::with_capacity(stale.len());
    for (mut target, found) in stale.into_iter().zip(found) {
        let live = match found {
            Found::Row(row) if row.expires_at > now && row.retires_at.is_none() => {
                decode(engine, target.id, &row)
            }
            Found::Row(_) | Found::Ended | Found::Nothing => Err(StoreError::Gone),
        };
        match live {
            Ok(stored) => {
                target.current = Arc::new(stored);
                again.push(target);
            }
            Err(error) => {
                let all = for_all_same(&target.items, &error);
                all.into_iter().for_each(|(index, error)| answers[index] = Some(Err(error)));
            }
        }
    }
    Ok(again)
}

fn for_all_same(items: &[usize], error: &StoreError) -> Vec<(usize, StoreError)> {
    let again = || match error {
        StoreError::Undecodable { place } => StoreError::Undecodable { place: place.clone() },
        _ => StoreError::Gone,
    };
    items.iter().map(|&index| (index, again())).collect()
}
