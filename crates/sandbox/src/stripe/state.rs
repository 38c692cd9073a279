//! The stand-in itself: settings, books, events, switches and counts, and the table of its routes.
//!
//! Everything is in memory behind short locks; no lock is held across an await.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post};
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, watch};

use super::books::{Books, News};
use super::config::{API_VERSION, StripeConfig, Webhook};
use super::control::StripeControl;
use super::delivery;
use super::error::StripeError;
use super::event::{Cause, Delivery, Event, EventState};
use super::idempotency::Keys;
use super::log::Log;
use super::misbehaviour::Misbehaviour;
use super::payment::{Paid, PayWith, Settlement};
use super::sender::Sender;
use super::session::CheckoutSession;
use super::{Switch, gate, pay_page, switchboard};
use crate::random;
use crate::shelf::Shelf;
use crate::switch::Active;

/// The largest body any of its endpoints takes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The stand-in Stripe, before it is served.
pub struct Stripe(App);

pub(crate) type App = Arc<State>;

pub(crate) struct State {
    pub(crate) config: StripeConfig,
    base: String,
    webhook: RwLock<Option<Webhook>>,
    turn: AtomicUsize,
    pub(crate) sender: Sender,
    pub(crate) places: Semaphore,
    pub(crate) under_way: watch::Sender<usize>,
    pub(crate) books: Mutex<Books>,
    pub(crate) events: Mutex<Shelf<Event>>,
    pub(crate) keys: Mutex<Keys>,
    pub(crate) log: Mutex<Log>,
    pub(crate) active: Mutex<Active<Misbehaviour>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stripe {
    /// Empty books for one account. `address` is where it will be served.
    ///
    /// # Errors
    /// [`StripeError`] when the webhook is not on this machine.
    pub fn new(config: StripeConfig, address: SocketAddr) -> Result<Self, StripeError> {
        if let Some(webhook) = &config.webhook {
            webhook.check()?;
        }
        let base = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        Ok(Self(Arc::new(State {
            base: base.trim_end_matches('/').to_owned(),
            webhook: RwLock::new(config.webhook.clone()),
            turn: AtomicUsize::new(0),
            sender: Sender::new(config.schedule.call_timeout),
            places: Semaphore::new(config.schedule.connections_max.clamp(1, Semaphore::MAX_PERMITS)),
            under_way: watch::Sender::new(0),
            books: Mutex::new(Books::new(config.sessions_max)),
            events: Mutex::new(Shelf::new(config.events_max)),
            keys: Mutex::default(),
            log: Mutex::default(),
            active: Mutex::default(),
            counts: Mutex::default(),
            config,
        })))
    }

    /// Its routes, to serve alone or to merge into a larger stand-in.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/sandbox/stripe/v1/{*path}", any(gate::call))
            .route("/sandbox/stripe/c/pay/{session}", get(pay_page::show).post(pay_page::pay))
            .route("/sandbox/stripe", get(switchboard::status))
            .route("/sandbox/stripe/misbehave", post(switchboard::misbehave))
            .route("/sandbox/stripe/switch", post(switchboard::switch))
            .route("/sandbox/stripe/clear", post(switchboard::clear))
            .route("/sandbox/stripe/webhook", post(switchboard::webhook))
            .route("/sandbox/stripe/act", post(switchboard::act))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::clone(&self.0))
    }

    /// A handle for tests that run in the same process.
    #[must_use]
    pub fn control(&self) -> StripeControl {
        StripeControl::new(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.config.clock)()
    }

    pub(crate) fn now(&self) -> i64 {
        self.now_ms() / 1000
    }

    pub(crate) fn pay_url(&self, id: &str) -> String {
        format!("{}/sandbox/stripe/c/pay/{id}", self.base)
    }

    pub(crate) fn webhook(&self) -> Option<Webhook> {
        self.webhook.read().clone()
    }

    pub(crate) fn set_webhook(&self, webhook: Webhook) -> Result<(), StripeError> {
        webhook.check()?;
        *self.webhook.write() = Some(webhook);
        Ok(())
    }

    pub(crate) fn next_url(&self, webhook: &Webhook) -> String {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = turn.checked_rem(webhook.urls.len()).unwrap_or(0);
        webhook.urls.get(at).cloned().unwrap_or_default()
    }

    /// The session as it stands now, expired when its time is over.
    pub(crate) fn session(self: &Arc<Self>, id: &str) -> Option<CheckoutSession> {
        let (session, news) = self.books.lock().look(id, self.now());
        self.tell(&news, &Cause::default());
        session
    }

    /// One attempt to pay; the news of it goes out in the background.
    pub(crate) fn pay(self: &Arc<Self>, id: &str, with: PayWith) -> Result<Paid, StripeError> {
        let (paid, events) = self.pay_quietly(id, with)?;
        delivery::dispatch(self, events);
        Ok(paid)
    }

    /// One attempt to pay; the news of it is for the caller to deliver.
    pub(crate) fn pay_quietly(
        self: &Arc<Self>,
        id: &str,
        with: PayWith,
    ) -> Result<(Paid, Vec<String>), StripeError> {
        self.session(id).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        let delayed = with == PayWith::Card && self.take(Misbehaviour::UnpaidCompleted, &[id]).is_some();
        let with = if delayed { PayWith::BankDebit } else { with };
        let (paid, news) = self.books.lock().pay(id, with, self.now())?;
        if let (Paid::Pending, Some(after)) = (paid, self.config.settle_after) {
            let (app, id) = (Arc::clone(self), id.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // Somebody else may have settled it meanwhile.
                let _ = app.settle(&id, Settlement::Succeeds);
            });
        }
        Ok((paid, self.record_news(&news, &Cause::default())))
    }

    pub(crate) fn settle(self: &Arc<Self>, id: &str, settlement: Settlement) -> Result<(), StripeError> {
        let news = self.books.lock().settle(id, settlement)?;
        self.tell(&news, &Cause::default());
        Ok(())
    }

    pub(crate) fn expire(self: &Arc<Self>, id: &str, cause: &Cause) -> Result<(), StripeError> {
        let news = self.books.lock().expire(id)?;
        self.tell(&news, cause);
        Ok(())
    }

    pub(crate) fn dispute(self: &Arc<Self>, id: &str) -> Result<(), StripeError> {
        let news = self.books.lock().dispute(id, self.now())?;
        self.tell(&news, &Cause::default());
        Ok(())
    }

    /// Records news and delivers it in the background.
    pub(crate) fn tell(self: &Arc<Self>, news: &[News], cause: &Cause) {
        let events = self.record_news(news, cause);
        delivery::dispatch(self, events);
    }

    pub(crate) fn record_news(&self, news: &[News], cause: &Cause) -> Vec<String> {
        let mut ids = Vec::new();
        for news in news {
            let mut event = Event::new(news, cause, API_VERSION, self.now_ms());
            let heard = self.config.enabled_events.iter().any(|kind| kind == news.kind || kind == "*");
            if !heard || self.webhook.read().is_none() {
                event.state = EventState::NotSubscribed;
            }
            ids.push(event.id.clone());
            let id = event.id.clone();
            self.events.lock().put(&id, event);
            self.count("events");
        }
        ids
    }

    /// The same news about a session that never existed.
    pub(crate) fn stranger(&self, event: &Event) -> Event {
        let session = format!("cs_test_a1{}", random::letters(58));
        let body = event.body.replace(&event.session, &session);
        let mut object: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        object["data"]["object"]["client_reference_id"] = json!("nobody");
        let id = format!("evt_1{}", random::letters(23));
        object["id"] = json!(id);
        let deliveries = Vec::new();
        let stranger = Event {
            id,
            session,
            body: format!("{object:#}"),
            sent: 0,
            acknowledged: 0,
            deliveries,
            ..event.clone()
        };
        self.events.lock().put(&stranger.id, stranger.clone());
        stranger
    }

    pub(crate) fn event(&self, id: &str) -> Option<Event> {
        self.events.lock().get(id).cloned()
    }

    /// An event without its deliveries: what is needed to send it.
    pub(crate) fn outline(&self, id: &str) -> Option<Event> {
        self.events.lock().get(id).map(Event::outline)
    }

    pub(crate) fn event_state(&self, id: &str, state: EventState) {
        if let Some(event) = self.events.lock().get_mut(id) {
            event.state = state;
        }
    }

    pub(crate) fn record(&self, delivery: Delivery) {
        if let Some(event) = self.events.lock().get_mut(&delivery.event.clone()) {
            event.record(delivery);
        }
    }

    /// The switch that applies here, if any; counts it when it does.
    pub(crate) fn take(&self, kind: Misbehaviour, labels: &[&str]) -> Option<Switch> {
        let taken = self.active.lock().take(kind, labels);
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
