//! What a journal in front of a database is asked besides: which steps the database does not have yet, and how far it is.

use super::desk::At;
use super::known::Durable;
use super::record::{Record, Settled};
use super::{Answer, FileDevices};
use crate::whatsapp::rules;
use sessile_core::whatsapp::{Acquired, DeviceId, DeviceState, OwnerId, Step, Version};
use std::time::Duration;

impl At<'_> {
    fn own(&mut self, owner: OwnerId, ttl: Duration, settled: Settled) -> Answer<Acquired> {
        self.check_lease(&owner)?;
        let now = self.now;
        if let Some(known) = self.known.as_mut() {
            rules::here(&known.head)?;
            let epoch = known.head.epoch.max(settled.epoch);
            known.head.epoch = epoch;
            known.settled = Some(settled);
            self.append(&[Record::Owned { epoch, at: now }, Record::Settled(settled)], Durable::Now)?;
        }
        self.lent(owner, ttl)
    }

    /// The database's state under the database's epoch.
    fn mirror(
        &mut self,
        state: DeviceState,
        owner: OwnerId,
        ttl: Duration,
        settled: Settled,
    ) -> Answer<Acquired> {
        self.check_lease(&owner)?;
        self.replace(state, Some(settled), &[])?;
        self.lent(owner, ttl)
    }

    fn lent(&mut self, owner: OwnerId, ttl: Duration) -> Answer<Acquired> {
        self.lend(Some(owner), ttl)?;
        let head = self.must_head()?;
        Ok(Acquired { epoch: head.epoch, head })
    }
}

impl FileDevices {
    /// How far the database has this device, as far as is known here.
    pub(in crate::whatsapp) async fn settled(&self, device: &DeviceId) -> Answer<Option<Settled>> {
        self.seen(device, |at| Ok(at.known.as_ref().and_then(|known| known.settled))).await
    }

    /// Notes how far the database has it. It need not be durable: a database that has more is asked, and skipped.
    pub(in crate::whatsapp) async fn settle(&self, device: &DeviceId, settled: Settled) -> Answer<()> {
        self.at(device, move |at| {
            let Some(known) = at.known.as_mut().filter(|known| known.settled != Some(settled)) else {
                return Ok(());
            };
            // Another epoch is another ownership: that one has to be remembered.
            let other = known.settled.is_none_or(|before| before.epoch != settled.epoch);
            known.settled = Some(settled);
            let durable = if other { Durable::Now } else { Durable::Later };
            at.append(&[Record::Settled(settled)], durable)
        })
        .await
    }

    /// Steps after a version, oldest first, at most `count`.
    pub(in crate::whatsapp) async fn steps_after(
        &self,
        device: &DeviceId,
        version: Version,
        count: usize,
    ) -> Answer<Vec<Step>> {
        let steps = self.seen(device, move |at| {
            let Some(known) = at.known.as_ref() else { return Ok(None) };
            rules::here(&known.head)?;
            let (read, _) = at.read(&at.place.journal())?;
            let after = read.steps.into_iter().filter(|step| step.version > version);
            Ok(Some(after.take(count).collect()))
        });
        Ok(steps.await?.unwrap_or_default())
    }

    /// Gives the device to `owner`, as `acquire` does, but under no lower epoch than the database gave it.
    pub(in crate::whatsapp) async fn own(
        &self,
        device: &DeviceId,
        owner: &OwnerId,
        ttl: Duration,
        settled: Settled,
    ) -> Answer<Acquired> {
        let owner = owner.clone();
        self.at(device, move |at| at.own(owner, ttl, settled)).await
    }

    /// Takes the database's state over, which has all of it. What was here has to be put aside or removed before.
    pub(in crate::whatsapp) async fn mirror(
        &self,
        state: DeviceState,
        owner: &OwnerId,
        ttl: Duration,
        settled: Settled,
    ) -> Answer<Acquired> {
        let owner = owner.clone();
        self.at(&state.head.device.clone(), move |at| at.mirror(state, owner, ttl, settled)).await
    }

    /// Removes the files of a device that the database has all of.
    pub(in crate::whatsapp) async fn discard(&self, device: &DeviceId) -> Answer<()> {
        self.seen(device, |at| at.remove().map(Some)).await.map(|_| ())
    }

    /// Puts the files aside, so that the device is unknown here; answers their new names.
    pub(in crate::whatsapp) async fn put_aside(&self, device: &DeviceId) -> Answer<Vec<String>> {
        self.at(device, |at| at.put_aside()).await
    }
}
