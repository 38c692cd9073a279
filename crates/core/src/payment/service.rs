//! The service: what HTTP, the workers and an operator may do with payments. It loads, lets the machine decide, and
//! commits once.

use super::completion::{apply, put_refund, set_tier, tell_payment, tier_without};
use super::creation::{CreateError, Created, Names, NewPayment, Wish};
use super::grant::{Grant, Refund, RefundEvent, RefundState};
use super::id::{OrderId, PaydocId, PaymentId, PrepareId, RefundId, TransId};
use super::machine::{PaymentEvent, Reply, Verdict, Word};
use super::state::{Payment, PaymentState, RefundReason};
use super::terms::Terms;
use crate::checkout::Caller;
use crate::entropy::{Entropy, NoEntropy};
use crate::ledger::{
    Books, Decision, Draft, Due, Inbound, LedgerStore, Note, PaymentKey, Reads, Record, RecordKey, transact,
};
use crate::store::StoreError;
use crate::time::{Clock, Timestamp};
use std::sync::Arc;

/// Numbers of ours that are offered to one Prepare: the first that is free is taken.
const PREPARE_CANDIDATES: usize = 4;

/// Payments, on some ledger.
#[derive(Clone)]
pub struct Payments {
    ledger: Arc<dyn LedgerStore>,
    terms: Arc<Terms>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A provider's message, understood and known to be the provider's.
#[derive(Debug, Clone)]
pub struct ProviderMessage {
    /// Which payment is meant.
    pub order: OrderId,
    /// Its attempt.
    pub trans: TransId,
    /// What the customer sees.
    pub paydoc: PaydocId,
    /// What it says.
    pub word: Word,
    /// Which of the two.
    pub step: ProviderStep,
    /// The message itself, digested.
    pub inbound: Inbound,
}

/// Which of a provider's two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderStep {
    /// Money is about to be taken.
    Prepare,
    /// Money was taken, or was not. With our number as the provider repeats it; `None` when none of ours is meant.
    Complete(Option<PrepareId>),
}

/// What a provider is told, and what a log may say about it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// `None`: no such order.
    pub reply: Option<Reply>,
    /// The payment as it is now.
    pub payment: Option<Payment>,
    /// Whether the message changed anything.
    pub changed: bool,
}

/// Why an order of a person was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No such payment, or somebody else's.
    #[error("that payment does not exist")]
    NotFound,
    /// Money may be moving, or has moved.
    #[error("the payment cannot be cancelled any more: its provider has it")]
    TooLate,
    /// Nothing was paid, or all of it goes back already.
    #[error("nothing of this payment is left to refund")]
    NothingToRefund,
    /// The key was used for a refund of another payment.
    #[error("this Idempotency-Key was used for another request; send a new one")]
    KeyReused,
    /// The refund does not wait for a person.
    #[error("this refund does not wait for a person")]
    NotManual,
    /// The outcome is unknown; the same again is safe.
    #[error("the ledger did not answer")]
    Unavailable(#[source] StoreError),
}

impl From<StoreError> for PaymentError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

impl Payments {
    /// On a ledger.
    pub fn new(
        ledger: Arc<dyn LedgerStore>,
        terms: Arc<Terms>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { ledger, terms, clock, entropy }
    }

    /// The ledger, for lists.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn LedgerStore> {
        &self.ledger
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the installation decided.
    #[must_use]
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// Makes a payment, or answers with the one that this request made before.
    ///
    /// # Errors
    /// [`CreateError`]; nothing changed then.
    pub async fn create(&self, caller: &Caller, new: NewPayment) -> Result<Created, CreateError> {
        let wish = Wish::new(caller, new)?;
        let now = self.clock.now();
        let unavailable = |error| CreateError::Unavailable(StoreError::unavailable(error));
        let names = Names {
            payment: PaymentId::generate(now, &*self.entropy).map_err(unavailable)?,
            order: OrderId::generate(now, &*self.entropy).map_err(unavailable)?,
        };
        let terms = self.terms.clone();
        let reads = wish.reads();
        transact(&*self.ledger, reads, now, move |books| wish.decide(books, &terms, &names, now)).await?
    }

    /// Carries out a provider's message.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the provider is to repeat it.
    pub async fn hear(&self, message: ProviderMessage) -> Result<Answered, StoreError> {
        let now = self.clock.now();
        let candidates = match message.step {
            ProviderStep::Prepare => self.candidates(now).map_err(StoreError::unavailable)?,
            ProviderStep::Complete(_) => Vec::new(),
        };
        let reads = Reads {
            payments: vec![PaymentKey::Order(message.order.clone())],
            attempts: vec![message.trans],
            prepares: candidates.clone(),
            inbox: vec![message.inbound.clone()],
            ..Reads::none()
        };
        let terms = self.terms.clone();
        transact(&*self.ledger, reads, now, move |books| {
            let mut decision = heard(books, &terms, &message, &candidates, now);
            if !books.was_seen(&message.inbound) {
                let outcome = decision.answer.reply.map_or("no_such_order", Reply::name);
                decision.plan.inbound = Some((message.inbound.clone(), outcome.to_owned(), now));
            }
            decision
        })
        .await
    }

    /// Numbers for one Prepare: of this second's stretch first, of the whole range where that is crowded.
    fn candidates(&self, now: Timestamp) -> Result<Vec<PrepareId>, NoEntropy> {
        let near = (0..PREPARE_CANDIDATES / 2).map(|_| PrepareId::generate(now, &*self.entropy));
        let far = (0..PREPARE_CANDIDATES / 2).map(|_| PrepareId::anywhere(&*self.entropy));
        near.chain(far).collect()
    }

    /// A payment as its owner sees it. One whose time is over is never shown as pending, and is expired for good.
    ///
    /// # Errors
    /// [`PaymentError::NotFound`], also for somebody else's.
    pub async fn show(&self, caller: &Caller, key: PaymentKey) -> Result<Payment, PaymentError> {
        let payer = self.ledger.payer_of(&key).await?;
        if !payer.is_some_and(|payer| caller.may_touch(&payer)) {
            return Err(PaymentError::NotFound);
        }
        let payment = self.find(&key).await?.ok_or(PaymentError::NotFound)?;
        if !payment.is_overdue(self.clock.now()) {
            return Ok(payment);
        }
        self.expire(&payment.id).await?;
        self.find(&key).await?.ok_or(PaymentError::NotFound)
    }

    /// A payment, whoever asks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn find(&self, key: &PaymentKey) -> Result<Option<Payment>, StoreError> {
        let books = self.ledger.look(&Reads::none().payment(key.clone())).await?;
        let found = match key {
            PaymentKey::Id(id) => books.payment(id),
            PaymentKey::Order(order) => books.payment_by_order(order),
            PaymentKey::Idempotency(key) => books.payment_by_key(key),
        };
        Ok(found.cloned())
    }

    /// A timer's word about one payment; answers whether it changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn expire(&self, id: &PaymentId) -> Result<bool, StoreError> {
        self.happen(id, PaymentEvent::Expire, "payment.expired", "timer".to_owned())
            .await
            .map(|answered| answered.changed)
    }

    /// What the provider said when it was asked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn told(&self, id: &PaymentId, verdict: Verdict) -> Result<Answered, StoreError> {
        let event = match verdict {
            Verdict::Paid => "payment.found_paid",
            Verdict::NotPaid => "payment.found_unpaid",
            Verdict::Open | Verdict::Unknown => "payment.asked",
        };
        self.happen(id, PaymentEvent::Told(verdict), event, "reconciliation".to_owned()).await
    }

    /// Stops a payment that its provider has not prepared.
    ///
    /// # Errors
    /// [`PaymentError::TooLate`] once the provider has it.
    pub async fn cancel(&self, caller: &Caller, id: &PaymentId) -> Result<Payment, PaymentError> {
        self.show(caller, PaymentKey::Id(id.clone())).await?;
        let answered = self.happen(id, PaymentEvent::Cancel, "payment.cancelled", caller.to_string()).await?;
        match (answered.reply, answered.payment) {
            (Some(Reply::TooLate), _) => Err(PaymentError::TooLate),
            (_, Some(payment)) => Ok(payment),
            (_, None) => Err(PaymentError::NotFound),
        }
    }

    /// Asks for all of a payment's money back. The same key is the same refund.
    ///
    /// # Errors
    /// [`PaymentError::NothingToRefund`] when nothing was paid or it goes back already.
    pub async fn refund(&self, caller: &Caller, id: &PaymentId, key: &str) -> Result<Refund, PaymentError> {
        self.show(caller, PaymentKey::Id(id.clone())).await?;
        let (id, refund) = (id.clone(), RefundId::of_key(&caller.to_string(), key));
        let reads = Reads { refunds: vec![refund.clone()], ..Reads::none() };
        let reads = reads.payment(PaymentKey::Id(id.clone()));
        let (now, actor) = (self.clock.now(), caller.to_string());
        transact(&*self.ledger, reads, now, move |books| {
            if let Some(known) = books.refund(&refund) {
                let same = known.payment == id;
                return Decision::only(if same { Ok(known.clone()) } else { Err(PaymentError::KeyReused) });
            }
            let Some(payment) = books.payment(&id) else {
                return Decision::only(Err(PaymentError::NotFound));
            };
            let going_back = books.refunds_of(&id).any(|refund| refund.state.counts());
            if !payment.state.is_completed() || payment.price.payable().is_zero() || going_back {
                return Decision::only(Err(PaymentError::NothingToRefund));
            }
            let mut draft = Draft::new(books, now, note_of("payment.refund_requested", &actor, payment));
            let made = put_refund(&mut draft, payment, refund.clone(), RefundReason::Requested);
            Decision::write(draft.finish(), Ok(made))
        })
        .await?
    }

    /// What became of a refund. When the money is back, what it had bought is taken back too.
    ///
    /// # Errors
    /// [`PaymentError::NotFound`], [`PaymentError::Unavailable`].
    pub async fn refunded(
        &self,
        id: &RefundId,
        event: RefundEvent,
        actor: &str,
    ) -> Result<Refund, PaymentError> {
        let reads = Reads { refunds: vec![id.clone()], ..Reads::none() };
        let (id, actor, terms, now) = (id.clone(), actor.to_owned(), self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            let Some(refund) = books.refund(&id) else { return Decision::only(Err(PaymentError::NotFound)) };
            let Some(next) = refund.on(&event, now) else {
                let refused =
                    matches!(event, RefundEvent::Settle(_)) && refund.state != RefundState::Succeeded;
                return Decision::only(if refused {
                    Err(PaymentError::NotManual)
                } else {
                    Ok(refund.clone())
                });
            };
            let Some(payment) = books.payment(&refund.payment) else {
                return Decision::only(Err(PaymentError::NotFound));
            };
            let mut draft = Draft::new(books, now, note_of(event.audit_name(), &actor, payment));
            draft.put(Record::Refund(next.clone()));
            if next.state == RefundState::Succeeded {
                take_back(&mut draft, &terms, payment);
            }
            Decision::write(draft.finish(), Ok(next))
        })
        .await?
    }

    /// A refund with its payment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn find_refund(&self, id: &RefundId) -> Result<Option<(Refund, Payment)>, StoreError> {
        let books = self.ledger.look(&Reads { refunds: vec![id.clone()], ..Reads::none() }).await?;
        let refund = books.refund(id).cloned();
        Ok(refund.and_then(|refund| Some((refund.clone(), books.payment(&refund.payment)?.clone()))))
    }

    /// Expires what a timer may expire, at most `limit` at once; answers how many it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn sweep(&self, limit: usize) -> Result<usize, StoreError> {
        let due = self.ledger.due(Due::Payments, self.clock.now(), limit).await?;
        let ids = due.into_iter().filter_map(|key| match key {
            RecordKey::Payment(id) => Some(id),
            _ => None,
        });
        // Side by side, so that they share transactions.
        let done = futures_util::future::join_all(ids.map(|id| async move { self.expire(&id).await })).await;
        done.into_iter().try_fold(0, |expired, done| Ok(expired + usize::from(done?)))
    }

    async fn happen(
        &self,
        id: &PaymentId,
        event: PaymentEvent,
        name: &'static str,
        actor: String,
    ) -> Result<Answered, StoreError> {
        let reads = Reads::none().payment(PaymentKey::Id(id.clone()));
        let (id, terms, now) = (id.clone(), self.terms.clone(), self.clock.now());
        transact(&*self.ledger, reads, now, move |books| {
            let Some(payment) = books.payment(&id) else { return unknown() };
            let draft = Draft::new(books, now, note_of(name, &actor, payment));
            carried_out(draft, &terms, &id, &event)
        })
        .await
    }
}

fn heard(
    books: &Books,
    terms: &Terms,
    message: &ProviderMessage,
    candidates: &[PrepareId],
    now: Timestamp,
) -> Decision<Answered> {
    let Some(payment) = books.payment_by_order(&message.order) else { return unknown() };
    let &ProviderMessage { trans, paydoc, word, step, .. } = message;
    let elsewhere = books.bound(trans).is_some_and(|bound| *bound != payment.id);
    let event = match step {
        ProviderStep::Prepare => candidates
            .iter()
            .find(|candidate| !books.is_taken(**candidate))
            .map(|prepare| PaymentEvent::Prepare { trans, paydoc, word, prepare: *prepare }),
        ProviderStep::Complete(prepare) => Some(PaymentEvent::Complete { trans, paydoc, prepare, word }),
    };
    let Some(event) = event.filter(|_| !elsewhere) else {
        return Decision::only(Answered {
            reply: Some(Reply::NoSuchAttempt),
            payment: Some(payment.clone()),
            changed: false,
        });
    };
    let name = match (step, word) {
        (ProviderStep::Prepare, Word::Amount(_)) => "payment.prepared",
        (ProviderStep::Complete(_), Word::Amount(_)) => "payment.confirmed",
        (_, Word::Failed) => "payment.cancelled_by_provider",
    };
    let draft = Draft::new(books, now, note_of(name, payment.method.name(), payment));
    carried_out(draft, terms, &payment.id, &event)
}

fn carried_out(
    mut draft: Draft<'_>,
    terms: &Terms,
    id: &PaymentId,
    event: &PaymentEvent,
) -> Decision<Answered> {
    let before = draft.books.payment(id).map(|payment| payment.state.clone());
    let reply = apply(&mut draft, terms, id, event);
    let payment = draft.payment(id).cloned();
    bind(&mut draft, payment.as_ref(), before.as_ref());
    let answered = Answered { reply, payment, changed: !draft.is_empty() };
    if draft.is_empty() {
        return Decision::only(answered);
    }
    Decision::write(draft.finish(), answered)
}

/// The first time a payment has an attempt, its numbers are taken for ever.
fn bind(draft: &mut Draft<'_>, payment: Option<&Payment>, before: Option<&PaymentState>) {
    let (Some(payment), Some(PaymentState::Pending)) = (payment, before) else { return };
    if let Some(attempt) = payment.state.attempt() {
        let (payment, attempt) = (payment.id.clone(), *attempt);
        draft.write(crate::ledger::Write::Bind { payment, attempt });
    }
}

/// The money is back: what it had bought is too.
fn take_back(draft: &mut Draft<'_>, terms: &Terms, payment: &Payment) {
    if let Some(grant) = draft.books.grant(&payment.id).filter(|grant| grant.revoked_at.is_none()) {
        let revoked = Grant { revoked_at: Some(draft.now), version: grant.version + 1, ..grant.clone() };
        let (lost, user) = (grant.tier.is_some(), grant.user.clone());
        draft.put(Record::Grant(revoked));
        if lost {
            let tier = tier_without(draft, &user, &payment.id);
            set_tier(draft, terms, &user, tier, &payment.id);
        }
    }
    tell_payment(draft, terms, "payment.refunded", payment);
}

fn unknown() -> Decision<Answered> {
    Decision::only(Answered { reply: None, payment: None, changed: false })
}

fn note_of(event: &'static str, actor: &str, payment: &Payment) -> Note {
    Note {
        event,
        actor: actor.to_owned(),
        payment: Some(payment.id.clone()),
        checkout: payment.checkout.clone(),
    }
}
