//! What a decision has to see. An engine loads it all under lock before any decision of a batch runs.
//!
//! Links are followed by the engine, always the same ones, so that a decision never finds half of a picture:
//! of a payment also its checkout, coupon, grant, refunds and its user's grants; of a checkout also the one that is
//! active in its slot, the one that took its place, all that these continue or that continue them, at most
//! [`crate::checkout::RENEWALS_MAX`] each way, their open and completed payments, and their coupons.

use super::plan::Inbound;
use crate::checkout::{CheckoutId, Owner};
use crate::login::UserId;
use crate::payment::{CouponCode, CouponId, OrderId, PaymentId, PrepareId, RefundId, TransId};

/// Checkouts that one [`CheckoutKey::Left`] finds.
pub const LEFT_MAX: usize = 100;

/// How a payment is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentKey {
    /// By its id.
    Id(PaymentId),
    /// By the provider's name for it.
    Order(OrderId),
    /// By the key of the request that made it.
    Idempotency(String),
}

/// How a checkout is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckoutKey {
    /// By its id.
    Id(CheckoutId),
    /// The active ones of an owner in a slot.
    Active(Owner, String),
    /// The one of an owner and slot that left `active` last.
    Latest(Owner, String),
    /// Those of an owner and slot that have left `active`, the last ones first, at most [`LEFT_MAX`].
    Left(Owner, String),
}

/// What a decision has to see.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Payments, with what belongs to them.
    pub payments: Vec<PaymentKey>,
    /// Checkouts, with what belongs to them.
    pub checkouts: Vec<CheckoutKey>,
    /// Coupons by what people type.
    pub codes: Vec<CouponCode>,
    /// Coupons by row.
    pub coupons: Vec<CouponId>,
    /// Users: their grants, and whether anybody knows them.
    pub users: Vec<UserId>,
    /// Refunds, with their payments.
    pub refunds: Vec<RefundId>,
    /// Attempts of the provider: which payment has this number.
    pub attempts: Vec<TransId>,
    /// Numbers of ours: which of these are given away.
    pub prepares: Vec<PrepareId>,
    /// Messages: which of these were seen before.
    pub inbox: Vec<Inbound>,
}

impl Reads {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Also this payment.
    #[must_use]
    pub fn payment(mut self, key: PaymentKey) -> Self {
        self.payments.push(key);
        self
    }

    /// Also this checkout.
    #[must_use]
    pub fn checkout(mut self, key: CheckoutKey) -> Self {
        self.checkouts.push(key);
        self
    }

    /// Also this coupon.
    #[must_use]
    pub fn code(mut self, code: Option<CouponCode>) -> Self {
        self.codes.extend(code);
        self
    }

    /// Also this user.
    #[must_use]
    pub fn user(mut self, user: UserId) -> Self {
        self.users.push(user);
        self
    }

    /// Everything that `other` names too.
    pub fn add(&mut self, other: &Self) {
        self.payments.extend_from_slice(&other.payments);
        self.checkouts.extend_from_slice(&other.checkouts);
        self.codes.extend_from_slice(&other.codes);
        self.coupons.extend_from_slice(&other.coupons);
        self.users.extend_from_slice(&other.users);
        self.refunds.extend_from_slice(&other.refunds);
        self.attempts.extend_from_slice(&other.attempts);
        self.prepares.extend_from_slice(&other.prepares);
        self.inbox.extend_from_slice(&other.inbox);
    }
}
