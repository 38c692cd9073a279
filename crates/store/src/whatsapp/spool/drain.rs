//! Bringing the journal's steps to the database, in order, and what it means when the database does not want one.

use super::line::{Line, Next};
use super::{Answer, Shared};
use crate::whatsapp::file::Settled;
use sessile_core::whatsapp::{DeviceStoreError, Step, Version};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Steps that are read from the journal at once.
const STEPS_AT_ONCE: usize = 4096;
/// The first wait after the database did not answer; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What became of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// The database has all of it.
    All,
    /// Somebody else has the device: it was put aside.
    Ended,
}

impl Shared {
    /// Brings over what there is. An error is the database's, and the journal keeps what it did not take.
    pub(super) async fn drain(&self, line: &Line) -> Answer<Drained> {
        let _turn = line.turn.lock().await;
        let before = line.settled();
        let drained = self.bring_all(line).await;
        if let (Ok(Drained::All), Some(wanted)) = (&drained, line.wanted())
            && self.remote.want(&line.device, wanted).await.is_ok()
        {
            line.set_wanted(None);
        }
        if line.settled() > before && !line.has_ended() {
            let settled = Settled { epoch: line.remote_epoch, version: line.settled() };
            // Not needed for anything but folding: what the database has is recognised.
            if let Err(error) = self.local.settle(&line.device, settled).await {
                tracing::warn!(device = %line.device, %error, "a journal could not note how far the database is");
            }
        }
        if let Err(error) = &drained {
            self.degrade(line, error);
        }
        drained
    }

    async fn bring_all(&self, line: &Line) -> Answer<Drained> {
        loop {
            if line.has_ended() {
                return Ok(Drained::Ended);
            }
            let step = match line.next() {
                Next::None => return Ok(Drained::All),
                Next::Step(step) => step,
                Next::InJournal(version) => {
                    let steps = self.local.steps_after(&line.device, version, STEPS_AT_ONCE).await?;
                    if steps.first().is_none_or(|first| first.version.0 != version.0 + 1) {
                        let what = format!("the journal of {} lacks step {}", line.device, version.0 + 1);
                        return Err(DeviceStoreError::Damaged(what));
                    }
                    line.refill(steps);
                    continue;
                }
            };
            self.bring(line, &step).await?;
        }
    }

    async fn bring(&self, line: &Line, step: &Step) -> Answer<()> {
        let step = Step { epoch: line.remote_epoch, ..step.clone() };
        let done = self.remote.commit_step(&line.device, &step).await;
        match done {
            Ok(_) => line.settle(step.version),
            Err(error @ (DeviceStoreError::Fenced { .. } | DeviceStoreError::Moved { .. })) => {
                self.overtaken(line, &error.to_string()).await;
            }
            Err(DeviceStoreError::OutOfOrder { stored, .. }) => {
                self.look_again(line, &step, Version(stored)).await?
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The database is at another step than we thought: it may have ours already, and that is proven by the step's name.
    async fn look_again(&self, line: &Line, step: &Step, stored: Version) -> Answer<()> {
        let head = self.remote.head(&line.device).await?;
        let steps = self.local.steps_after(&line.device, Version(step.version.0 - 1), STEPS_AT_ONCE).await?;
        let ours = steps.iter().find(|ours| ours.version == stored).map(|ours| ours.id);
        match head {
            Some(head) if head.epoch == line.remote_epoch && ours.is_some() && ours == head.last_step => {
                line.settle(stored);
            }
            _ => {
                let what = format!(
                    "the database is at step {}, and step {} was to follow",
                    stored.0, step.version.0
                );
                self.overtaken(line, &what).await;
            }
        }
        Ok(())
    }

    /// Somebody else has the device: what is here and not there is put aside, and this owner writes no more.
    pub(super) async fn overtaken(&self, line: &Line, why: &str) {
        if line.end(why) && line.has_backlog() {
            self.quarantine(&line.device, why).await;
        }
    }

    /// Drains in a task of its own, until everything is there, the device has ended, or the store is gone.
    pub(super) fn wake(self: Arc<Self>, line: &Arc<Line>) {
        if !line.has_backlog() || line.is_draining.swap(true, Ordering::SeqCst) {
            return;
        }
        let (shared, line, pace) = (Arc::downgrade(&self), line.clone(), self.pace.clone());
        tokio::spawn(async move {
            let mut pause = PAUSE_FIRST;
            while let Some(shared) = shared.upgrade() {
                let drained = shared.drain(&line).await;
                line.is_draining.store(false, Ordering::SeqCst);
                let owned = shared.owned(&line.device).is_some_and(|owned| Arc::ptr_eq(&owned, &line));
                drop(shared);
                match drained {
                    // A step that came in between woke nobody.
                    Ok(Drained::All)
                        if !line.has_backlog() || line.is_draining.swap(true, Ordering::SeqCst) =>
                    {
                        return;
                    }
                    Ok(Drained::All) => continue,
                    Ok(Drained::Ended) => return,
                    Err(_) if !owned || line.is_draining.swap(true, Ordering::SeqCst) => return,
                    Err(_) => {}
                }
                pace.pause(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        });
    }
}
