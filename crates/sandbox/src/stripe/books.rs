//! The account's own books: sessions, payments, charges, refunds. Every change is one call under one lock and gives
//! the news it makes.
//!
//! Pure: time is an argument and nothing here waits or is sent.

use serde_json::Value;

use super::error::StripeError;
use super::payment::{
    Charge, ChargeStatus, Decline, IntentStatus, Paid, PayWith, PaymentIntent, Refund, Settlement,
    dispute_json,
};
use super::session::{CheckoutSession, PaymentStatus, SessionStatus};
use crate::random;
use crate::shelf::Shelf;

/// Something happened: the type of the event and the object as it was then.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) kind: &'static str,
    pub(crate) object: Value,
    pub(crate) session: String,
}

/// Why money did not go back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RefundRefused {
    /// No such payment or charge here, or nothing was paid.
    NothingPaid,
    /// All of it already went back.
    AlreadyRefunded { charge: String },
    /// More than is left.
    TooMuch { left: i64 },
}

/// What an application asks for when it wants money to go back.
#[derive(Debug, Default)]
pub(crate) struct RefundWish {
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: std::collections::BTreeMap<String, String>,
    pub(crate) idempotency_key: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) sessions: Shelf<CheckoutSession>,
    pub(crate) intents: Shelf<PaymentIntent>,
    pub(crate) charges: Shelf<Charge>,
    pub(crate) refunds: Shelf<Refund>,
}

impl Books {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self {
            sessions: Shelf::new(sessions_max),
            intents: Shelf::new(sessions_max),
            charges: Shelf::new(sessions_max.saturating_mul(4)),
            refunds: Shelf::new(sessions_max.saturating_mul(4)),
        }
    }

    /// The session as it stands now: one whose time is over expires when somebody looks.
    pub(crate) fn look(&mut self, id: &str, now: i64) -> (Option<CheckoutSession>, Vec<News>) {
        let overdue =
            |session: &CheckoutSession| session.status == SessionStatus::Open && session.expires_at <= now;
        let news = if self.sessions.get(id).is_some_and(overdue) { self.expire(id) } else { Ok(Vec::new()) };
        (self.sessions.get(id).cloned(), news.unwrap_or_default())
    }

    fn open(&mut self, id: &str) -> Result<&mut CheckoutSession, StripeError> {
        let session = self.sessions.get_mut(id).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        match session.status {
            SessionStatus::Open => Ok(session),
            status => Err(StripeError::NotOpen { id: id.to_owned(), status }),
        }
    }

    pub(crate) fn expire(&mut self, id: &str) -> Result<Vec<News>, StripeError> {
        self.open(id)?.status = SessionStatus::Expired;
        Ok(self.session_news("checkout.session.expired", id).into_iter().collect())
    }

    /// One attempt to pay.
    pub(crate) fn pay(
        &mut self,
        id: &str,
        with: PayWith,
        now: i64,
    ) -> Result<(Paid, Vec<News>), StripeError> {
        let session = self.open(id)?;
        if session.amount_total == 0 {
            (session.status, session.payment_status) =
                (SessionStatus::Complete, PaymentStatus::NoPaymentRequired);
            return Ok((
                Paid::Complete,
                self.session_news("checkout.session.completed", id).into_iter().collect(),
            ));
        }
        let intent = self.intent_of(id, now).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        let (paid, charge_kind, intent_kind) = match with {
            PayWith::Card => {
                self.charge(&intent, ChargeStatus::Succeeded, None, now);
                (Paid::Complete, "charge.succeeded", "payment_intent.succeeded")
            }
            PayWith::DeclinedCard(decline) => {
                self.charge(&intent, ChargeStatus::Failed, Some(decline), now);
                (Paid::Declined(decline), "charge.failed", "payment_intent.payment_failed")
            }
            PayWith::BankDebit => {
                self.charge(&intent, ChargeStatus::Pending, None, now);
                (Paid::Pending, "charge.pending", "payment_intent.processing")
            }
        };
        if let (Some(session), false) = (self.sessions.get_mut(id), matches!(paid, Paid::Declined(_))) {
            session.status = SessionStatus::Complete;
            session.payment_status =
                if paid == Paid::Complete { PaymentStatus::Paid } else { PaymentStatus::Unpaid };
        }
        let mut news = vec![self.charge_news(charge_kind, &intent), self.intent_news(intent_kind, &intent)];
        if !matches!(paid, Paid::Declined(_)) {
            news.push(self.session_news("checkout.session.completed", id));
        }
        Ok((paid, news.into_iter().flatten().collect()))
    }

    /// The end of a payment that was on its way.
    pub(crate) fn settle(&mut self, id: &str, settlement: Settlement) -> Result<Vec<News>, StripeError> {
        let session = self.sessions.get_mut(id).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        let intent = session.payment_intent.clone().unwrap_or_default();
        let processing = |intent: &PaymentIntent| intent.status == IntentStatus::Processing;
        let Some(payment) = self.intents.get_mut(&intent).filter(|intent| processing(intent)) else {
            return Err(StripeError::NothingPending(id.to_owned()));
        };
        let charge = payment.latest_charge.clone().unwrap_or_default();
        let (charge_status, charge_kind, intent_kind, session_kind) = match settlement {
            Settlement::Succeeds => {
                session.payment_status = PaymentStatus::Paid;
                payment.status = IntentStatus::Succeeded;
                let session_kind = "checkout.session.async_payment_succeeded";
                (ChargeStatus::Succeeded, "charge.succeeded", "payment_intent.succeeded", session_kind)
            }
            Settlement::Fails => {
                payment.status = IntentStatus::RequiresPaymentMethod;
                payment.decline = Some(Decline::InsufficientFunds);
                let session_kind = "checkout.session.async_payment_failed";
                (ChargeStatus::Failed, "charge.failed", "payment_intent.payment_failed", session_kind)
            }
        };
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.status = charge_status;
        }
        let news = [
            self.charge_news(charge_kind, &intent),
            self.intent_news(intent_kind, &intent),
            self.session_news(session_kind, id),
        ];
        Ok(news.into_iter().flatten().collect())
    }

    /// Money goes back. `payment`: a `pi_…` or a `ch_…`.
    pub(crate) fn refund(
        &mut self,
        payment: &str,
        wish: RefundWish,
        now: i64,
    ) -> Result<(Refund, Vec<News>), RefundRefused> {
        let of_intent = self.intents.get(payment).and_then(|intent| intent.latest_charge.clone());
        let charge_id = of_intent.unwrap_or_else(|| payment.to_owned());
        let charge = self.charges.get_mut(&charge_id).ok_or(RefundRefused::NothingPaid)?;
        if charge.status != ChargeStatus::Succeeded {
            return Err(RefundRefused::NothingPaid);
        }
        let left = charge.refundable();
        if left == 0 {
            return Err(RefundRefused::AlreadyRefunded { charge: charge_id });
        }
        let amount = wish.amount.unwrap_or(left);
        if amount > left {
            return Err(RefundRefused::TooMuch { left });
        }
        charge.amount_refunded += amount;
        let intent = self.intents.get(&charge.payment_intent);
        let refund = Refund {
            id: format!("re_3{}", random::letters(23)),
            session: intent.map(|intent| intent.session.clone()).unwrap_or_default(),
            payment_intent: charge.payment_intent.clone(),
            charge: charge_id,
            created: now,
            amount,
            currency: charge.currency.clone(),
            reason: wish.reason,
            metadata: wish.metadata,
            idempotency_key: wish.idempotency_key,
        };
        self.refunds.put(&refund.id, refund.clone());
        let session = refund.session.clone();
        let created = News { kind: "refund.created", object: refund.json(), session };
        let refunded = self.charge_news("charge.refunded", &refund.payment_intent);
        Ok((refund, refunded.into_iter().chain([created]).collect()))
    }

    /// The buyer's bank objects to what was paid.
    pub(crate) fn dispute(&mut self, id: &str, now: i64) -> Result<Vec<News>, StripeError> {
        let nothing = || StripeError::NothingPaid(id.to_owned());
        let session = self.sessions.get(id).ok_or_else(|| StripeError::NoSession(id.to_owned()))?;
        let intent = session.payment_intent.as_deref().and_then(|intent| self.intents.get(intent));
        let charge = intent.and_then(|intent| intent.latest_charge.clone()).ok_or_else(nothing)?;
        let charge = self.charges.get_mut(&charge).filter(|charge| charge.status == ChargeStatus::Succeeded);
        let charge = charge.ok_or_else(nothing)?;
        charge.disputed = true;
        let object = dispute_json(&format!("du_1{}", random::letters(23)), charge, now);
        Ok(vec![News { kind: "charge.dispute.created", object, session: id.to_owned() }])
    }

    /// The session's PaymentIntent, made at the first attempt.
    fn intent_of(&mut self, id: &str, now: i64) -> Option<String> {
        let session = self.sessions.get_mut(id)?;
        if let Some(known) = &session.payment_intent {
            return Some(known.clone());
        }
        let intent = PaymentIntent {
            id: format!("pi_3{}", random::letters(23)),
            session: id.to_owned(),
            created: now,
            amount: session.amount_total,
            currency: session.currency.clone(),
            status: IntentStatus::RequiresPaymentMethod,
            metadata: session.payment_intent_metadata.clone(),
            latest_charge: None,
            decline: None,
        };
        session.payment_intent = Some(intent.id.clone());
        let id = intent.id.clone();
        self.intents.put(&id, intent);
        Some(id)
    }

    fn charge(&mut self, intent: &str, status: ChargeStatus, decline: Option<Decline>, now: i64) {
        let Some(intent) = self.intents.get_mut(intent) else {
            return;
        };
        let charge = Charge {
            id: format!("ch_3{}", random::letters(23)),
            payment_intent: intent.id.clone(),
            created: now,
            amount: intent.amount,
            amount_refunded: 0,
            currency: intent.currency.clone(),
            status,
            disputed: false,
            decline,
            metadata: intent.metadata.clone(),
        };
        (intent.latest_charge, intent.decline) = (Some(charge.id.clone()), decline);
        intent.status = match status {
            ChargeStatus::Pending => IntentStatus::Processing,
            ChargeStatus::Succeeded => IntentStatus::Succeeded,
            ChargeStatus::Failed => IntentStatus::RequiresPaymentMethod,
        };
        let id = charge.id.clone();
        self.charges.put(&id, charge);
    }

    fn session_news(&self, kind: &'static str, id: &str) -> Option<News> {
        let session = self.sessions.get(id)?;
        Some(News { kind, object: session.json(), session: id.to_owned() })
    }

    fn intent_news(&self, kind: &'static str, id: &str) -> Option<News> {
        let intent = self.intents.get(id)?;
        Some(News { kind, object: intent.json(), session: intent.session.clone() })
    }

    fn charge_news(&self, kind: &'static str, intent: &str) -> Option<News> {
        let intent = self.intents.get(intent)?;
        let charge = self.charges.get(intent.latest_charge.as_deref()?)?;
        Some(News { kind, object: charge.json(), session: intent.session.clone() })
    }
}
