//! The handle for tests and `sessile dev`: pay, settle, expire, refund, dispute, deliver again, switch, and read.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::books::{News, RefundWish};
use super::config::Webhook;
use super::delivery;
use super::error::StripeError;
use super::event::{Answer, Cause, Delivery, Event};
use super::log::{ApiCall, Calls};
use super::payment::{Charge, Paid, PayWith, PaymentIntent, Refund, Settlement};
use super::session::CheckoutSession;
use super::state::{App, State};
use super::{Switch, sign};
use crate::random;

/// The most connections [`StripeControl::deliver_again`] opens at once.
pub const CONNECTIONS_MAX: usize = 256;
/// The most deliveries of one call of [`StripeControl::deliver_shuffled`].
pub const DELIVERIES_MAX: usize = 100_000;

/// A running stand-in Stripe. What it does is told in the background: call it inside a tokio runtime.
#[derive(Clone)]
pub struct StripeControl(App);

impl State {
    /// Money of a session's payment goes back.
    pub(crate) fn refund_session(
        self: &std::sync::Arc<Self>,
        id: &str,
        amount: Option<i64>,
    ) -> Result<Refund, StripeError> {
        let session = self.session(id).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        let nothing = || StripeError::NothingPaid(id.to_owned());
        let intent = session.payment_intent.ok_or_else(nothing)?;
        let wish = RefundWish { amount, ..RefundWish::default() };
        let refunded = self.books.lock().refund(&intent, wish, self.now());
        let (refund, news) = refunded.map_err(|_| nothing())?;
        self.tell(&news, &Cause::default());
        Ok(refund)
    }
}

impl StripeControl {
    pub(crate) fn new(app: App) -> Self {
        Self(app)
    }

    /// Where the application is, once its port is known, and what deliveries are signed with.
    ///
    /// # Errors
    /// [`StripeError`] when it is not on this machine, or there is no secret.
    pub fn set_webhook<S: Into<String>>(
        &self,
        url: impl Into<String>,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), StripeError> {
        self.0.set_webhook(Webhook::new(url, secrets))
    }

    /// Several processes of the application; every delivery goes to the next one.
    ///
    /// # Errors
    /// As [`Self::set_webhook`].
    pub fn set_webhook_in_turn(&self, webhook: Webhook) -> Result<(), StripeError> {
        self.0.set_webhook(webhook)
    }

    /// Every session, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<CheckoutSession> {
        self.0.books.lock().sessions.iter().cloned().collect()
    }

    /// One session as it stands now.
    #[must_use]
    pub fn session(&self, id: &str) -> Option<CheckoutSession> {
        self.0.session(id)
    }

    /// The sessions created with this `client_reference_id`, oldest first.
    #[must_use]
    pub fn sessions_of(&self, client_reference_id: &str) -> Vec<CheckoutSession> {
        let books = self.0.books.lock();
        let of =
            |session: &&CheckoutSession| session.client_reference_id.as_deref() == Some(client_reference_id);
        books.sessions.iter().filter(of).cloned().collect()
    }

    /// The PaymentIntent of a session, from its first attempt on.
    #[must_use]
    pub fn payment_intent(&self, session: &str) -> Option<PaymentIntent> {
        let books = self.0.books.lock();
        books.intents.get(books.sessions.get(session)?.payment_intent.as_deref()?).cloned()
    }

    /// Every try to pay a session, oldest first.
    #[must_use]
    pub fn charges(&self, session: &str) -> Vec<Charge> {
        let books = self.0.books.lock();
        let intent = books.sessions.get(session).and_then(|session| session.payment_intent.clone());
        books
            .charges
            .iter()
            .filter(|charge| Some(&charge.payment_intent) == intent.as_ref())
            .cloned()
            .collect()
    }

    /// Every refund, oldest first.
    #[must_use]
    pub fn refunds(&self) -> Vec<Refund> {
        self.0.books.lock().refunds.iter().cloned().collect()
    }

    /// The buyer tries to pay. Events go out in the background.
    ///
    /// # Errors
    /// [`StripeError`] when the session is not open.
    pub fn pay(&self, id: &str, with: PayWith) -> Result<Paid, StripeError> {
        self.0.pay(id, with)
    }

    /// A payment that was on its way ends.
    ///
    /// # Errors
    /// [`StripeError::NothingPending`].
    pub fn settle(&self, id: &str, settlement: Settlement) -> Result<(), StripeError> {
        self.0.settle(id, settlement)
    }

    /// The time of an open session is over.
    ///
    /// # Errors
    /// [`StripeError::NotOpen`].
    pub fn expire(&self, id: &str) -> Result<(), StripeError> {
        self.0.expire(id, &Cause::default())
    }

    /// Money goes back, all that is left unless an amount is named, as from the account's dashboard.
    ///
    /// # Errors
    /// [`StripeError::NothingPaid`].
    pub fn refund(&self, id: &str, amount: Option<i64>) -> Result<Refund, StripeError> {
        self.0.refund_session(id, amount)
    }

    /// The buyer's bank objects.
    ///
    /// # Errors
    /// [`StripeError::NothingPaid`].
    pub fn dispute(&self, id: &str) -> Result<(), StripeError> {
        self.0.dispute(id)
    }

    /// Every event, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.events.lock().iter().cloned().collect()
    }

    /// The events of one session, oldest first.
    #[must_use]
    pub fn events_of(&self, session: &str) -> Vec<Event> {
        self.0.events.lock().iter().filter(|event| event.session == session).cloned().collect()
    }

    /// One event.
    #[must_use]
    pub fn event(&self, id: &str) -> Option<Event> {
        self.0.event(id)
    }

    /// Every delivery that is still remembered, by event, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.events.lock().iter().flat_map(|event| event.deliveries.clone()).collect()
    }

    /// Waits until nothing is being delivered or repeated any more; false when that takes longer.
    pub async fn delivered(&self, within: Duration) -> bool {
        let mut under_way = self.0.under_way.subscribe();
        let idle = under_way.wait_for(|count| *count == 0);
        tokio::time::timeout(within, idle).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Delivers an event so many times over so many connections at once, and gives every answer.
    ///
    /// # Errors
    /// [`StripeError`] when there is no such event or no webhook.
    pub async fn deliver_again(
        &self,
        event: &str,
        times: usize,
        connections: usize,
    ) -> Result<Vec<Answer>, StripeError> {
        self.deliver_shuffled(&[event.to_owned()], times, connections).await
    }

    /// Delivers each of these events so many times, all in random order, over so many connections at once.
    ///
    /// # Errors
    /// As [`Self::deliver_again`].
    pub async fn deliver_shuffled(
        &self,
        events: &[String],
        times: usize,
        connections: usize,
    ) -> Result<Vec<Answer>, StripeError> {
        if self.0.webhook().is_none() {
            return Err(StripeError::NoWebhook);
        }
        if let Some(missing) = events.iter().find(|id| self.0.event(id).is_none()) {
            return Err(StripeError::NoEvent(missing.clone()));
        }
        let times = times.min(DELIVERIES_MAX / events.len().max(1));
        let mut all: Vec<String> = (0..times).flat_map(|_| events.iter().cloned()).collect();
        random::shuffle(&mut all);
        Ok(delivery::send_all(&self.0, &all, connections.clamp(1, CONNECTIONS_MAX)).await)
    }

    /// Makes an event about anything, as it stands in `object`, delivers it in the background and gives its id.
    pub fn emit(&self, kind: &'static str, object: Value) -> String {
        let session = object["id"].as_str().unwrap_or_default().to_owned();
        let events = self.0.record_news(&[News { kind, object, session }], &Cause::default());
        let id = events.first().cloned().unwrap_or_default();
        delivery::dispatch(&self.0, events);
        id
    }

    /// Posts a body with a signature made elsewhere, or none, to the webhook; it is no event of the books.
    ///
    /// # Errors
    /// [`StripeError::NoWebhook`].
    pub async fn post_raw(&self, signature: Option<&str>, body: &str) -> Result<Answer, StripeError> {
        let webhook = self.0.webhook().ok_or(StripeError::NoWebhook)?;
        let url = self.0.next_url(&webhook);
        Ok(self.0.sender.post(&url, signature, axum::body::Bytes::from(body.to_owned())).await)
    }

    /// Signs a body as of now with the webhook's own secrets and posts it.
    ///
    /// # Errors
    /// [`StripeError::NoWebhook`].
    pub async fn post_signed(&self, body: &str) -> Result<Answer, StripeError> {
        let webhook = self.0.webhook().ok_or(StripeError::NoWebhook)?;
        let header = sign::signature_header(&webhook.secrets, self.0.now(), body.as_bytes());
        self.post_raw(Some(&header), body).await
    }

    /// How often each endpoint was called, by names such as `POST /v1/refunds`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, Calls> {
        self.0.log.lock().counts().clone()
    }

    /// How often one endpoint was called.
    #[must_use]
    pub fn calls_of(&self, route: &str) -> Calls {
        self.0.log.lock().counts().get(route).copied().unwrap_or_default()
    }

    /// The calls themselves, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<ApiCall> {
        self.0.log.lock().calls().cloned().collect()
    }

    /// Replaces what is switched on.
    ///
    /// # Errors
    /// [`StripeError::Switch`] above a limit; nothing changes then.
    pub fn misbehave(&self, switches: &[Switch]) -> Result<(), StripeError> {
        self.0.active.lock().replace(switches).map_err(StripeError::Switch)
    }

    /// Switches one more on.
    ///
    /// # Errors
    /// [`StripeError::Switch`] above a limit.
    pub fn set(&self, switch: &Switch) -> Result<(), StripeError> {
        self.0.active.lock().add(switch).map_err(StripeError::Switch)
    }

    /// What is still switched on.
    #[must_use]
    pub fn active(&self) -> Vec<Switch> {
        self.0.active.lock().snapshot()
    }

    /// How often something happened, by the name `GET /sandbox/stripe` shows.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.0.counts().get(what).copied().unwrap_or(0)
    }
}

impl fmt::Debug for StripeControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeControl").field("active", &self.active()).finish_non_exhaustive()
    }
}
