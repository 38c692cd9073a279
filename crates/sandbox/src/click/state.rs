//! The stand-in itself: settings, callbacks, ledger, switches and counts, and the table of its routes.
//!
//! Everything is in memory behind short locks; no lock is held across an await.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::config::{Callbacks, ClickConfig};
use super::control::ClickControl;
use super::error::ClickError;
use super::exchange::{Reply, Unanswered};
use super::ledger::{Key, Ledger, ORDER_CHARS_MAX};
use super::message::{Message, Step};
use super::misbehaviour::Misbehaviour;
use super::sender::Sender;
use super::switch::{Active, Switch};
use super::{amount, merchant_api, pay_page, sign, switchboard};

/// The largest body any of its endpoints takes.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// The stand-in Click, before it is served.
pub struct Click(App);

pub(crate) type App = Arc<State>;

pub(crate) struct State {
    pub(crate) config: ClickConfig,
    callbacks: RwLock<Vec<Callbacks>>,
    turn: AtomicUsize,
    sender: Sender,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) active: Mutex<Active>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Click {
    /// An empty ledger for one merchant.
    ///
    /// # Errors
    /// [`ClickError::NotLoopback`] when a callback is not on this machine.
    pub fn new(config: ClickConfig) -> Result<Self, ClickError> {
        config.callbacks.iter().try_for_each(Callbacks::check)?;
        Ok(Self(Arc::new(State {
            callbacks: RwLock::new(config.callbacks.clone()),
            turn: AtomicUsize::new(0),
            sender: Sender::new(config.retry.call_timeout),
            ledger: Mutex::new(Ledger::new(config.payments_max)),
            active: Mutex::default(),
            counts: Mutex::default(),
            config,
        })))
    }

    /// Its routes, to serve alone or to merge into a larger stand-in.
    pub fn router(&self) -> Router {
        let api = "/sandbox/click/v2/merchant/payment";
        Router::new()
            .route("/sandbox/click/services/pay", get(pay_page::show).post(pay_page::decide))
            .route("/sandbox/click/services/pay/", get(pay_page::show).post(pay_page::decide))
            .route(&format!("{api}/status/{{service}}/{{payment}}"), get(merchant_api::status))
            .route(
                &format!("{api}/status_by_mti/{{service}}/{{order}}/{{day}}"),
                get(merchant_api::status_by_order),
            )
            .route(&format!("{api}/reversal/{{service}}/{{payment}}"), delete(merchant_api::reverse))
            .route("/sandbox/click", get(switchboard::status))
            .route("/sandbox/click/misbehave", post(switchboard::misbehave))
            .route("/sandbox/click/switch", post(switchboard::switch))
            .route("/sandbox/click/clear", post(switchboard::clear))
            .route("/sandbox/click/callbacks", post(switchboard::callbacks))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&self.0))
    }

    /// A handle for tests that run in the same process.
    #[must_use]
    pub fn control(&self) -> ClickControl {
        ClickControl::new(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Click {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Click").field("service_id", &self.0.config.service_id).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.config.clock)()
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ledger.lock().next_id(self.now_ms())
    }

    /// Opens an attempt after checking what the pay link says.
    pub(crate) fn open(&self, order: &str, amount: &str) -> Result<Key, ClickError> {
        let tiyin = amount::tiyin(amount).ok_or_else(|| ClickError::Amount(amount.to_owned()))?;
        if order.is_empty() || order.chars().count() > ORDER_CHARS_MAX {
            return Err(ClickError::Order);
        }
        if self.callbacks.read().is_empty() {
            return Err(ClickError::NoCallbacks);
        }
        self.count("attempts_opened");
        Ok(self.ledger.lock().open(order, amount, tiyin, self.now_ms()))
    }

    /// A message about an attempt, with every documented field; a Complete still lacks its `merchant_prepare_id`.
    pub(crate) fn message(&self, step: Step, key: &Key, error: i64) -> Message {
        let (trans_id, paydoc_id) = (key.trans_id.to_string(), key.paydoc_id.to_string());
        Message::new(
            step,
            &[
                ("click_trans_id", &trans_id),
                ("service_id", &self.config.service_id),
                ("click_paydoc_id", &paydoc_id),
                ("merchant_trans_id", &key.order),
                ("amount", &key.amount),
                ("action", if step == Step::Prepare { "0" } else { "1" }),
                ("error", &error.to_string()),
                ("error_note", if error == 0 { "Success" } else { "Payment cancelled" }),
                ("sign_time", &sign::sign_time(self.now_ms())),
            ],
        )
    }

    /// Posts fields to the callback whose turn it is.
    pub(crate) async fn send(&self, step: Step, fields: &[(String, String)]) -> Reply {
        let Some(url) = self.callback(step) else {
            return Reply::Unanswered(Unanswered::Connection);
        };
        self.count(if step == Step::Prepare { "prepare_sent" } else { "complete_sent" });
        let reply = self.sender.post(&url, fields).await;
        if reply.error().is_none() {
            self.count("unanswered");
        }
        reply
    }

    fn callback(&self, step: Step) -> Option<String> {
        let callbacks = self.callbacks.read();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = callbacks.get(turn.checked_rem(callbacks.len())?)?;
        Some(if step == Step::Prepare { &chosen.prepare_url } else { &chosen.complete_url }.clone())
    }

    pub(crate) fn set_callbacks(&self, callbacks: Vec<Callbacks>) -> Result<(), ClickError> {
        callbacks.iter().try_for_each(Callbacks::check)?;
        *self.callbacks.write() = callbacks;
        Ok(())
    }

    pub(crate) fn callbacks(&self) -> Vec<Callbacks> {
        self.callbacks.read().clone()
    }

    /// The switch that applies here, if any; counts it when it does.
    pub(crate) fn take(&self, kind: Misbehaviour, step: Option<Step>, order: &str) -> Option<Switch> {
        let taken = self.active.lock().take(kind, step, order);
        if taken.is_some() {
            self.count("misbehaved");
        }
        taken
    }

    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().entry(what).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}
