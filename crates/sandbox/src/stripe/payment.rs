//! A payment: its PaymentIntent, the charges that were tried for it, refunds and disputes, as the API shows them.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How the buyer pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayWith {
    /// `4242 4242 4242 4242`: succeeds at once.
    Card,
    /// A card that is refused.
    DeclinedCard(Decline),
    /// A bank debit: the session is complete and unpaid until the money arrives, or does not.
    BankDebit,
}

/// Why a card is refused. Stripe has a test number for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    /// `4000 0000 0000 0002`.
    Generic,
    /// `4000 0000 0000 9995`.
    InsufficientFunds,
    /// `4000 0000 0000 0069`.
    ExpiredCard,
}

impl Decline {
    /// The sentence the buyer reads.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Generic => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
        }
    }

    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Generic => ("card_declined", "generic_decline"),
            Self::InsufficientFunds => ("card_declined", "insufficient_funds"),
            Self::ExpiredCard => ("expired_card", "expired_card"),
        }
    }

    pub(crate) fn json(self, charge: &str) -> Value {
        let (code, decline_code) = self.codes();
        json!({
            "type": "card_error", "code": code, "decline_code": decline_code, "message": self.message(),
            "charge": charge, "doc_url": format!("https://docs.stripe.com/error-codes#{}", code.replace('_', "-")),
        })
    }
}

/// What came of an attempt to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The money is there, or none was needed.
    Complete,
    /// The session is complete and unpaid; the money is on its way.
    Pending,
    /// Refused; the session is still open.
    Declined(Decline),
}

/// How a payment that was on its way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The money arrived.
    Succeeds,
    /// The bank refused.
    Fails,
}

/// Where a PaymentIntent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// Not tried, or refused.
    RequiresPaymentMethod,
    /// On its way.
    Processing,
    /// Paid.
    Succeeded,
    /// Never will be.
    Canceled,
}

/// `pi_…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentIntent {
    /// Its id.
    pub id: String,
    /// The session it pays.
    pub session: String,
    /// Unix seconds.
    pub created: i64,
    /// In the currency's minor unit.
    pub amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// From `payment_intent_data[metadata]`.
    pub metadata: BTreeMap<String, String>,
    /// `ch_…` of the last try.
    pub latest_charge: Option<String>,
    /// Why the last try was refused.
    pub decline: Option<Decline>,
}

impl PaymentIntent {
    pub(crate) fn json(&self) -> Value {
        let succeeded = self.status == IntentStatus::Succeeded;
        let charge = self.latest_charge.as_deref().unwrap_or_default();
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": 0,
            "amount_received": if succeeded { self.amount } else { 0 },
            "canceled_at": null,
            "cancellation_reason": null,
            "capture_method": "automatic_async",
            "client_secret": format!("{}_secret_sandbox", self.id),
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "description": null,
            "last_payment_error": self.decline.map(|decline| decline.json(charge)),
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": null,
            "payment_method_types": ["card", "us_bank_account"],
            "receipt_email": null,
            "setup_future_usage": null,
            "shipping": null,
            "statement_descriptor": null,
            "status": self.status,
            "transfer_group": null,
        })
    }
}

/// Where a charge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    /// On its way.
    Pending,
    /// Debited.
    Succeeded,
    /// Refused.
    Failed,
}

/// `ch_…`: one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// `pi_…`.
    pub payment_intent: String,
    /// Unix seconds.
    pub created: i64,
    /// In the currency's minor unit.
    pub amount: i64,
    /// Given back so far.
    pub amount_refunded: i64,
    /// Three letters, lower case.
    pub currency: String,
    /// Where it stands.
    pub status: ChargeStatus,
    /// Whether the buyer's bank objected.
    pub disputed: bool,
    /// Why it was refused.
    pub decline: Option<Decline>,
    /// From the PaymentIntent.
    pub metadata: BTreeMap<String, String>,
}

impl Charge {
    /// What can still be given back.
    #[must_use]
    pub fn refundable(&self) -> i64 {
        if self.status == ChargeStatus::Succeeded { self.amount - self.amount_refunded } else { 0 }
    }

    pub(crate) fn json(&self) -> Value {
        let succeeded = self.status == ChargeStatus::Succeeded;
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": if succeeded { self.amount } else { 0 },
            "amount_refunded": self.amount_refunded,
            "captured": succeeded,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "disputed": self.disputed,
            "failure_code": self.decline.map(|decline| decline.codes().0),
            "failure_message": self.decline.map(Decline::message),
            "livemode": false,
            "metadata": self.metadata,
            "paid": succeeded,
            "payment_intent": self.payment_intent,
            "receipt_email": null,
            "refunded": succeeded && self.amount_refunded == self.amount,
            "status": self.status,
        })
    }
}

/// `re_…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub id: String,
    /// The session whose money went back.
    pub session: String,
    /// `pi_…`.
    pub payment_intent: String,
    /// `ch_…`.
    pub charge: String,
    /// Unix seconds.
    pub created: i64,
    /// In the currency's minor unit.
    pub amount: i64,
    /// Three letters, lower case.
    pub currency: String,
    /// As the application gave it.
    pub reason: Option<String>,
    /// What the application attached.
    pub metadata: BTreeMap<String, String>,
    /// The Idempotency-Key it was created with.
    pub idempotency_key: Option<String>,
}

impl Refund {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": null,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "destination_details": null,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": "succeeded",
            "transfer_reversal": null,
        })
    }
}

/// `du_…`: the buyer's bank objects.
pub(crate) fn dispute_json(id: &str, charge: &Charge, now: i64) -> Value {
    json!({
        "id": id,
        "object": "dispute",
        "amount": charge.amount,
        "balance_transactions": [],
        "charge": charge.id,
        "created": now,
        "currency": charge.currency,
        "evidence_details": { "due_by": now + 7 * 86_400, "has_evidence": false, "past_due": false,
            "submission_count": 0 },
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": charge.payment_intent,
        "reason": "fraudulent",
        "status": "needs_response",
    })
}
