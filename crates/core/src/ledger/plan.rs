//! What a decision wants written.

use super::outbox::NewEffect;
use crate::checkout::{Checkout, CheckoutId};
use crate::login::UserId;
use crate::payment::{Attempt, Coupon, CouponId, Grant, Payment, PaymentId, Refund, RefundId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "row", rename_all = "snake_case")]
pub enum Record {
    /// A buyer's choice.
    Checkout(Checkout),
    /// An attempt to pay.
    Payment(Payment),
    /// A coupon with its counters.
    Coupon(Coupon),
    /// What money bought.
    Grant(Grant),
    /// Money going back.
    Refund(Refund),
}

/// Which row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// A checkout.
    Checkout(CheckoutId),
    /// A payment.
    Payment(PaymentId),
    /// A coupon.
    Coupon(CouponId),
    /// A payment's grant.
    Grant(PaymentId),
    /// A refund.
    Refund(RefundId),
}

/// The kind of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `checkout_sessions`
    Checkout,
    /// `payment_sessions`
    Payment,
    /// `coupons`
    Coupon,
    /// `grants`
    Grant,
    /// `refunds`
    Refund,
}

impl Record {
    /// Which row it is.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Checkout(row) => RecordKey::Checkout(row.id.clone()),
            Self::Payment(row) => RecordKey::Payment(row.id.clone()),
            Self::Coupon(row) => RecordKey::Coupon(row.id.clone()),
            Self::Grant(row) => RecordKey::Grant(row.payment.clone()),
            Self::Refund(row) => RecordKey::Refund(row.id.clone()),
        }
    }

    /// How often it has changed, counted from 1.
    #[must_use]
    pub const fn version(&self) -> i64 {
        match self {
            Self::Checkout(row) => row.version,
            Self::Payment(row) => row.version,
            Self::Coupon(row) => row.version,
            Self::Grant(row) => row.version,
            Self::Refund(row) => row.version,
        }
    }
}

impl RecordKey {
    /// In which table.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Checkout(_) => Kind::Checkout,
            Self::Payment(_) => Kind::Payment,
            Self::Coupon(_) => Kind::Coupon,
            Self::Grant(_) => Kind::Grant,
            Self::Refund(_) => Kind::Refund,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A new row; never overwrites.
    Create(Record),
    /// The next version of a row that is there.
    Update(Record),
    /// The row goes; its id is remembered for ever.
    Purge(CheckoutId),
    /// The provider's number of an attempt, bound to its payment for ever.
    Bind {
        /// The payment.
        payment: PaymentId,
        /// The attempt.
        attempt: Attempt,
    },
    /// A coupon's use, for the record.
    Use {
        /// Of which coupon.
        coupon: CouponId,
        /// By which payment.
        payment: PaymentId,
        /// By whom.
        user: UserId,
    },
    /// The user's tier, computed from the grants.
    Tier {
        /// Whose.
        user: UserId,
        /// Which.
        tier: String,
    },
    /// What an operator did outside the ledger, for the audit alone: the name of what it was done to. Never a secret.
    Remark(String),
    /// A user whom a trusted backend vouches for, recorded if nobody knew them.
    Vouch {
        /// Whom.
        user: UserId,
        /// Their address.
        email: Option<String>,
    },
}

/// A message of a provider, named by a digest of all of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Inbound {
    /// Whose.
    pub provider: &'static str,
    /// SHA-256 of the whole message, in base64url.
    pub digest: String,
}

/// What the audit says about a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note {
    /// What happened, as `payment.prepared`.
    pub event: &'static str,
    /// Who caused it.
    pub actor: String,
    /// The payment it is about.
    pub payment: Option<PaymentId>,
    /// The checkout it is about.
    pub checkout: Option<CheckoutId>,
}

/// What a decision wants written. Nothing at all is a plan too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order; a row may change more than once.
    pub writes: Vec<Write>,
    /// What the world must hear.
    pub effects: Vec<NewEffect>,
    /// What the audit says; a plan that changes a record has one.
    pub note: Option<Note>,
    /// The message that caused it, what we made of it, and when it came.
    pub inbound: Option<(Inbound, String, Timestamp)>,
}

impl Plan {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.effects.is_empty() && self.inbound.is_none()
    }

    /// Also a new row.
    pub fn create(&mut self, record: Record) {
        self.writes.push(Write::Create(record));
    }

    /// Also the next version of a row.
    pub fn update(&mut self, record: Record) {
        self.writes.push(Write::Update(record));
    }
}
