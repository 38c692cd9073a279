//! What a payment is: its price, its owner, and where it is between the buyer's wish and the provider's last word.

use super::coupon::CouponHold;
use super::id::{OrderId, PaydocId, PaymentId, PrepareId, TransId};
use crate::checkout::CheckoutId;
use crate::login::UserId;
use crate::money::Price;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a buyer has to reach the provider.
pub const PAYMENT_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// One attempt to pay.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payment {
    /// Its name with us.
    pub id: PaymentId,
    /// Its name at the provider.
    pub order: OrderId,
    /// Who pays, and for whom it is.
    pub user: UserId,
    /// Where the buyer is written to. Personal: not part of the audit.
    #[serde(skip)]
    pub email: String,
    /// What is paid.
    pub price: Price,
    /// The coupon it was priced with.
    pub coupon: Option<CouponHold>,
    /// What it pays for; `None` buys the tier itself.
    pub checkout: Option<CheckoutId>,
    /// Through whom.
    pub method: Method,
    /// One live payment has it.
    pub idempotency_key: String,
    /// What the request asked for, digested: the same key with another request is refused.
    pub request: String,
    /// Where it is.
    pub state: PaymentState,
    /// When the provider is asked next, and how often it was.
    pub ask: Option<Ask>,
    /// What an operator should look at.
    pub flags: Flags,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// From then on a pending one is expired. Nothing else ends by time.
    pub expires_at: Timestamp,
    /// Counts changes, from 1.
    pub version: i64,
}

/// Through whom the money comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// CLICK SHOP-API.
    Click,
    /// Nothing was left to pay.
    Coupon,
    /// What an older application wrote here.
    Other,
}

/// The provider's side of a payment, bound at Prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The provider's number.
    pub trans: TransId,
    /// The number that the customer sees.
    pub paydoc: PaydocId,
    /// Ours, if we accepted it.
    pub prepare: Option<PrepareId>,
}

/// When the provider is asked for its word, and how often it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// Next.
    pub at: Timestamp,
    /// So far.
    pub times: u32,
}

/// Where a payment is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PaymentState {
    /// The buyer has a link.
    Pending,
    /// The provider has prepared it: money may move at any moment. No timer ends this.
    Processing {
        /// The attempt that is bound.
        attempt: Attempt,
        /// When it was prepared.
        at: Timestamp,
    },
    /// Money is confirmed. Absorbing.
    Completed {
        /// The attempt; `None` when nothing was to pay.
        attempt: Option<Attempt>,
        /// When.
        at: Timestamp,
        /// How it came to be confirmed.
        how: How,
        /// What the money did.
        disposition: Disposition,
    },
    /// It came to nothing.
    Failed {
        /// The attempt, if there was one.
        attempt: Option<Attempt>,
        /// When.
        at: Timestamp,
        /// Why.
        reason: FailReason,
    },
    /// Nobody paid in time.
    Expired {
        /// An attempt, in rows of an older application whose timer did not spare it.
        attempt: Option<Attempt>,
        /// When.
        at: Timestamp,
        /// Why.
        reason: ExpireReason,
    },
}

/// How money came to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The provider said so in time.
    Confirmed,
    /// The provider said so after we had given up.
    Late,
    /// We asked, and the provider said so.
    Reconciled,
    /// Nothing was to pay.
    Free,
}

/// What confirmed money did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Disposition {
    /// It bought what it was for.
    Granted,
    /// Its checkout had been replaced by an equal one; it bought that.
    Allocated {
        /// The one it bought.
        checkout: CheckoutId,
    },
    /// It bought nothing and goes back.
    Refunded {
        /// Why.
        reason: RefundReason,
    },
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// Another payment had completed the checkout.
    AlreadyPaid,
    /// The user had the tier already.
    AlreadyEntitled,
    /// The checkout had been replaced by another choice.
    Superseded,
    /// The checkout is not there any more.
    Missing,
    /// An operator or a backend asked for it.
    Requested,
}

/// Why a payment failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// The provider cancelled it. Absorbing: a replayed cancel must not become a success.
    ProviderCancelled,
    /// We asked, and the provider knew of no money.
    Reconciled,
    /// The buyer, a backend or an operator stopped it before the provider had prepared it.
    Cancelled,
    /// An older application wrote it; its reason is not known.
    Unknown,
}

/// Why a payment expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpireReason {
    /// Its time was over.
    Timer,
    /// Its checkout was replaced, or another payment took its place.
    Superseded,
    /// Its checkout was paid otherwise, or ended.
    CheckoutEnded,
    /// An older application wrote it.
    Unknown,
}

/// What an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Flags {
    /// The provider cancelled what it had confirmed. Nothing is taken away; it is asked.
    pub cancel_after_success: bool,
    /// A confirmation named another amount than was prepared.
    pub amount_differs: bool,
    /// The coupon's use had been given back when the money came, and its limit is exceeded.
    pub coupon_overflow: bool,
}

impl PaymentState {
    /// As it is stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing { .. } => "processing",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Expired { .. } => "expired",
        }
    }

    /// The provider's side, if one is bound.
    #[must_use]
    pub const fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Pending => None,
            Self::Processing { attempt, .. } => Some(attempt),
            Self::Completed { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Expired { attempt, .. } => attempt.as_ref(),
        }
    }

    /// Whether it can still become money without anybody's mistake.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Pending | Self::Processing { .. })
    }

    /// Whether money may be moving.
    #[must_use]
    pub const fn is_processing(&self) -> bool {
        matches!(self, Self::Processing { .. })
    }

    /// Whether money was confirmed.
    #[must_use]
    pub const fn is_completed(&self) -> bool {
        matches!(self, Self::Completed { .. })
    }
}

impl Payment {
    /// The same row with its next state. A key that we derived is given up with the open states, so that the same
    /// person can try to buy the same thing again.
    #[must_use]
    pub fn moved(&self, state: PaymentState, now: Timestamp) -> Self {
        let derived = self.idempotency_key.starts_with(DERIVED_KEY) && !state.is_open();
        let idempotency_key =
            if derived { format!("done:{}", self.id.as_str()) } else { self.idempotency_key.clone() };
        Self {
            state,
            idempotency_key,
            updated_at: now.max(self.updated_at),
            version: self.version + 1,
            ..self.clone()
        }
    }
}

/// How a key begins that was derived from who buys what.
pub const DERIVED_KEY: &str = "auto:";

/// Spells the names of an enum once, for storing and for reading.
macro_rules! names {
    ($type:ident, $unknown:expr, { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// As it is stored.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// As it is read; what is not known, an older application wrote.
            #[must_use]
            pub fn read(name: Option<&str>) -> Self {
                match name { $(Some($name) => Self::$variant,)+ _ => $unknown }
            }
        }
    };
}

names!(Method, Self::Other, { Click => "click", Coupon => "coupon", Other => "other" });
names!(How, Self::Confirmed, {
    Confirmed => "confirmed", Late => "late", Reconciled => "reconciled", Free => "free",
});
names!(FailReason, Self::Unknown, {
    ProviderCancelled => "provider_cancelled", Reconciled => "reconciled", Cancelled => "cancelled",
    Unknown => "unknown",
});
names!(ExpireReason, Self::Unknown, {
    Timer => "timer", Superseded => "superseded", CheckoutEnded => "checkout_ended", Unknown => "unknown",
});
names!(RefundReason, Self::Requested, {
    AlreadyPaid => "already_paid", AlreadyEntitled => "already_entitled", Superseded => "superseded",
    Missing => "missing", Requested => "requested",
});
