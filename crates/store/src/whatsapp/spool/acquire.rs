//! Taking a device: what the journal still has is brought to the database first, or put aside, before the database's keys are
//! used; and without a database only one node's own journal will do.

use super::line::Line;
use super::{Answer, Shared};
use crate::whatsapp::file::Settled;
use sessile_core::whatsapp::journal::{EntryHead, Plan, Why, reconcile};
use sessile_core::whatsapp::{
    Acquired, DeviceHead, DeviceId, DeviceStore as _, DeviceStoreError, Epoch, OwnerId, Step, Version,
};
use std::sync::Arc;
use std::time::Duration;

impl Shared {
    pub(super) async fn acquire(
        self: &Arc<Self>,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
    ) -> Answer<Acquired> {
        let local = self.local.head(device).await?;
        let settled = self.local.settled(device).await?;
        let was_there = match (&local, settled) {
            (Some(local), Some(settled)) => Some((local.clone(), settled)),
            (Some(local), None) if local.has_credentials => return Err(foreign(device)),
            _ => None,
        };
        // Before anything is touched here: without a database other rules hold.
        if let Err(error) = self.remote.head(device).await {
            return self.without_database(device, owner, ttl, was_there, error).await;
        }
        if was_there.is_some() {
            // Another process of this machine that lives has it; one that died does not.
            let local_epoch = self.local.acquire(device, owner, ttl).await?.epoch;
            self.end_before(device).await;
            if let Err(error) = self.level(device, ttl).await {
                self.local.release(device, local_epoch).await?;
                return Err(error);
            }
        }
        let asked_at = self.pace.elapsed();
        let acquired = self.remote.acquire(device, owner, ttl).await?;
        self.end_before(device).await;
        self.begin(device, owner, ttl, (acquired.epoch, asked_at)).await
    }

    /// Another owner in this very process had it: nothing of it may be under way to the database any more.
    async fn end_before(&self, device: &DeviceId) {
        let Some(line) = self.lines.lock().remove(device) else { return };
        line.end("another owner in this process has taken the device over");
        drop(line.turn.lock().await);
    }

    /// Goes on with a device that the database just gave to `owner` under `epoch`.
    pub(super) async fn take(
        self: &Arc<Self>,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
        epoch: Epoch,
    ) -> Answer<Acquired> {
        self.begin(device, owner, ttl, (epoch, self.pace.elapsed())).await
    }

    /// Makes the journal the database's mirror.
    async fn begin(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
        (epoch, asked_at): (Epoch, Duration),
    ) -> Answer<Acquired> {
        let local = self.local.head(device).await?;
        let lost = || DeviceStoreError::Damaged(format!("the database gave {device} and has it no more"));
        let head = self.remote.head(device).await?.ok_or_else(lost)?;
        let settled = Settled { epoch, version: head.version };
        let same = |local: &DeviceHead| {
            local.version == head.version
                && local.last_step == head.last_step
                && local.has_credentials == head.has_credentials
                && local.wrapped_key == head.wrapped_key
        };
        let acquired = if local.as_ref().is_some_and(same) {
            let acquired = self.local.own(device, owner, ttl, settled).await?;
            self.local.want(device, head.wanted).await?;
            acquired
        } else {
            // All of it is in the database, or was put aside.
            let state = self.remote.load(device).await?.ok_or_else(lost)?;
            let settled = Settled { epoch, version: state.head.version };
            self.local.discard(device).await?;
            self.local.mirror(state, owner, ttl, settled).await?
        };
        let version = acquired.head.version;
        self.open(device, (acquired.epoch, epoch), (version, version), asked_at);
        // What is shown is the database's, but for the epoch.
        let head = DeviceHead { wanted: head.wanted, ..acquired.head };
        Ok(Acquired { epoch: acquired.epoch, head })
    }

    fn open(
        &self,
        device: &DeviceId,
        epochs: (Epoch, Epoch),
        versions: (Version, Version),
        asked_at: Duration,
    ) -> Arc<Line> {
        self.left.lock().remove(device);
        let line = Arc::new(Line::new(device, epochs, versions, asked_at));
        self.lines.lock().insert(device.clone(), line.clone());
        line
    }

    /// The database does not answer: on one node its own journal goes on, under the epoch that it had.
    async fn without_database(
        self: &Arc<Self>,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
        was_there: Option<(DeviceHead, Settled)>,
        error: DeviceStoreError,
    ) -> Answer<Acquired> {
        let Some((_, settled)) = was_there.filter(|_| self.stands_in(&error)) else { return Err(error) };
        let asked_at = self.pace.elapsed();
        let acquired = self.local.acquire(device, owner, ttl).await?;
        self.end_before(device).await;
        let epochs = (acquired.epoch, settled.epoch);
        let line = self.open(device, epochs, (settled.version, acquired.head.version), asked_at);
        self.degrade(&line, &error);
        self.clone().wake(&line);
        Ok(acquired)
    }

    /// Brings the journal and the database level, as far as they are one history.
    async fn level(&self, device: &DeviceId, ttl: Duration) -> Answer<()> {
        let Some(settled) = self.local.settled(device).await? else { return Ok(()) };
        let Some(head) = self.remote.head(device).await? else {
            return Err(DeviceStoreError::Damaged(format!(
                "the database does not know {device}, which was there at step {}: it was emptied, or it is another one. \
                 Start with the database that has it; if that is lost, remove this machine's files of the device and pair \
                 it anew",
                settled.version.0
            )));
        };
        let steps = self.local.steps_after(device, settled.version, usize::MAX).await?;
        if head.version < settled.version {
            return Err(older(device, head.version, settled.version));
        }
        let entries: Vec<_> = steps
            .iter()
            .map(|step| EntryHead { epoch: settled.epoch, version: step.version, step: step.id })
            .collect();
        match reconcile(&entries, &head) {
            Plan::Nothing => {}
            Plan::Replay(from) => {
                let after = steps.into_iter().filter(|step| step.version >= from);
                self.replay(device, settled.epoch, after, ttl).await?;
            }
            Plan::Quarantine(Why::Gap { stored, first }) => return Err(older(device, stored, first)),
            Plan::Quarantine(why) => self.quarantine(device, &why.to_string()).await,
        }
        // The process that had this epoch was ours, and is gone: nobody has to wait for its lease.
        self.remote.release(device, settled.epoch).await.or_else(|error| match error {
            DeviceStoreError::Moved { .. } => Ok(()),
            error => Err(error),
        })
    }

    /// What was left over, under the epoch that it was made under. Nobody took the device since, or this is refused.
    async fn replay(
        &self,
        device: &DeviceId,
        epoch: Epoch,
        steps: impl Iterator<Item = Step>,
        ttl: Duration,
    ) -> Answer<()> {
        let why = match self.remote.renew(device, epoch, ttl).await {
            Ok(()) => None,
            Err(error @ DeviceStoreError::Fenced { .. }) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        if let Some(why) = why {
            self.quarantine(device, &why).await;
            return Ok(());
        }
        let mut last = None;
        for step in steps {
            last = Some(step.version);
            match self.remote.commit_step(device, &Step { epoch, ..step }).await {
                Ok(_) => {}
                Err(error @ DeviceStoreError::Fenced { .. }) => {
                    self.quarantine(device, &error.to_string()).await;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(version) = last {
            tracing::info!(%device, version = version.0, "the journal's steps are in the database");
            self.local.settle(device, Settled { epoch, version }).await?;
        }
        Ok(())
    }

    /// Puts the journal aside and says so loudly: steps are in it that the database will never have.
    pub(super) async fn quarantine(&self, device: &DeviceId, why: &str) {
        let message = "the journal of a WhatsApp device is put aside and never merged; the device goes on with what the \
                       database has";
        match self.local.put_aside(device).await {
            Ok(files) => tracing::error!(%device, why, files = files.join(", "), "{message}"),
            Err(error) => tracing::error!(%device, why, %error, "{message}; it could not be renamed"),
        }
    }
}

/// A journal that was never in front of this database.
fn foreign(device: &DeviceId) -> DeviceStoreError {
    DeviceStoreError::Damaged(format!(
        "the journal of {device} was never in front of a database: migrate it first, or give the journal a folder of its own"
    ))
}

/// The database lacks what it had confirmed.
fn older(device: &DeviceId, stored: Version, ours: Version) -> DeviceStoreError {
    let error = DeviceStoreError::Damaged(format!(
        "the database is at step {} of {device}, and had confirmed step {} to this machine: it was put back to an older \
         state, whose keys would be used twice. Put the newer database back; if it is lost, log the device out on the phone, \
         remove it from the database and from this machine, and pair it anew",
        stored.0, ours.0
    ));
    tracing::error!(%device, %error, "an old copy of a WhatsApp device's keys is refused");
    error
}
