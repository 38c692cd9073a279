//! The outbox: effects are claimed by whoever comes first, and nobody waits for another's claim.

use super::engine::Engine;
use super::loads::query;
use crate::postgres::connect::Query;
use crate::postgres::wire::Moment;
use sessile_core::ledger::{EffectRow, EffectState, Retry};
use sessile_core::{StoreError, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Effects that one claim, or one list, may bring.
const EFFECTS_MAX: usize = 1000;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;
const COLUMNS: &str = "id, payload::text, created_at, attempts::int8, state, next_at, error";

/// The statements.
#[derive(Debug)]
pub(super) struct Outbox {
    claim: Query,
    done: Query,
    undone: Query,
    dead: Query,
    list: Query,
    requeue: Query,
}

impl Outbox {
    pub(super) fn new(s: &str) -> Self {
        let text = Type::TEXT;
        Self {
            claim: query(
                format!(
                    "with due as (
                       select id from {s}.outbox where state = 'pending' and next_at <= $1
                       order by next_at, created_at, id limit $3 for update skip locked
                     )
                     update {s}.outbox set next_at = $2, attempts = attempts + 1
                     where id = any(array(select id from due))
                     returning {COLUMNS}"
                ),
                vec![Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8],
            ),
            done: query(format!("delete from {s}.outbox where id = $1"), vec![text.clone()]),
            undone: query(
                format!("update {s}.outbox set next_at = $2, error = $3 where id = $1 and state = 'pending'"),
                vec![text.clone(), Type::TIMESTAMPTZ, text.clone()],
            ),
            dead: query(
                format!("update {s}.outbox set state = 'dead', error = $2 where id = $1"),
                vec![text.clone(), text.clone()],
            ),
            list: query(
                format!("select {COLUMNS} from {s}.outbox where state = $1 order by created_at, id limit $2"),
                vec![text.clone(), Type::INT8],
            ),
            requeue: query(
                format!(
                    "update {s}.outbox set state = 'pending', next_at = $2 where id = $1 and state = 'dead'
                     returning 1"
                ),
                vec![text, Type::TIMESTAMPTZ],
            ),
        }
    }

    pub(super) async fn claim(
        &self,
        engine: &Engine,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        let limit = i64::try_from(limit.min(EFFECTS_MAX)).unwrap_or(0);
        let values =
            vec![Box::new(Moment(now)) as _, Box::new(Moment(lease_until)) as _, Box::new(limit) as _];
        let rows = engine.ask(&self.claim, values).await?;
        let mut effects = Vec::with_capacity(rows.len());
        for row in &rows {
            match effect_of(row) {
                Ok(effect) => effects.push(effect),
                Err(_) => self.bury(engine, row).await?,
            }
        }
        effects.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(effects)
    }

    /// An effect that nobody can carry out must not stand in the way of the others.
    async fn bury(&self, engine: &Engine, row: &Row) -> Result<(), StoreError> {
        let id: String = row.try_get(0).map_err(StoreError::unavailable)?;
        tracing::error!(effect = id, "an outbox row cannot be read; it is dead until somebody mends it");
        self.undone(engine, &id, Retry::GiveUp, "the payload cannot be read").await
    }

    pub(super) async fn done(&self, engine: &Engine, id: &str) -> Result<(), StoreError> {
        engine.ask(&self.done, vec![Box::new(id)]).await.map(drop)
    }

    pub(super) async fn undone(
        &self,
        engine: &Engine,
        id: &str,
        retry: Retry,
        error: &str,
    ) -> Result<(), StoreError> {
        // Text in Postgres holds no NUL.
        let error: String = error.chars().filter(|c| *c != '\0').take(ERROR_CHARS_MAX).collect();
        let done = match retry {
            Retry::At(at) => {
                let values = vec![Box::new(id) as _, Box::new(Moment(at)) as _, Box::new(error) as _];
                engine.ask(&self.undone, values).await
            }
            Retry::GiveUp => engine.ask(&self.dead, vec![Box::new(id), Box::new(error)]).await,
        };
        done.map(drop)
    }

    pub(super) async fn effects(
        &self,
        engine: &Engine,
        state: EffectState,
        limit: usize,
    ) -> Result<Vec<EffectRow>, StoreError> {
        let limit = i64::try_from(limit.min(EFFECTS_MAX)).unwrap_or(0);
        let rows = engine.ask(&self.list, vec![Box::new(state.name()), Box::new(limit)]).await?;
        Ok(rows.iter().filter_map(|row| effect_of(row).ok()).collect())
    }

    pub(super) async fn requeue(
        &self,
        engine: &Engine,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let rows = engine.ask(&self.requeue, vec![Box::new(id), Box::new(Moment(now))]).await?;
        Ok(!rows.is_empty())
    }
}

fn effect_of(row: &Row) -> Result<EffectRow, StoreError> {
    let read = || -> Result<EffectRow, Box<dyn std::error::Error + Send + Sync>> {
        let state: &str = row.try_get(4)?;
        Ok(EffectRow {
            id: row.try_get(0)?,
            effect: serde_json::from_str(row.try_get(1)?)?,
            created_at: row.try_get::<_, Moment>(2)?.0,
            attempts: u32::try_from(row.try_get::<_, i64>(3)?)?,
            state: if state == EffectState::Dead.name() { EffectState::Dead } else { EffectState::Pending },
            next_at: row.try_get::<_, Moment>(5)?.0,
            error: row.try_get(6)?,
        })
    };
    read().map_err(StoreError::unavailable)
}
