//! What people's orders and the machine's effects do.

use super::error::DeviceError;
use super::keeper::{Keeper, Live, Order, Outstanding, Reply};
use super::sends::Sender;
use super::status::{PairingCode, Unlinked};
use crate::message::PhoneNumber;
use crate::observer::Counted;
use crate::wire::Gate;
use futures_util::future::OptionFuture;
use sessile_core::whatsapp::connection::{ConnectionEvent, ConnectionState, Effect};
use sessile_core::whatsapp::{Vault, Wanted};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

/// How long WhatsApp has to answer that it forgot the device.
const UNLINK_PATIENCE: Duration = Duration::from_secs(10);
/// How long the store has to answer that others may have the device.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

impl Keeper {
    pub(super) async fn obey(&mut self, order: Order) {
        match order {
            Order::Start(reply) => {
                let started = self.start().await;
                self.answer(reply, started).await;
            }
            Order::Stop(reply) => {
                let stopped = self.apply(ConnectionEvent::Stop).await;
                self.settle().await;
                self.release().await;
                self.answer(reply, stopped).await;
            }
            Order::Reconnect(reply) => {
                let reconnected = self.apply(ConnectionEvent::Reconnect).await;
                self.answer(reply, reconnected).await;
            }
            Order::Logout(reply) => {
                let logged_out = self.logout().await;
                self.answer(reply, logged_out).await;
            }
            Order::PairCode(number, reply) => {
                let code = self.pair_code(number).await;
                self.answer(reply, code).await;
            }
            Order::Seen { wanted, is_paired, asked_at } => {
                if self.wanted_at.is_none_or(|at| at < asked_at) {
                    self.seen(wanted, is_paired).await;
                }
            }
            Order::Trouble(error) => self.troubled(&error),
            Order::Tidy => {
                if let Some(live) = &self.live
                    && let Err(error) = live.sender.forget_old_keys().await
                {
                    tracing::warn!(device = %self.device, %error, "old idempotency keys could not be forgotten");
                }
            }
            // The loop takes it before it comes here.
            Order::Close(done) => drop(done),
        }
    }

    /// Answers once the status says what came of it.
    async fn answer<T>(&mut self, reply: Reply<T>, answer: Result<T, DeviceError>) {
        self.settle().await;
        self.show();
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    /// Starting what runs changes nothing; anything else that stands still is connected.
    async fn start(&mut self) -> Result<(), DeviceError> {
        let state = self.connection.state;
        let is_under_way =
            state.is_live() || matches!(state, ConnectionState::Waiting(_) | ConnectionState::Degraded);
        if self.connection.wanted == Wanted::Running && is_under_way {
            return Ok(());
        }
        self.apply(ConnectionEvent::Reconnect).await
    }

    /// The process begins, or somebody said so at another one.
    async fn seen(&mut self, wanted: Wanted, is_paired: bool) {
        match wanted {
            Wanted::Stopped if self.connection.wanted == Wanted::Running => {
                self.due.push_back(ConnectionEvent::Stop);
                self.settle().await;
                self.release().await;
            }
            Wanted::Running if self.is_asleep() => {
                if is_paired {
                    self.connection.wanted = Wanted::Running;
                    self.begin_opening();
                } else if self.connection.state != ConnectionState::Idle {
                    // The store answers, and there are no keys that would be in trouble.
                    self.connection.state = ConnectionState::Idle;
                    self.last_error = None;
                }
            }
            _ => {}
        }
    }

    async fn logout(&mut self) -> Result<Unlinked, DeviceError> {
        if self.vault.is_none() {
            // Keys that nobody connects with are destroyed all the same.
            self.begin_opening();
            if let Some(opening) = self.opening.take() {
                let opened = opening.await.map_err(|panic| DeviceError::StorageAway(panic.to_string()))?;
                self.vault = Some(Arc::new(opened?));
            }
        }
        let unlinked = self.unlink().await;
        self.apply(ConnectionEvent::Logout).await?;
        Ok(unlinked)
    }

    /// Asks WhatsApp to forget the device. It may be that it cannot be told; the keys go either way.
    async fn unlink(&mut self) -> Unlinked {
        let Some(live) = self.live.as_ref().filter(|_| self.connection.state == ConnectionState::Ready)
        else {
            return Unlinked::HereOnly;
        };
        match tokio::time::timeout(UNLINK_PATIENCE, live.sender.client.unlink()).await {
            Ok(Ok(())) => Unlinked::AtWhatsApp,
            _ => Unlinked::HereOnly,
        }
    }

    async fn pair_code(&mut self, number: PhoneNumber) -> Result<PairingCode, DeviceError> {
        if self.vault.as_ref().is_some_and(|vault| vault.credentials().is_some()) {
            return Err(DeviceError::AlreadyPaired);
        }
        if let Some(outstanding) = self.outstanding().filter(|outstanding| outstanding.number == number) {
            return Ok(outstanding.code.clone());
        }
        let Some(live) = self.live.as_ref().filter(|live| live.is_connected) else {
            return Err(DeviceError::NotReady { status: self.connection.state.status() });
        };
        let code = live.sender.client.pair_code(&number).await?;
        let code = PairingCode { expires_at: self.shared.clock.now().plus(code.valid_for), code };
        self.pairing_code = Some(Outstanding { number, code: code.clone() });
        Ok(code)
    }

    /// Decides, and does what was decided. What people want is stored before anything else happens, so that an error
    /// leaves everything as it was.
    pub(super) async fn apply(&mut self, event: ConnectionEvent) -> Result<(), DeviceError> {
        let decided = self.connection.on(event, self.chance());
        if let Some(wanted) = decided.effects.iter().find_map(|effect| match effect {
            Effect::Want(wanted) => Some(*wanted),
            _ => None,
        }) {
            self.want(wanted).await?;
        }
        self.connection = decided.next;
        for effect in decided.effects {
            match effect {
                Effect::Connect => self.redial(),
                Effect::Disconnect => self.disconnect().await,
                Effect::RetryAfter(wait) => self.retry_at = Some(Instant::now() + wait),
                Effect::DestroyKeys => self.destroy().await,
                // Done already: the one above, the other where the order came in.
                Effect::Want(_) | Effect::Unlink => {}
            }
        }
        if self.is_destroying {
            return Err(DeviceError::StorageAway(
                "the keys will be destroyed as soon as it answers".to_owned(),
            ));
        }
        Ok(())
    }

    async fn want(&mut self, wanted: Wanted) -> Result<(), DeviceError> {
        self.shared.store.want(&self.device, wanted).await?;
        self.wanted_at = Some(Instant::now());
        Ok(())
    }

    /// Connects, once the device is ours.
    pub(super) fn redial(&mut self) {
        self.retry_at = None;
        match &self.vault {
            None => self.begin_opening(),
            Some(_) => self.is_dialling = true,
        }
    }

    /// Makes the client if there is none, and connects it.
    pub(super) async fn dial(&mut self) {
        self.is_dialling = false;
        let Some(vault) = self.vault.clone() else { return };
        if self.live.is_none() {
            match self.raise(vault).await {
                Ok(live) => self.live = Some(live),
                Err(error) => {
                    tracing::error!(device = %self.device, %error, "a WhatsApp client could not be made");
                    self.last_error = Some(error);
                    return self.due.push_back(ConnectionEvent::Broken);
                }
            }
        }
        if let Some(live) = &mut self.live {
            *self.post.lock() = Some(Arc::clone(&live.sender));
            live.is_connected = true;
            live.sender.client.connect();
        }
    }

    async fn raise(&self, vault: Arc<Vault>) -> Result<Live, String> {
        let gate = Gate::new(Arc::clone(&vault));
        let (tell, news) = unbounded_channel();
        let opened = self.shared.whatsapp.open(Arc::clone(&vault), Arc::clone(&gate), tell).await;
        let client = opened.map_err(|error| error.to_string())?;
        let (clock, entropy) = (Arc::clone(&self.shared.clock), Arc::clone(&self.shared.entropy));
        let sender = Arc::new(Sender::new(client, vault, clock, entropy));
        Ok(Live { sender, gate, news, is_connected: false })
    }

    /// Ends the connection. A client whose connection is over already is kept for the next one, unless its vault is
    /// gone: it holds what it received and could not store yet.
    async fn disconnect(&mut self) {
        self.retry_at = None;
        self.is_dialling = false;
        self.forget_codes();
        let is_idle = self.live.as_ref().is_some_and(|live| !live.is_connected);
        let is_waiting =
            matches!(self.connection.state, ConnectionState::Waiting(_) | ConnectionState::Connecting(_));
        if is_idle && is_waiting && self.vault.is_some() {
            return;
        }
        *self.post.lock() = None;
        if let Some(live) = self.live.take() {
            live.sender.client.close().await;
            live.gate.shut();
        }
    }

    /// Removes the keys for good; until the store has done it, again at every look.
    pub(super) async fn destroy(&mut self) {
        self.is_destroying = false;
        let Some(vault) = self.vault.clone() else { return };
        match vault.destroy().await {
            Ok(()) => {
                self.shared.observer.count(Counted::LoggedOut);
                tracing::info!(device = %self.device, "a device was logged out and its keys were destroyed");
                self.vault = None;
            }
            Err(error) if error.is_final() => self.vault = None,
            Err(error) => {
                self.last_error = Some(error.to_string());
                self.is_destroying = true;
            }
        }
    }

    /// Lets others have the device.
    async fn release(&mut self) {
        self.reopen_at = None;
        self.elsewhere_until = None;
        let (opening, vault) = (self.opening.take(), self.vault.take());
        let letting_go = tokio::spawn(async move {
            if let Some(Ok(Ok(vault))) = OptionFuture::from(opening).await {
                vault.release().await;
            }
            if let Some(vault) = vault {
                vault.release().await;
            }
        });
        // A store that does not answer is let go of when it does, or by its lease.
        let _ = tokio::time::timeout(RELEASE_PATIENCE, letting_go).await;
    }

    /// The process ends: whoever comes next need not wait for the lease.
    pub(super) async fn close(&mut self) {
        self.connection.state = ConnectionState::Idle;
        self.disconnect().await;
        self.release().await;
    }
}
