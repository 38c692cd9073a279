//! One device's keeper: the only task that owns it, connects it and decides about it.
//!
//! Orders of people, news of the client, the timers and the lease come in one after the other; each becomes an event of
//! core's connection machine, whose effects are carried out here. The keeper never sends a message: that is done by
//! whoever asks, on the client that the keeper put up. Opening and renewing run on tasks of their own, so that a store
//! that does not answer cannot keep the keeper from giving the device up in time.

use super::error::DeviceError;
use super::sends::Sender;
use super::setup::Shared;
use super::status::{DeviceEvent, PairingCode, Qr, Status, Unlinked};
use crate::client::{Ended, News};
use crate::message::{PhoneNumber, Receipt};
use crate::observer::Counted;
use crate::wire::Gate;
use parking_lot::Mutex;
use sessile_core::Timestamp;
use sessile_core::whatsapp::connection::{Chance, Connection, ConnectionEvent, ConnectionState};
use sessile_core::whatsapp::{DeviceId, Vault, VaultError, Wanted};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the lease and the client are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) type Reply<T> = oneshot::Sender<Result<T, DeviceError>>;

/// What people and the process want of a device.
pub(super) enum Order {
    /// It should run from now on.
    Start(Reply<()>),
    /// It should not.
    Stop(Reply<()>),
    /// Connect anew, and forget how often that failed.
    Reconnect(Reply<()>),
    /// Unlink it and destroy its keys.
    Logout(Reply<Unlinked>),
    /// A code to link it by phone number.
    PairCode(PhoneNumber, Reply<PairingCode>),
    /// What the store says: what people want of it, on whichever process they said it, and whether it is paired.
    /// An order that was carried out since the store was asked is the newer word.
    Seen { wanted: Wanted, is_paired: bool, asked_at: Instant },
    /// The store cannot say how the device is, or whether there is one.
    Trouble(VaultError),
    /// Forget idempotency keys whose time is over.
    Tidy,
    /// The process ends: disconnect and let go.
    Close(oneshot::Sender<()>),
}

/// The client that is up, and what guards it.
pub(super) struct Live {
    pub(super) sender: Arc<Sender>,
    pub(super) gate: Arc<Gate>,
    pub(super) news: UnboundedReceiver<News>,
    /// Whether a connection is there or being made.
    pub(super) is_connected: bool,
}

/// A pairing code that somebody may be typing.
pub(super) struct Outstanding {
    pub(super) number: PhoneNumber,
    pub(super) code: PairingCode,
}

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) device: DeviceId,
    pub(super) orders: Receiver<Order>,
    pub(super) connection: Connection,
    /// Events that are to be decided before anything else is heard.
    pub(super) due: VecDeque<ConnectionEvent>,
    pub(super) vault: Option<Arc<Vault>>,
    pub(super) opening: Option<JoinHandle<Result<Vault, VaultError>>>,
    pub(super) renewal: Option<JoinHandle<Result<(), VaultError>>>,
    pub(super) live: Option<Live>,
    /// Where senders find the client.
    pub(super) post: Arc<Mutex<Option<Arc<Sender>>>>,
    /// When what people want was stored here last.
    pub(super) wanted_at: Option<Instant>,
    pub(super) retry_at: Option<Instant>,
    /// When to try to own the device again.
    pub(super) reopen_at: Option<Instant>,
    /// How long to wait for a store that does not answer, the next time.
    pub(super) store_pause: Duration,
    /// The keys are to be destroyed, and the store has not done it yet.
    pub(super) is_destroying: bool,
    /// A connection is to be made as soon as this round is over.
    pub(super) is_dialling: bool,
    pub(super) qr: Option<Qr>,
    pub(super) qr_seq: u64,
    pub(super) pairing_code: Option<Outstanding>,
    pub(super) elsewhere_until: Option<Timestamp>,
    pub(super) last_error: Option<String>,
    pub(super) shown: watch::Sender<Status>,
}

enum Woken {
    Order(Option<Order>),
    News(Option<News>),
    Opened(Box<Result<Vault, VaultError>>),
    Renewed(Result<(), VaultError>),
    Clock,
}

impl Keeper {
    /// Keeps the device until the process ends.
    pub(super) async fn run(mut self) {
        loop {
            match self.wait().await {
                Woken::Order(None) => return self.close().await,
                Woken::Order(Some(Order::Close(done))) => {
                    self.close().await;
                    let _ = done.send(());
                    return;
                }
                Woken::Order(Some(order)) => self.obey(order).await,
                Woken::News(Some(news)) => self.hear(news),
                Woken::News(None) => self.hear(News::Ended(Ended::Dropped("the client stopped".to_owned()))),
                Woken::Opened(opened) => self.opened(*opened).await,
                Woken::Renewed(renewed) => self.renewed(renewed),
                Woken::Clock => self.look().await,
            }
            self.settle().await;
            self.show();
        }
    }

    async fn wait(&mut self) -> Woken {
        let looks = self.vault.as_ref().map(|_| Instant::now() + LOOK_EVERY);
        let next = [looks, self.retry_at, self.reopen_at].into_iter().flatten().min();
        let news = async {
            match &mut self.live {
                Some(live) => live.news.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            renewed = finished(&mut self.renewal) => Woken::Renewed(renewed),
            opened = finished(&mut self.opening) => Woken::Opened(Box::new(opened)),
            order = self.orders.recv() => Woken::Order(order),
            news = news => Woken::News(news),
            () = until(next) => Woken::Clock,
        }
    }

    /// Decides what is due, and what that leads to, until nothing is.
    pub(super) async fn settle(&mut self) {
        loop {
            while let Some(event) = self.due.pop_front() {
                if let Err(error) = self.apply(event).await {
                    tracing::warn!(device = %self.device, %error, "a device could not be changed");
                    self.last_error = Some(error.to_string());
                }
            }
            if !self.is_dialling {
                return;
            }
            self.dial().await;
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Qr { code, valid_for } => {
                self.qr_seq += 1;
                let expires_at = self.shared.clock.now().plus(valid_for);
                self.qr = Some(Qr { code, seq: self.qr_seq, expires_at });
                self.shared.observer.count(Counted::QrShown);
                self.due.push_back(ConnectionEvent::QrShown);
            }
            News::QrUsedUp => {
                self.qr = None;
                // Somebody may be typing a code, which outlives the pictures on the same connection.
                if self.outstanding().is_none() {
                    self.due.push_back(ConnectionEvent::QrUsedUp);
                }
            }
            News::PasskeyDemanded => self.due.push_back(ConnectionEvent::PasskeyDemanded),
            News::PairingFailed(why) => {
                self.shared.observer.count(Counted::PairingFailed);
                self.last_error = Some(why);
            }
            News::Paired => {
                self.shared.observer.count(Counted::Paired);
                self.forget_codes();
                self.due.push_back(ConnectionEvent::Authenticated);
            }
            News::Ready => {
                self.shared.observer.count(Counted::Ready);
                self.forget_codes();
                self.last_error = None;
                self.due.push_back(ConnectionEvent::Ready);
            }
            News::Receipt { message, reached } => {
                let receipt = Receipt { device: self.device.clone(), message, reached };
                self.shared.tell(DeviceEvent::Receipt(receipt));
            }
            News::Ended(why) => self.hear_the_end(why),
        }
    }

    fn hear_the_end(&mut self, why: Ended) {
        if let Some(live) = &mut self.live {
            live.is_connected = false;
        }
        let event = match why {
            // WhatsApp's own way after pairing; nothing was lost.
            Ended::Restart if self.connection.state == ConnectionState::Authenticated => {
                return self.redial();
            }
            Ended::Restart => ConnectionEvent::Lost,
            Ended::Dropped(why) => {
                self.shared.observer.count(Counted::Lost);
                self.last_error = Some(why);
                ConnectionEvent::Lost
            }
            Ended::Unauthorized => ConnectionEvent::Unauthorized,
            Ended::Replaced => {
                self.shared.observer.count(Counted::Replaced);
                ConnectionEvent::Replaced
            }
            Ended::Refused(why) => {
                self.last_error = Some(why);
                ConnectionEvent::Broken
            }
            Ended::QrUsedUp => ConnectionEvent::QrUsedUp,
        };
        // Codes die with their connection.
        self.forget_codes();
        self.due.push_back(event);
    }

    /// A pairing code that is still good.
    pub(super) fn outstanding(&self) -> Option<&Outstanding> {
        let now = self.shared.clock.now();
        self.pairing_code.as_ref().filter(|outstanding| outstanding.code.expires_at > now)
    }

    pub(super) fn forget_codes(&mut self) {
        self.qr = None;
        self.pairing_code = None;
    }

    /// What the clock leads to: retries, the lease, a client that gave up saving.
    async fn look(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.due.push_back(ConnectionEvent::RetryDue);
        }
        if self.reopen_at.is_some_and(|at| at <= now) {
            self.reopen_at = None;
            self.begin_opening();
        }
        if self.is_destroying {
            self.destroy().await;
        }
        self.look_at_the_lease();
        let codes_are_over = self.pairing_code.is_some() && self.outstanding().is_none();
        if codes_are_over {
            self.pairing_code = None;
            if self.qr.is_none() && matches!(self.connection.state, ConnectionState::QrReady(_)) {
                self.due.push_back(ConnectionEvent::QrUsedUp);
            }
        }
        if self.live.as_ref().is_some_and(|live| live.sender.client.has_stopped_saving()) {
            self.shared.observer.count(Counted::SavingStopped);
            tracing::error!(device = %self.device, "the client gave up saving its credentials and is made anew");
            self.due.push_back(ConnectionEvent::StorageLost);
            self.due.push_back(ConnectionEvent::StorageBack);
        }
    }

    pub(super) fn chance(&self) -> Chance {
        let mut bytes = [0; 4];
        // Without chance the wait is the shortest one, and still grows.
        let _ = self.shared.entropy.fill(&mut bytes);
        Chance(u32::from_be_bytes(bytes))
    }

    /// Shows how the device is, when that is news.
    pub(super) fn show(&self) {
        let now = self.shared.clock.now();
        let before = self.shown.borrow().clone();
        let status = self.connection.state.status();
        let status = Status {
            device: self.device.clone(),
            status,
            is_ready: self.connection.state == ConnectionState::Ready,
            wanted: self.connection.wanted,
            is_paired: self.vault.as_ref().map_or(before.is_paired, |vault| vault.credentials().is_some()),
            qr: self.qr.clone(),
            attempts: self.connection.state.effort().attempt,
            elsewhere_until: self.elsewhere_until,
            last_error: self.last_error.clone(),
            since: if status == before.status { before.since } else { now },
        };
        if status != before {
            self.shown.send_replace(status.clone());
            self.shared.tell(DeviceEvent::Changed(Box::new(status)));
        }
    }
}

/// What a task of its own answered; never, when there is none.
async fn finished<T>(task: &mut Option<JoinHandle<Result<T, VaultError>>>) -> Result<T, VaultError> {
    let Some(running) = task else { return std::future::pending().await };
    let answer = running.await;
    *task = None;
    answer.unwrap_or_else(|panic| Err(VaultError::Unavailable(Arc::new(panic))))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
