//! The devices of this process: what a server asks of them, and what keeps them running.
//!
//! Each device has a keeper, a task that owns it. Any number of processes may run the same devices: the store gives a
//! device to one of them, the others stand by and take it over when its lease has run out. What people want of a device
//! is stored, so a device that was stopped on purpose stays stopped, wherever they said it. Nothing here speaks HTTP;
//! every answer is one that a route can give as it is.

mod effects;
mod error;
mod keeper;
mod owning;
mod sends;
mod setup;
mod status;

pub use error::DeviceError;
pub use sends::SendKey;
pub use setup::Setup;
pub use status::{DeviceEvent, Info, PairingCode, Qr, QrAnswer, SentMessage, Status, Unlinked};

use crate::message::{PhoneNumber, Text};
use futures_util::Stream;
use keeper::{Keeper, Order, Reply};
use owning::STORE_PAUSE_FIRST;
use parking_lot::{Mutex, RwLock};
use sends::Sender;
use sessile_core::Timestamp;
use sessile_core::whatsapp::connection::{Connection, RECONNECTS_MAX};
use sessile_core::whatsapp::{DeviceHead, DeviceId, VaultError, Wanted};
use setup::Shared;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Orders that may wait for one device.
const ORDERS_WAITING: usize = 32;
/// How often the store is asked which devices should run, for what was said at other processes.
const ROUND_EVERY: Duration = Duration::from_secs(10);
/// How soon it is asked again when it did not answer; each time twice as long as before, up to [`ROUND_EVERY`].
const ROUND_AGAIN: Duration = Duration::from_millis(200);
/// Rounds between two times that old idempotency keys are forgotten: once an hour.
const ROUNDS_BETWEEN_TIDYING: u32 = 360;

/// The devices of this process.
pub struct Devices {
    shared: Arc<Shared>,
    kept: RwLock<HashMap<DeviceId, Kept>>,
    started_at: Instant,
    /// Dropped, it ends the rounds.
    is_open: watch::Sender<bool>,
}

/// How to reach a keeper.
#[derive(Clone)]
struct Kept {
    orders: mpsc::Sender<Order>,
    shown: watch::Receiver<Status>,
    post: Arc<Mutex<Option<Arc<Sender>>>>,
}

impl Devices {
    /// No devices yet.
    #[must_use]
    pub fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            shared: Shared::new(setup),
            kept: RwLock::default(),
            started_at: Instant::now(),
            is_open: watch::Sender::new(true),
        })
    }

    /// Runs every device that is paired and should run, now and whenever another process says so, until
    /// [`Devices::shutdown`]. A store that does not answer is asked again, soon at first.
    pub fn run(self: &Arc<Self>) {
        let (devices, mut is_open) = (Arc::clone(self), self.is_open.subscribe());
        tokio::spawn(async move {
            let (mut rounds, mut again) = (0_u32, ROUND_AGAIN);
            while *is_open.borrow_and_update() {
                let answered = devices.round(rounds.is_multiple_of(ROUNDS_BETWEEN_TIDYING)).await;
                let pause = if answered { ROUND_EVERY } else { again };
                again = if answered { ROUND_AGAIN } else { (again * 2).min(ROUND_EVERY) };
                rounds = rounds.wrapping_add(u32::from(answered));
                let _ = tokio::time::timeout(pause, is_open.changed()).await;
            }
        });
    }

    /// Brings what this process does in line with what the store says should be done; whether the store said it.
    async fn round(&self, tidies: bool) -> bool {
        let asked_at = Instant::now();
        let heads = match self.shared.store.list().await {
            Ok(heads) => heads,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "which devices should run is not known");
                self.tell_of(&VaultError::from(error));
                return false;
            }
        };
        let mut unlisted: HashSet<DeviceId> = self.kept.read().keys().cloned().collect();
        unlisted.insert(self.shared.usual.clone());
        for head in heads {
            unlisted.remove(&head.device);
            let is_paired = head.has_credentials && head.moved_to.is_none();
            let known = self.kept.read().get(&head.device).cloned();
            if let Some(to) = head.moved_to
                && (known.is_some() || head.device == self.shared.usual)
            {
                self.tell(&head.device, VaultError::Moved { to });
                continue;
            }
            let kept = match known {
                Some(kept) => kept,
                None if is_paired && head.wanted == Wanted::Running && *self.is_open.borrow() => {
                    self.keeper(&head.device, head.wanted)
                }
                None => continue,
            };
            // A keeper that is busy hears of it in the next round.
            let _ = kept.orders.try_send(Order::Seen { wanted: head.wanted, is_paired, asked_at });
            if tidies {
                let _ = kept.orders.try_send(Order::Tidy);
            }
        }
        for device in unlisted {
            self.look_for(&device, asked_at).await;
        }
        true
    }

    /// Asks for a device that is not on the list: either there is none, or the store says why it cannot be used.
    async fn look_for(&self, device: &DeviceId, asked_at: Instant) {
        let known = self.kept.read().get(device).cloned();
        match self.shared.store.head(device).await {
            Ok(None) => {
                if let Some(kept) = known {
                    let (wanted, is_paired) = (Wanted::Running, false);
                    let _ = kept.orders.try_send(Order::Seen { wanted, is_paired, asked_at });
                }
            }
            // It came in between; the next round has it on its list.
            Ok(Some(_)) => {}
            Err(error) => self.tell(device, VaultError::from(error)),
        }
    }

    /// The store answers nothing about any device.
    fn tell_of(&self, trouble: &VaultError) {
        let mut devices: HashSet<DeviceId> = self.kept.read().keys().cloned().collect();
        devices.insert(self.shared.usual.clone());
        devices.iter().for_each(|device| self.tell(device, trouble.clone()));
    }

    fn tell(&self, device: &DeviceId, trouble: VaultError) {
        if *self.is_open.borrow() {
            let _ = self.keeper(device, Wanted::Running).orders.try_send(Order::Trouble(trouble));
        }
    }

    /// The keeper of a device, made if there is none.
    fn keeper(&self, device: &DeviceId, wanted: Wanted) -> Kept {
        if let Some(kept) = self.kept.read().get(device) {
            return kept.clone();
        }
        let mut all = self.kept.write();
        let make = || {
            let (orders, queue) = mpsc::channel(ORDERS_WAITING);
            let first = Status { wanted, ..Status::unknown(device.clone(), self.shared.clock.now()) };
            let (shown, seen) = watch::channel(first);
            let post = Arc::default();
            let keeper = Keeper {
                shared: Arc::clone(&self.shared),
                device: device.clone(),
                orders: queue,
                connection: Connection::found(wanted),
                due: VecDeque::new(),
                vault: None,
                opening: None,
                renewal: None,
                live: None,
                post: Arc::clone(&post),
                wanted_at: None,
                retry_at: None,
                reopen_at: None,
                store_pause: STORE_PAUSE_FIRST,
                is_destroying: false,
                is_dialling: false,
                qr: None,
                qr_seq: 0,
                pairing_code: None,
                elsewhere_until: None,
                last_error: None,
                shown,
            };
            tokio::spawn(keeper.run());
            Kept { orders, shown: seen, post }
        };
        all.entry(device.clone()).or_insert_with(make).clone()
    }

    async fn order<T>(
        &self,
        device: &DeviceId,
        order: impl FnOnce(Reply<T>) -> Order + Send,
    ) -> Result<T, DeviceError> {
        if !*self.is_open.borrow() {
            return Err(DeviceError::ShuttingDown);
        }
        let (reply, answer) = oneshot::channel();
        let kept = self.keeper(device, Wanted::Running);
        kept.orders.send(order(reply)).await.map_err(|_| DeviceError::ShuttingDown)?;
        answer.await.unwrap_or(Err(DeviceError::ShuttingDown))
    }

    /// The device should run from now on: connects it, or shows a QR code when it is not paired.
    ///
    /// # Errors
    /// [`DeviceError::StorageAway`]: nothing changed.
    pub async fn start(&self, device: &DeviceId) -> Result<(), DeviceError> {
        self.order(device, Order::Start).await
    }

    /// The device should not run, not after a restart either.
    ///
    /// # Errors
    /// [`DeviceError::StorageAway`]: nothing changed.
    pub async fn stop(&self, device: &DeviceId) -> Result<(), DeviceError> {
        self.order(device, Order::Stop).await
    }

    /// Connects anew, and forgets how often that failed. Also brings new QR codes.
    ///
    /// # Errors
    /// [`DeviceError::StorageAway`]: nothing changed.
    pub async fn reconnect(&self, device: &DeviceId) -> Result<(), DeviceError> {
        self.order(device, Order::Reconnect).await
    }

    /// Unlinks the device, then destroys its keys.
    ///
    /// # Errors
    /// [`DeviceError::Elsewhere`]: ask there. [`DeviceError::StorageAway`]: the keys will be destroyed when it answers.
    pub async fn logout(&self, device: &DeviceId) -> Result<Unlinked, DeviceError> {
        self.order(device, Order::Logout).await
    }

    /// A code to link the device by phone number. Asked again for the same number it is the same one, while it is good.
    ///
    /// # Errors
    /// [`DeviceError::AlreadyPaired`]; [`DeviceError::NotReady`]: start it first.
    pub async fn pair_code(
        &self,
        device: &DeviceId,
        number: PhoneNumber,
    ) -> Result<PairingCode, DeviceError> {
        self.order(device, |reply| Order::PairCode(number, reply)).await
    }

    /// How the device is, as this process sees it.
    #[must_use]
    pub fn status(&self, device: &DeviceId) -> Status {
        let kept = self.kept.read().get(device).map(|kept| kept.shown.borrow().clone());
        kept.unwrap_or_else(|| Status::unknown(device.clone(), self.shared.clock.now()))
    }

    /// What there is to scan.
    #[must_use]
    pub fn qr(&self, device: &DeviceId) -> QrAnswer {
        qr_of(&self.status(device))
    }

    /// How the device is now, and each time that it is otherwise; among it every new QR code.
    pub fn qr_events(&self, device: &DeviceId) -> impl Stream<Item = Status> + Send + use<> {
        let mut shown = self.keeper(device, Wanted::Running).shown;
        shown.mark_changed();
        futures_util::stream::unfold(shown, |mut shown| async move {
            shown.changed().await.ok()?;
            let status = shown.borrow_and_update().clone();
            Some((status, shown))
        })
    }

    /// Every change and every receipt of every device, from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<DeviceEvent> {
        self.shared.events.subscribe()
    }

    /// Sends a text. With a key, asking again sends nothing and answers the same.
    ///
    /// # Errors
    /// [`DeviceError`]; only [`DeviceError::Unknown`] and [`DeviceError::StorageAway`] may have sent something.
    pub async fn send(
        &self,
        device: &DeviceId,
        number: PhoneNumber,
        message: Text,
        key: Option<SendKey>,
    ) -> Result<SentMessage, DeviceError> {
        let status = self.status(device);
        let post = self.kept.read().get(device).and_then(|kept| kept.post.lock().clone());
        let sender = match (post, status.elsewhere_until) {
            (Some(sender), _) if status.is_ready => sender,
            (_, Some(until)) => return Err(DeviceError::Elsewhere { until }),
            _ => return Err(DeviceError::NotReady { status: status.status }),
        };
        // On a task of its own: a caller that hangs up must not leave half a send behind.
        let sending = tokio::spawn(async move { sender.send(&number, &message, key.as_ref()).await });
        let sent = sending.await.unwrap_or_else(|panic| Err(DeviceError::Unknown(panic.to_string())));
        self.shared.observer.count(match &sent {
            Ok(sent) if sent.was_sent_before => crate::observer::Counted::SentBefore,
            Ok(_) => crate::observer::Counted::Sent,
            Err(_) => crate::observer::Counted::SendFailed,
        });
        sent
    }

    /// Whether the device is ready, for a health check.
    #[must_use]
    pub fn health(&self, device: &DeviceId) -> bool {
        self.status(device).is_ready
    }

    /// What an operator wants to know.
    #[must_use]
    pub fn info(&self, device: &DeviceId) -> Info {
        let post = self.kept.read().get(device).and_then(|kept| kept.post.lock().clone());
        Info {
            status: self.status(device),
            attempts_max: RECONNECTS_MAX,
            epoch: post.as_ref().map(|sender| sender.vault().epoch()),
            version: post.as_ref().map(|sender| sender.vault().version()),
            store: self.shared.store.info(),
            uptime_seconds: self.started_at.elapsed().as_secs(),
        }
    }

    /// Every device that the store knows, without its keys.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Vec<DeviceHead>, DeviceError> {
        Ok(self.shared.store.list().await?)
    }

    /// Removes devices that nobody holds, that have no credentials or should not run, and that changed last before
    /// `before`; answers how many there were.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remove_unused(&self, before: Timestamp) -> Result<u64, DeviceError> {
        Ok(self.shared.store.remove_unused(before).await?)
    }

    /// Disconnects everything and lets go of it, so that the next process need not wait. What should run stays so.
    pub async fn shutdown(&self) {
        self.is_open.send_replace(false);
        let kept: Vec<Kept> = self.kept.read().values().cloned().collect();
        let closing = kept.into_iter().map(|kept| async move {
            let (done, is_done) = oneshot::channel();
            if kept.orders.send(Order::Close(done)).await.is_ok() {
                let _ = is_done.await;
            }
        });
        futures_util::future::join_all(closing).await;
    }
}

/// What a status means to somebody who wants to scan.
#[must_use]
pub fn qr_of(status: &Status) -> QrAnswer {
    match (&status.qr, status.status) {
        (Some(qr), _) => QrAnswer::Show(qr.clone()),
        (None, "ready" | "authenticated") => QrAnswer::Connected,
        (None, "qr_error") => QrAnswer::UsedUp,
        (None, status) => QrAnswer::NotYet { status },
    }
}
