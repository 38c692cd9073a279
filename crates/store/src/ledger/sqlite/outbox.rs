//! Effects: claimed for a while, done and gone, tried again, given up, put back.

use super::desk::Desk;
use super::rows::{ms, time};
use rusqlite::{Row, params};
use sessile_core::Timestamp;
use sessile_core::ledger::{EffectRow, EffectState, Retry};

/// Effects that one call gives at most.
const EFFECTS_MAX: usize = 1_000;
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 2_000;

const COLUMNS: &str = "id, payload, created_at, attempts, state, next_at, error";

/// Whether anything can be claimed. Asked before the writer is: workers look often, and mostly there is nothing.
pub(super) fn any_due(desk: Desk<'_>, now: Timestamp) -> rusqlite::Result<bool> {
    desk.exists("SELECT 1 FROM outbox WHERE state = 'pending' AND next_at <= ?1", [ms(now)])
}

pub(super) fn claim(
    desk: Desk<'_>,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<EffectRow>> {
    let sql = format!(
        "UPDATE outbox SET next_at = ?2, attempts = attempts + 1 WHERE id IN (SELECT id FROM outbox \
         WHERE state = 'pending' AND next_at <= ?1 ORDER BY next_at, created_at, id LIMIT ?3) RETURNING {COLUMNS}"
    );
    let mut update = desk.db.prepare_cached(&sql)?;
    let mut rows = update.query(params![ms(now), ms(lease_until), limit.min(EFFECTS_MAX) as i64])?;
    let (mut claimed, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match effect(row)? {
            Some(effect) => claimed.push(effect),
            None => unreadable.push(row.get::<_, String>(0)?),
        }
    }
    for id in unreadable {
        tracing::error!(effect = id, "an outbox row cannot be read; it is dead until somebody mends it");
        let dead = "UPDATE outbox SET state = 'dead', error = 'the payload cannot be read' WHERE id = ?1";
        desk.db.execute(dead, [id])?;
    }
    // RETURNING keeps no order.
    claimed.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    Ok(claimed)
}

pub(super) fn done(desk: Desk<'_>, id: &str) -> rusqlite::Result<()> {
    desk.db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id]).map(drop)
}

pub(super) fn undone(desk: Desk<'_>, id: &str, retry: Retry, error: &str) -> rusqlite::Result<()> {
    let error = &error[..error.floor_char_boundary(ERROR_BYTES_MAX)];
    let (sql, at) = match retry {
        Retry::At(at) => {
            ("UPDATE outbox SET next_at = ?3, error = ?2 WHERE id = ?1 AND state = 'pending'", ms(at))
        }
        Retry::GiveUp => ("UPDATE outbox SET state = 'dead', error = ?2 WHERE id = ?1 AND ?3 = 0", 0),
    };
    desk.db.prepare_cached(sql)?.execute(params![id, error, at]).map(drop)
}

pub(super) fn requeue(desk: Desk<'_>, id: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "UPDATE outbox SET state = 'pending', next_at = ?2 WHERE id = ?1 AND state = 'dead'";
    Ok(desk.db.prepare_cached(sql)?.execute(params![id, ms(now)])? == 1)
}

pub(super) fn effects(desk: Desk<'_>, state: EffectState, limit: usize) -> rusqlite::Result<Vec<EffectRow>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE state = ?1 ORDER BY created_at, id LIMIT ?2");
    let mut select = desk.db.prepare_cached(&sql)?;
    let mut rows = select.query(params![state.name(), limit.min(EFFECTS_MAX) as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(effect(row)?);
    }
    Ok(found)
}

/// `None`: the payload is none of ours.
fn effect(row: &Row<'_>) -> rusqlite::Result<Option<EffectRow>> {
    let Ok(effect) = serde_json::from_str(row.get_ref(1)?.as_str()?) else { return Ok(None) };
    let dead = row.get_ref(4)?.as_str()? == EffectState::Dead.name();
    Ok(Some(EffectRow {
        id: row.get(0)?,
        effect,
        created_at: time(row, 2)?,
        attempts: row.get(3)?,
        state: if dead { EffectState::Dead } else { EffectState::Pending },
        next_at: time(row, 5)?,
        error: row.get(6)?,
    }))
}
