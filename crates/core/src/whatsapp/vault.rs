//! A device whose keys this process owns: a mirror in memory over a sealed, fenced store.
//!
//! Reads never wait. A change is made durable first and shown afterwards; changes that come while a step is in flight
//! make up the next one. A step whose outcome is unknown is repeated under its own name until it is known, and nothing
//! else ever takes its place: a ratchet that may have moved has moved. Being fenced is final. Used by the client
//! crate's storage traits; it must never answer from anything but what this owner loaded and committed.

use super::id::{DeviceId, OwnerId, StepId};
use super::lease::{Lease, LeaseStanding};
use super::line::{Asked, Line, Pending};
use super::mirror::{Changes, Delta, Mirror, OpenRow, View};
use super::pace::Pace;
use super::sealing::{DataKey, DeviceSeal};
use super::store::{
    DeviceState, DeviceStore, DeviceStoreError, Epoch, KeyKind, LEASE_TTL, STEP_ROWS_MAX, Step, Version,
};
use super::vault_error::VaultError;
use crate::entropy::Entropy;
use crate::sealing::{SealError, SealingKeys};
use crate::time::Clock;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as Turn;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::time::Duration;

/// How long a step is repeated before whoever waits for it is told that the store is away. Shorter than a lease.
pub const STEP_PATIENCE: Duration = Duration::from_secs(15);
/// The first wait between two attempts; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a vault is opened with.
#[derive(Clone)]
pub struct Opening {
    /// Where the keys live.
    pub store: Arc<dyn DeviceStore>,
    /// The keys of the environment.
    pub keys: SealingKeys,
    /// Which device.
    pub device: DeviceId,
    /// This process.
    pub owner: OwnerId,
    /// For `updated_at`.
    pub clock: Arc<dyn Clock>,
    /// For the lease, and for waiting between attempts.
    pub pace: Arc<dyn Pace>,
    /// Nonces, keys and the names of steps.
    pub entropy: Arc<dyn Entropy>,
}

/// One device whose keys this process owns.
pub struct Vault {
    opening: Opening,
    seal: DeviceSeal,
    epoch: Epoch,
    mirror: RwLock<Mirror>,
    queue: Mutex<Vec<Asked>>,
    /// Whoever holds it takes the next step.
    line: Turn<Line>,
    lease: Mutex<Lease>,
    /// Why nothing can be written any more.
    ended: Mutex<Option<VaultError>>,
}

impl Vault {
    /// Takes the device, loads it and opens what is sealed. A device that nobody has seen is empty, and that is proven.
    ///
    /// # Errors
    /// [`VaultError`]; the device is let go of again.
    pub async fn open(opening: Opening) -> Result<Self, VaultError> {
        let asked_at = opening.pace.elapsed();
        let acquired = opening.store.acquire(&opening.device, &opening.owner, LEASE_TTL).await?;
        let lease = Lease::granted(asked_at);
        let opened = Self::load(&opening, acquired.epoch, lease).await;
        if opened.is_err() {
            // Nobody should have to wait for what we cannot use.
            let _ = opening.store.release(&opening.device, acquired.epoch).await;
        }
        opened
    }

    async fn load(opening: &Opening, epoch: Epoch, lease: Lease) -> Result<Self, VaultError> {
        let Some(state) = opening.store.load(&opening.device).await? else {
            return Err(VaultError::Damaged("the device was acquired, but the store has none".to_owned()));
        };
        if state.head.epoch != epoch {
            return Err(VaultError::Fenced { ours: epoch.0, now: state.head.epoch.0 });
        }
        let (key, wrapped) = unwrapped(opening, &state)?;
        let seal = DeviceSeal::new(opening.device.clone(), &key)?;
        let mirror = mirror_of(&seal, &state)?;
        let is_rewrapped = wrapped.is_some() && state.head.wrapped_key.is_some();
        let vault = Self {
            opening: opening.clone(),
            seal,
            epoch,
            mirror: RwLock::new(mirror),
            queue: Mutex::default(),
            line: Turn::new(Line::beginning_with(wrapped)),
            lease: Mutex::new(lease),
            ended: Mutex::default(),
        };
        if is_rewrapped {
            // At once, so that the old key can go once every device was opened.
            let mut line = vault.line.lock().await;
            let pending = vault.plan(&line, Delta::default())?;
            line.pending = Some(pending);
            vault.settle(&mut line, STEP_PATIENCE).await?;
        }
        Ok(vault)
    }

    /// Which device it is.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.opening.device
    }

    /// Under which ownership.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How many steps the device has taken, as far as is known.
    #[must_use]
    pub fn version(&self) -> Version {
        self.mirror.read().version
    }

    /// The client's own record of its identity; `None`, proven: there is none yet.
    #[must_use]
    pub fn credentials(&self) -> Option<Arc<[u8]>> {
        self.mirror.read().credentials.clone()
    }

    /// One row's value.
    #[must_use]
    pub fn get(&self, kind: KeyKind, key: &[u8]) -> Option<Arc<[u8]>> {
        self.mirror.read().get(kind, key)
    }

    /// Rows whose key begins with `prefix`: keys and values, in the order of keys.
    #[must_use]
    pub fn scan(&self, kind: KeyKind, prefix: &[u8]) -> Vec<OpenRow> {
        self.mirror.read().scan(kind, prefix)
    }

    /// Makes changes durable; with others in one step, when others come at the same time.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: they may be durable, or become so. Anything else: they are not.
    pub async fn commit(&self, changes: Changes) -> Result<(), VaultError> {
        self.usable()?;
        changes.fit_a_step()?;
        let (reply, answer) = oneshot::channel();
        self.queue.lock().push(Asked { changes, reply });
        match select(answer, self.line.lock()).await {
            Either::Left((answer, _)) => answer.unwrap_or(Err(VaultError::Closed)),
            Either::Right((mut line, mut answer)) => loop {
                match answer.try_recv() {
                    Ok(None) => self.lead(&mut line, STEP_PATIENCE).await,
                    Ok(Some(answer)) => return answer,
                    Err(_) => return Err(VaultError::Closed),
                }
            },
        }
    }

    /// Decides on the keys as they are and makes the outcome durable; nothing changes them in between.
    ///
    /// # Errors
    /// As [`Vault::commit`].
    pub async fn update(&self, decide: impl FnOnce(&View<'_>) -> Changes + Send) -> Result<(), VaultError> {
        let mut line = self.line.lock().await;
        self.settle(&mut line, STEP_PATIENCE).await?;
        self.usable()?;
        let changes = decide(&View(&self.mirror.read()));
        changes.fit_a_step()?;
        let (reply, answer) = oneshot::channel();
        self.step(&mut line, vec![Asked { changes, reply }], STEP_PATIENCE).await;
        answer.await.unwrap_or(Err(VaultError::Closed))
    }

    /// Holds the device for another while; also tries once more what could not be settled before.
    ///
    /// # Errors
    /// [`VaultError::Fenced`]: somebody else has it; stop. [`VaultError::Unavailable`]: try again, until
    /// [`Vault::lease`] says that it is given up.
    pub async fn renew(&self) -> Result<(), VaultError> {
        self.usable()?;
        let asked_at = self.opening.pace.elapsed();
        let renewed = self.opening.store.renew(self.device(), self.epoch, LEASE_TTL).await;
        renewed.map_err(|error| self.refused(error))?;
        {
            let mut lease = self.lease.lock();
            *lease = lease.or_later(Lease::granted(asked_at));
        }
        // Behind a step that is in flight there is nothing to do: it is being repeated already.
        if let Some(mut line) = self.line.try_lock() {
            self.lead(&mut line, Duration::ZERO).await;
        }
        Ok(())
    }

    /// How long this process may still act as the device's owner.
    #[must_use]
    pub fn lease(&self) -> LeaseStanding {
        self.lease.lock().at(self.opening.pace.elapsed())
    }

    /// Lets go of the device, so that the next owner need not wait. Nothing can be written afterwards.
    pub async fn release(&self) {
        let mut line = self.line.lock().await;
        if self.usable().is_err() {
            return;
        }
        self.lead(&mut line, Duration::ZERO).await;
        self.end(VaultError::Closed);
        // Unheard, the lease runs out by itself.
        let _ = self.opening.store.release(self.device(), self.epoch).await;
    }

    /// Removes the device's keys for good: it was logged out. Nothing can be written afterwards.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`]: they may be gone; call it again.
    pub async fn destroy(&self) -> Result<(), VaultError> {
        let mut line = self.line.lock().await;
        // A step that is under way must not arrive after the end.
        self.settle(&mut line, STEP_PATIENCE).await?;
        self.usable()?;
        let until = self.opening.pace.elapsed() + STEP_PATIENCE;
        let mut pause = PAUSE_FIRST;
        while let Err(error) = self.opening.store.destroy(self.device(), self.epoch).await {
            if !matches!(error, DeviceStoreError::Unavailable(_)) || self.opening.pace.elapsed() >= until {
                return Err(self.refused(error));
            }
            self.opening.pace.pause(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.end(VaultError::Closed);
        self.mirror.write().clear();
        Ok(())
    }

    /// Whether another process has taken the device over, so that this one must stop.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(*self.ended.lock(), Some(VaultError::Fenced { .. }))
    }

    fn usable(&self) -> Result<(), VaultError> {
        self.ended.lock().clone().map_or(Ok(()), Err)
    }

    /// Remembers why nothing can be written any more; the first reason stays.
    fn end(&self, why: VaultError) {
        self.ended.lock().get_or_insert(why);
    }

    /// What a refusal means to the caller; one that is final ends the vault.
    fn refused(&self, error: DeviceStoreError) -> VaultError {
        let error = VaultError::from(error);
        if error.is_final() {
            self.end(error.clone());
        }
        error
    }

    /// Takes one step with what has gathered, after settling what went before.
    async fn lead(&self, line: &mut Line, patience: Duration) {
        let settled = self.settle(line, patience).await.and_then(|()| self.usable());
        let batch = line.retry.pop().map_or_else(|| gathered(&mut self.queue.lock()), |asked| vec![asked]);
        match settled {
            Ok(()) => self.step(line, batch, patience).await,
            Err(error) => batch.into_iter().for_each(|asked| asked.answer(Err(error.clone()))),
        }
    }

    async fn step(&self, line: &mut Line, batch: Vec<Asked>, patience: Duration) {
        let mut delta = Delta::default();
        batch.iter().for_each(|asked| delta.add(&asked.changes));
        let delta = delta.against(&self.mirror.read());
        if delta.is_empty() {
            return batch.into_iter().for_each(|asked| asked.answer(Ok(())));
        }
        match self.plan(line, delta) {
            Ok(mut pending) => {
                pending.asked = batch;
                line.pending = Some(pending);
                // Whoever asked is answered within.
                let _ = self.settle(line, patience).await;
            }
            Err(error) => batch.into_iter().for_each(|asked| asked.answer(Err(error.clone()))),
        }
    }

    /// The step that makes `delta` durable.
    fn plan(&self, line: &Line, delta: Delta) -> Result<Pending, VaultError> {
        let entropy = &*self.opening.entropy;
        let mut step = Step {
            id: StepId::generate(entropy).map_err(SealError::from)?,
            epoch: self.epoch,
            version: Version(self.version().0 + 1),
            wrapped_key: line.wrapped.clone(),
            credentials: None,
            puts: Vec::new(),
            deletes: Vec::new(),
            at: self.opening.clock.now(),
        };
        if let Some(plain) = &delta.credentials {
            step.credentials = Some(self.seal.seal_credentials(plain, entropy)?);
        }
        for ((kind, key), value) in &delta.rows {
            match value {
                Some(value) => step.puts.push(self.seal.seal_row(*kind, key, value, entropy)?),
                None => step.deletes.push(self.seal.row_key(*kind, key)),
            }
        }
        Ok(Pending { step, delta, asked: Vec::new() })
    }

    /// Repeats the pending step until its outcome is known, or for `patience`; without one, nothing happens.
    async fn settle(&self, line: &mut Line, patience: Duration) -> Result<(), VaultError> {
        let until = self.opening.pace.elapsed() + patience;
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(pending) = &line.pending else { return Ok(()) };
            let error = match self.opening.store.commit_step(self.device(), &pending.step).await {
                Ok(_) => {
                    self.landed(line);
                    return Ok(());
                }
                Err(error) => error,
            };
            let may_come = matches!(error, DeviceStoreError::Unavailable(_) | DeviceStoreError::Held { .. });
            if may_come && self.opening.pace.elapsed() < until {
                self.opening.pace.pause(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            let error = self.refused(error);
            return self.failed(line, error);
        }
    }

    /// The pending step is durable.
    fn landed(&self, line: &mut Line) {
        let Some(Pending { step, delta, asked }) = line.pending.take() else { return };
        line.wrapped = None;
        self.mirror.write().apply(delta, step.version);
        asked.into_iter().for_each(|asked| asked.answer(Ok(())));
    }

    /// The pending step was refused, or its outcome is unknown: then it stays.
    fn failed(&self, line: &mut Line, error: VaultError) -> Result<(), VaultError> {
        let Some(pending) = &mut line.pending else { return Err(error) };
        let asked = std::mem::take(&mut pending.asked);
        if matches!(error, VaultError::TooLarge { .. }) {
            line.pending = None;
            if asked.len() > 1 {
                // One that is too large does not fail its neighbours: each goes alone, in the order in which it came.
                line.retry.extend(asked.into_iter().rev());
                return Ok(());
            }
        }
        if error.is_final() {
            line.pending = None;
        }
        asked.into_iter().for_each(|asked| asked.answer(Err(error.clone())));
        Err(error)
    }
}

/// As much of the queue as one step may hold.
fn gathered(queue: &mut Vec<Asked>) -> Vec<Asked> {
    let mut rows = 0;
    let fits = |asked: &Asked| {
        rows += asked.changes.rows();
        rows <= STEP_ROWS_MAX
    };
    let count = queue.iter().map(fits).take_while(|fits| *fits).count();
    queue.drain(..count).collect()
}

/// The device's key, and its wrapping when that has to be stored.
fn unwrapped(opening: &Opening, state: &DeviceState) -> Result<(DataKey, Option<String>), VaultError> {
    let (keys, device, entropy) = (&opening.keys, &opening.device, &*opening.entropy);
    if let Some(wrapped) = &state.head.wrapped_key {
        let key = DataKey::unwrap(keys, device, wrapped)?;
        let anew = (!keys.is_newest(wrapped)).then(|| key.wrap(keys, device, entropy)).transpose()?;
        return Ok((key, anew));
    }
    if state.credentials.is_some() || !state.rows.is_empty() {
        return Err(VaultError::Damaged("there are sealed keys, but not the key that opens them".to_owned()));
    }
    let key = DataKey::generate(entropy).map_err(SealError::from)?;
    let wrapped = key.wrap(keys, device, entropy)?;
    Ok((key, Some(wrapped)))
}

fn mirror_of(seal: &DeviceSeal, state: &DeviceState) -> Result<Mirror, VaultError> {
    let mut mirror = Mirror::default();
    mirror.version = state.head.version;
    mirror.credentials =
        state.credentials.as_deref().map(|sealed| seal.open_credentials(sealed)).transpose()?;
    for row in &state.rows {
        let (key, value) = seal.open_row(row)?;
        if seal.row_key(row.key.kind, &key) != row.key {
            return Err(VaultError::Damaged("a row is not what its name says".to_owned()));
        }
        mirror.put(row.key.kind, key, value);
    }
    Ok(mirror)
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({}, epoch {}, version {})", self.device(), self.epoch.0, self.version().0)
    }
}
