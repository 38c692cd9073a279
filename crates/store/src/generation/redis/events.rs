//! Stripe's messages: kept before they are answered, one key each, and a sorted set of those that are due.

use super::Desk;
use crate::redis::wire::{items, number, text};
use futures_util::future::join_all;
use redis::Cmd;
use serde::{Deserialize, Serialize};
use sessile_core::generation::{GENERATION_LIFETIME, GenerationKey, Kept, KeptEvent, PortableEvent};
use sessile_core::portable::Landed;
use sessile_core::{StoreError, Timestamp};
use std::sync::Arc;

/// Waiting messages that are looked at for the oldest one.
const COUNTED_MAX: usize = 200;

/// As it is stored. Small names would save little; these can be read by hand.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    id: String,
    kind: String,
    #[serde(default)]
    key: Option<String>,
    body: String,
    received_at: i64,
    attempts: u32,
    next_at: i64,
    #[serde(default)]
    applied: bool,
}

impl Stored {
    fn of(event: &KeptEvent) -> Self {
        Self {
            id: event.id.clone(),
            kind: event.kind.clone(),
            key: event.key.as_ref().map(|key| key.as_str().to_owned()),
            body: event.body.clone(),
            received_at: event.received_at.unix_ms(),
            attempts: event.attempts,
            next_at: event.next_at.unix_ms(),
            applied: false,
        }
    }

    fn event(self) -> KeptEvent {
        KeptEvent {
            key: self.key.as_deref().and_then(GenerationKey::parse),
            id: self.id,
            kind: self.kind,
            body: self.body,
            received_at: Timestamp::from_unix_ms(self.received_at),
            attempts: self.attempts,
            next_at: Timestamp::from_unix_ms(self.next_at),
        }
    }
}

pub(super) struct Events {
    desk: Arc<Desk>,
    due: String,
}

impl Events {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { due: desk.ours("events-due"), desk }
    }

    /// Before an event's id.
    pub(super) fn prefix(&self) -> String {
        format!("{}:", self.desk.ours("event"))
    }

    fn place(&self, id: &str) -> String {
        format!("{}{id}", self.prefix())
    }

    pub(super) async fn keep(&self, event: &KeptEvent) -> Result<Kept, StoreError> {
        let json = encode(&Stored::of(event))?;
        let (place, ends) = (self.place(&event.id), event.received_at.plus(GENERATION_LIFETIME));
        let insert = &self.desk.scripts.insert;
        let written = self.desk.write(insert.call(&[&place], &[&json, &ends.unix_ms().to_string()])).await?;
        // Whoever sent it before may have been told nothing: it has to be durable now, whoever kept it.
        self.desk.durable(&place, written, ends, None).await?;
        if written.code == 1 {
            self.hint(&event.id, event.next_at).await?;
            return Ok(Kept::New);
        }
        // Whoever kept it may have died before it was in the index.
        if let Some(there) = self.read(&event.id).await?.filter(|there| !there.applied) {
            self.hint(&event.id, Timestamp::from_unix_ms(there.next_at)).await?;
        }
        Ok(Kept::Known)
    }

    async fn read(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.place(id));
        let json = text(self.desk.server.one(cmd).await?);
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }

    async fn hint(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.desk.server.one(self.hinting(id, at)).await.map(drop)
    }

    fn hinting(&self, id: &str, at: Timestamp) -> Cmd {
        let mut cmd = redis::cmd("ZADD");
        cmd.arg(&self.due).arg(at.unix_ms()).arg(id);
        cmd
    }

    pub(super) async fn take(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<KeptEvent>, StoreError> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(&self.due).arg("-inf").arg(now.unix_ms()).arg("BYSCORE").arg("LIMIT").arg(0).arg(limit);
        let ids: Vec<String> = items(self.desk.server.one(cmd).await?).into_iter().filter_map(text).collect();
        let (now, until) = (now.unix_ms().to_string(), lease_until.unix_ms().to_string());
        let take = |id: &String| self.desk.scripts.take.call(&[&self.place(id)], &[&now, &until]);
        let taken = self.desk.server.send(ids.iter().map(take).collect()).await?;
        let (mut events, mut wrong, mut hints) = (Vec::new(), Vec::new(), Vec::new());
        for (id, taken) in ids.iter().zip(taken) {
            match text(taken).and_then(|json| serde_json::from_str::<Stored>(&json).ok()) {
                Some(stored) => {
                    hints.push(self.hinting(id, lease_until));
                    events.push(stored.event());
                }
                None => wrong.push(id),
            }
        }
        self.desk.server.send(hints).await?;
        join_all(wrong.into_iter().map(|id| self.mend(id))).await.into_iter().collect::<Result<(), _>>()?;
        events.sort_by(|a, b| (a.received_at, &a.id).cmp(&(b.received_at, &b.id)));
        Ok(events)
    }

    /// A hint that was wrong.
    async fn mend(&self, id: &str) -> Result<(), StoreError> {
        match self.read(id).await?.filter(|there| !there.applied) {
            Some(there) => self.hint(id, Timestamp::from_unix_ms(there.next_at)).await,
            None => self.forget_hint(id).await,
        }
    }

    async fn forget_hint(&self, id: &str) -> Result<(), StoreError> {
        let mut cmd = redis::cmd("ZREM");
        cmd.arg(&self.due).arg(id);
        self.desk.server.one(cmd).await.map(drop)
    }

    pub(super) async fn applied(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        let Some(there) = self.read(id).await? else { return Ok(()) };
        let done = encode(&Stored { body: String::new(), applied: true, ..there })?;
        let mut cmd = redis::cmd("SET");
        cmd.arg(self.place(id)).arg(done).arg("PXAT").arg(now.plus(GENERATION_LIFETIME).unix_ms());
        self.desk.server.one(cmd).await?;
        self.forget_hint(id).await
    }

    pub(super) async fn postponed(&self, id: &str, next_at: Timestamp) -> Result<(), StoreError> {
        let Some(there) = self.read(id).await? else { return Ok(()) };
        let later = encode(&Stored { next_at: next_at.unix_ms(), ..there })?;
        let put = self.desk.scripts.put.call(&[&self.place(id)], &[&later]);
        if number(&self.desk.server.one(put).await?) == Some(1) {
            self.hint(id, next_at).await?;
        }
        Ok(())
    }

    pub(super) async fn waiting(&self, limit: usize) -> Result<Vec<KeptEvent>, StoreError> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(&self.due).arg(0).arg(limit.saturating_sub(1));
        let ids: Vec<String> = items(self.desk.server.one(cmd).await?).into_iter().filter_map(text).collect();
        let read = join_all(ids.iter().map(|id| self.read(id))).await;
        let mut events = Vec::new();
        for stored in read {
            events.extend(stored?.filter(|stored| !stored.applied).map(Stored::event));
        }
        events.sort_by(|a, b| (a.received_at, &a.id).cmp(&(b.received_at, &b.id)));
        Ok(events)
    }

    /// How many wait, and since when the oldest of those that are looked at.
    pub(super) async fn count(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let mut cmd = redis::cmd("ZCARD");
        cmd.arg(&self.due);
        let count = number(&self.desk.server.one(cmd).await?).map_or(0, i64::unsigned_abs);
        let oldest = if count == 0 { Vec::new() } else { self.waiting(COUNTED_MAX).await? };
        Ok((count, oldest.first().map(|event| event.received_at)))
    }

    /// A message that lies under a key, as it moves.
    pub(super) async fn portable(&self, place: &str) -> Result<Option<PortableEvent>, StoreError> {
        match place.strip_prefix(&self.prefix()) {
            Some(id) => self.portable_by_id(id).await,
            None => Ok(None),
        }
    }

    pub(super) async fn portable_by_id(&self, id: &str) -> Result<Option<PortableEvent>, StoreError> {
        let portable = |stored: Stored| {
            // When it was applied is remembered nowhere: not before it came.
            let applied_at = stored.applied.then(|| Timestamp::from_unix_ms(stored.received_at));
            PortableEvent { event: stored.event(), applied_at }
        };
        Ok(self.read(id).await?.map(portable))
    }

    /// Takes a message that moves here.
    pub(super) async fn land(&self, row: &PortableEvent) -> Result<Landed, StoreError> {
        let mut stored = Stored::of(&row.event);
        stored.applied = row.applied_at.is_some();
        let (place, ends, json) = (self.place(&row.event.id), row.forgotten_at(), encode(&stored)?);
        let land = &self.desk.scripts.land_event;
        let written = self.desk.write(land.call(&[&place], &[&json, &ends.unix_ms().to_string()])).await?;
        self.desk.durable(&place, written, ends, None).await?;
        let landed = match written.code {
            1 => Landed::New,
            2 => Landed::Renewed,
            _ => return Ok(Landed::Kept),
        };
        if stored.applied {
            self.forget_hint(&row.event.id).await?;
        } else {
            self.hint(&row.event.id, row.event.next_at).await?;
        }
        Ok(landed)
    }

    /// An event that a scan met: it belongs into the index unless it was applied.
    pub(super) async fn met(&self, place: &str) -> Result<bool, StoreError> {
        let Some(id) = place.strip_prefix(&self.prefix()) else { return Ok(false) };
        let Some(there) = self.read(id).await?.filter(|there| !there.applied) else { return Ok(false) };
        let mut cmd = redis::cmd("ZADD");
        cmd.arg(&self.due).arg("NX").arg(there.next_at).arg(id);
        Ok(number(&self.desk.server.one(cmd).await?) == Some(1))
    }
}

fn encode(stored: &Stored) -> Result<String, StoreError> {
    serde_json::to_string(stored).map_err(|error| StoreError::Refused(Box::new(error)))
}
