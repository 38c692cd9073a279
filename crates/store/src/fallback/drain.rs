//! The way back: once the primary answers, what was spooled is handed to it, ends first, then sessions.
//!
//! The rule for a session that the primary already holds (the call that created it had landed unanswered, or an
//! earlier hand-over was cut off): of the keys that changed in the spool, those that the primary still holds as they
//! were first spooled are written; a key that changed in the primary too keeps the primary's value, with a line in
//! the log. What the primary has ended or regenerated away stays so, and the spooled copy is dropped.

use super::outage::{Mode, State};
use super::spool::{Spool, Waiting};
use futures_util::stream::{self, StreamExt as _};
use sessile_core::login::{Absence, Edit, LoginChange, LoginId, LoginStore, Lookup, Merge, NewLogin, Stored};
use sessile_core::{Clock, StoreError, Timestamp};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How often a primary that is away is asked whether it is back.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// How long one call of the way back may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Handed over in one round.
const BATCH: usize = 256;
/// Handed over side by side, so that the primary can group them.
const SIDE_BY_SIDE: usize = 32;
/// Tries to merge into a session that others change at the same moment.
const MERGES_MAX: usize = 10;

pub(super) struct Drain {
    pub(super) primary: Arc<dyn LoginStore>,
    pub(super) spool: Arc<Spool>,
    pub(super) state: Arc<State>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Drain {
    /// Runs as long as the store lives: sleeps while all is well.
    pub(super) async fn run(self) {
        let mut probe = tokio::time::interval(PROBE_INTERVAL);
        probe.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.state.mode() == Mode::Clear {
                self.state.woken().await;
                probe.reset_immediately();
            }
            probe.tick().await;
            if self.state.mode() == Mode::Down {
                if self.bounded(self.primary.ping()).await.is_err() {
                    continue;
                }
                self.state.rise();
            }
            self.drain().await;
        }
    }

    /// Rounds until nothing is left, the primary falls silent again, or what is left has to wait.
    async fn drain(&self) {
        while self.state.mode() == Mode::Draining {
            match self.round().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return self.note(&error),
            }
        }
        let is_empty = || self.spool.count().is_ok_and(|spooled| spooled.sessions == 0 && spooled.ends == 0);
        self.state.try_clear(is_empty).await;
    }

    fn note(&self, error: &StoreError) {
        tracing::warn!(%error, cause = ?std::error::Error::source(error), "what is kept locally could not be handed over yet");
    }

    /// Hands over one batch; says how many rows left the spool.
    async fn round(&self) -> Result<usize, StoreError> {
        self.spool.sweep(self.clock.now()).await?;
        let ends = self.spool.ends(BATCH)?;
        let sessions = if ends.is_empty() { self.spool.waiting(BATCH)? } else { Vec::new() };
        let count = ends.len() + sessions.len();
        let ended = stream::iter(ends).map(|(id, reason)| async move {
            let _guard = self.state.guard(&id).await;
            self.asked(self.primary.destroy(&id, reason, self.clock.now())).await?;
            self.spool.forget_end(&id).await
        });
        let handed = stream::iter(sessions).map(|id| async move { self.hand_over(&id).await });
        let mut failed = None;
        let mut ended = ended.buffer_unordered(SIDE_BY_SIDE);
        while let Some(answer) = ended.next().await {
            failed = answer.err().or(failed);
        }
        let mut handed = handed.buffer_unordered(SIDE_BY_SIDE);
        while let Some(answer) = handed.next().await {
            failed = answer.err().or(failed);
        }
        failed.map_or(Ok(count), Err)
    }

    /// One session. Nobody changes it between the copy and the removal.
    async fn hand_over(&self, id: &LoginId) -> Result<(), StoreError> {
        let _guard = self.state.guard(id).await;
        let Some(waiting) = self.spool.take(id).await? else { return Ok(()) };
        let now = self.clock.now();
        let login = NewLogin { id: id.clone(), data: waiting.data.clone(), expires_at: waiting.expires_at };
        match self.asked(self.primary.create(login, now)).await {
            Ok(_) => {}
            Err(StoreError::Taken) => self.merge(id, &waiting).await?,
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(refused) => return self.spool.set_aside(id, &refused.to_string()).await,
        }
        self.spool.remove(id, &waiting).await
    }

    /// The primary has a session under this id already.
    async fn merge(&self, id: &LoginId, waiting: &Waiting) -> Result<(), StoreError> {
        for _ in 0..MERGES_MAX {
            let now = self.clock.now();
            let held = match self.asked(self.primary.load(id, now)).await? {
                Lookup::Live(held) if held.retires_at.is_none() => held,
                Lookup::Live(_) => return dropped(id, "it was regenerated away in the primary"),
                Lookup::Absent(Absence::Ended) => return dropped(id, "it was ended in the primary"),
                Lookup::Absent(Absence::Expired) => return dropped(id, "it has expired in the primary"),
                Lookup::Absent(Absence::Undecodable(_)) => {
                    return dropped(id, "the primary's copy cannot be read");
                }
                // Taken a moment ago and not there now: swept in between. The next round creates it.
                Lookup::Absent(Absence::Unknown) => return Err(StoreError::Conflict),
            };
            match self.asked(self.lay_over(id, waiting, &held, now)).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(StoreError::Gone) => return dropped(id, "it was ended in the primary"),
                Err(StoreError::TooLarge { .. }) => return dropped(id, "it would not fit any more"),
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    async fn lay_over(
        &self,
        id: &LoginId,
        waiting: &Waiting,
        held: &Arc<Stored>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let unchanged = |edit: &Edit| held.data.raw(&edit.key) == waiting.origin.raw(&edit.key);
        let differs = |edit: &Edit| held.data.raw(&edit.key) != edit.value.as_deref().map(|json| json.get());
        let (edits, newer): (Vec<Edit>, Vec<Edit>) =
            waiting.data.edits_since(&waiting.origin).into_iter().filter(differs).partition(unchanged);
        if !newer.is_empty() {
            let (session, keys) = (id.fingerprint(), newer.len());
            tracing::warn!(%session, keys, "keys that changed in the primary as well keep the primary's value");
        }
        if edits.is_empty() {
            return self.primary.touch(id, waiting.expires_at, now).await;
        }
        let Some(cookie) = held.data.cookie().or_else(|| waiting.data.cookie()) else {
            return Err(StoreError::Undecodable { place: "spool".to_owned() });
        };
        let change = LoginChange {
            id: id.clone(),
            base: held.clone(),
            edits,
            cookie,
            device: waiting.data.device(),
            expires_at: waiting.expires_at.max(held.expires_at),
            merge: Merge::Strict,
            bytes_max: sessile_core::login::DATA_BYTES_MAX,
        };
        self.primary.commit(change, now).await.map(drop)
    }

    /// Asks the primary; silence means that the outage goes on.
    async fn asked<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let answer = self.bounded(call).await;
        if let Err(error @ StoreError::Unavailable(_)) = &answer {
            self.state.fall(error, self.clock.now());
        }
        answer
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late =
            || StoreError::unavailable(format!("session storage did not answer within {CALL_LIMIT:?}"));
        tokio::time::timeout(CALL_LIMIT, call).await.unwrap_or_else(|_| Err(late()))
    }
}

fn dropped(id: &LoginId, why: &str) -> Result<(), StoreError> {
    tracing::warn!(session = %id.fingerprint(), why, "a spooled session was not handed over");
    Ok(())
}
