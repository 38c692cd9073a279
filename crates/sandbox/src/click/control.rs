//! The handle for tests and `sessile dev`: pay, cancel, send by hand, switch, and read the ledger.

use futures_util::StreamExt;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

use super::attempt::{Attempt, AttemptState, Payment};
use super::config::Callbacks;
use super::error::ClickError;
use super::exchange::Reply;
use super::flow::Flow;
use super::ledger::Key;
use super::message::{Message, Step};
use super::patience::Patience;
use super::state::App;
use super::switch::Switch;

/// The most payments [`ClickControl::pay_all`] runs at once.
pub const CONCURRENCY_MAX: usize = 256;

/// A running stand-in Click.
#[derive(Clone)]
pub struct ClickControl(App);

impl ClickControl {
    pub(crate) fn new(app: App) -> Self {
        Self(app)
    }

    /// Where the merchant is, once its port is known.
    ///
    /// # Errors
    /// [`ClickError::NotLoopback`].
    pub fn set_callbacks(
        &self,
        prepare_url: impl Into<String>,
        complete_url: impl Into<String>,
    ) -> Result<(), ClickError> {
        self.0.set_callbacks(vec![Callbacks::new(prepare_url, complete_url)])
    }

    /// Several processes of the merchant; every call goes to the next one.
    ///
    /// # Errors
    /// [`ClickError::NotLoopback`].
    pub fn set_callbacks_in_turn(&self, callbacks: Vec<Callbacks>) -> Result<(), ClickError> {
        self.0.set_callbacks(callbacks)
    }

    /// A whole payment: Prepare, debit, Complete, with the documented repetitions. Gives what it came to.
    ///
    /// # Errors
    /// [`ClickError`] when nothing could be started.
    pub async fn pay(&self, order: &str, amount: &str) -> Result<Attempt, ClickError> {
        let flow = self.flow(self.0.open(order, amount)?);
        flow.pay().await;
        self.attempt(&flow.key)
    }

    /// The Prepare alone: the buyer has entered a card and not confirmed.
    ///
    /// # Errors
    /// [`ClickError`] when nothing could be started.
    pub async fn start_payment(&self, order: &str, amount: &str) -> Result<Attempt, ClickError> {
        let flow = self.flow(self.0.open(order, amount)?);
        flow.agree().await;
        self.attempt(&flow.key)
    }

    /// The buyer confirms the prepared attempt: debit and Complete.
    ///
    /// # Errors
    /// [`ClickError::NothingPrepared`].
    pub async fn finish(&self, order: &str) -> Result<Attempt, ClickError> {
        let flow = self.flow(self.prepared(order)?);
        flow.finish().await;
        self.attempt(&flow.key)
    }

    /// The buyer, or the bank, calls the prepared attempt off: a Complete with `error=-5017`.
    ///
    /// # Errors
    /// [`ClickError::NothingPrepared`].
    pub async fn cancel(&self, order: &str) -> Result<Attempt, ClickError> {
        let flow = self.flow(self.prepared(order)?);
        flow.cancel().await;
        self.attempt(&flow.key)
    }

    /// Click gives the prepared attempt up and tells nobody: only the Merchant API knows.
    ///
    /// # Errors
    /// [`ClickError::NothingPrepared`].
    pub fn abandon(&self, order: &str) -> Result<Attempt, ClickError> {
        let key = self.prepared(order)?;
        let note = "given up in silence";
        self.0.ledger.lock().advance(&key, AttemptState::Prepared, AttemptState::Cancelled, note);
        self.attempt(&key)
    }

    /// Pays many orders, `concurrency` at a time. Unanswered messages are repeated until `total_time` is up, so that
    /// servers may come and go. The results are in the order given.
    ///
    /// # Errors
    /// [`ClickError`] when one of them could not be started; nothing is sent then.
    pub async fn pay_all(
        &self,
        orders: &[(String, String)],
        concurrency: usize,
        total_time: Duration,
    ) -> Result<Vec<Attempt>, ClickError> {
        let until = Instant::now() + total_time;
        let patience = Patience::until(self.0.config.retry, until);
        let keys = orders.iter().map(|(order, amount)| self.0.open(order, amount));
        let keys = keys.collect::<Result<Vec<Key>, ClickError>>()?;
        let flow = |key: Key| Flow { app: &self.0, key, patience };
        futures_util::stream::iter(keys.iter().cloned().map(flow))
            .for_each_concurrent(
                concurrency.clamp(1, CONCURRENCY_MAX),
                |flow| async move { flow.pay().await },
            )
            .await;
        keys.iter().map(|key| self.attempt(key)).collect()
    }

    /// A Prepare with fresh ids and every documented field, to be changed at will and sent with [`Self::send`]. The
    /// ledger knows nothing of it.
    #[must_use]
    pub fn prepare_message(&self, order: &str, amount: &str) -> Message {
        let (trans_id, paydoc_id) = (self.0.next_id(), self.0.next_id());
        let key = Key { order: order.to_owned(), amount: amount.to_owned(), trans_id, paydoc_id };
        self.0.message(Step::Prepare, &key, 0)
    }

    /// The Complete that belongs to a Prepare made by hand.
    #[must_use]
    pub fn complete_message(&self, prepare: &Message, merchant_prepare_id: &str) -> Message {
        let field = |name| prepare.get(name).unwrap_or_default().to_owned();
        let key =
            Key { order: field("merchant_trans_id"), amount: field("amount"), trans_id: 0, paydoc_id: 0 };
        self.0
            .message(Step::Complete, &key, 0)
            .with("click_trans_id", field("click_trans_id"))
            .with("click_paydoc_id", field("click_paydoc_id"))
            .with("merchant_prepare_id", merchant_prepare_id)
    }

    /// Signs a message and sends it once, to the URL of its step.
    pub async fn send(&self, message: &Message) -> Reply {
        self.send_to(message.step(), message).await
    }

    /// Signs a message and sends it once to the Prepare URL, whatever it is.
    pub async fn send_prepare(&self, message: &Message) -> Reply {
        self.send_to(Step::Prepare, message).await
    }

    /// Signs a message and sends it once to the Complete URL, whatever it is.
    pub async fn send_complete(&self, message: &Message) -> Reply {
        self.send_to(Step::Complete, message).await
    }

    async fn send_to(&self, step: Step, message: &Message) -> Reply {
        self.0.send(step, &message.signed(&self.0.config.secret_key)).await
    }

    /// Every order Click knows, oldest first.
    #[must_use]
    pub fn payments(&self) -> Vec<Payment> {
        self.0.ledger.lock().payments().cloned().collect()
    }

    /// What Click knows of one order.
    #[must_use]
    pub fn payment(&self, order: &str) -> Option<Payment> {
        self.0.ledger.lock().payment(order).cloned()
    }

    /// Replaces what is switched on.
    ///
    /// # Errors
    /// [`ClickError::Switch`] above a limit; nothing changes then.
    pub fn misbehave(&self, switches: &[Switch]) -> Result<(), ClickError> {
        self.0.active.lock().replace(switches).map_err(ClickError::Switch)
    }

    /// Switches one more on.
    ///
    /// # Errors
    /// [`ClickError::Switch`] above a limit.
    pub fn set(&self, switch: &Switch) -> Result<(), ClickError> {
        self.0.active.lock().add(switch).map_err(ClickError::Switch)
    }

    /// What is still switched on.
    #[must_use]
    pub fn active(&self) -> Vec<Switch> {
        self.0.active.lock().snapshot()
    }

    /// How often something happened, by the name `GET /sandbox/click` shows.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.counts().get(what).copied().unwrap_or(0)
    }

    fn flow(&self, key: Key) -> Flow<'_> {
        Flow { app: &self.0, key, patience: Patience::ordinary(self.0.config.retry) }
    }

    fn prepared(&self, order: &str) -> Result<Key, ClickError> {
        let key = self.0.ledger.lock().prepared_key(order);
        key.ok_or_else(|| ClickError::NothingPrepared(order.to_owned()))
    }

    fn attempt(&self, key: &Key) -> Result<Attempt, ClickError> {
        self.0.ledger.lock().find(key).ok_or_else(|| ClickError::NothingPrepared(key.order.clone()))
    }
}

impl fmt::Debug for ClickControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickControl").field("active", &self.active()).finish_non_exhaustive()
    }
}
