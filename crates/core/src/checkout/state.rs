//! The checkout's state machine: active, completed, expired, invalidated.
//!
//! Pure. Package, price and coupon of a row never change: another choice is another row. A completed checkout stays
//! completed; a timer never ends one whose payment is under way.

use super::id::CheckoutId;
use super::owner::Owner;
use crate::money::Price;
use crate::payment::{CouponHold, PaymentId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a checkout is active.
pub const CHECKOUT_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after its end it can be recovered, and before it is purged.
pub const RECOVERY_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often one choice is renewed. Late money for any of these rows has to see all the others, so they are loaded together.
pub const RENEWALS_MAX: usize = 64;

/// One choice of one buyer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkout {
    /// Its name.
    pub id: CheckoutId,
    /// Whose it is.
    pub owner: Owner,
    /// Which of the owner's carts; one is active in each.
    pub slot: String,
    /// The application's JSON. Not part of the audit, which holds its digest.
    #[serde(skip)]
    pub data: String,
    /// [`super::Choice::digest`].
    pub choice: String,
    /// The snapshot, where a catalogue priced it.
    pub price: Option<Price>,
    /// The coupon that it holds.
    pub coupon: Option<CouponHold>,
    /// Where it is.
    pub state: CheckoutState,
    /// The expired row that this one continues.
    pub renewed_from: Option<CheckoutId>,
    /// The row that took its place.
    pub superseded_by: Option<CheckoutId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// From then on nobody sees it as active.
    pub expires_at: Timestamp,
    /// Counts changes, from 1.
    pub version: i64,
}

/// Where a checkout is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CheckoutState {
    /// The buyer may pay.
    Active,
    /// Paid, or declared complete by the application.
    Completed {
        /// When.
        at: Timestamp,
        /// The payment that did it.
        payment: Option<PaymentId>,
    },
    /// Its time is over; it can be recovered.
    Expired {
        /// When that was noticed.
        at: Timestamp,
    },
    /// Another row took its place.
    Invalidated {
        /// When.
        at: Timestamp,
        /// Why.
        reason: InvalidReason,
    },
}

/// Why a checkout was invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// The buyer chose something else.
    Superseded,
    /// The row that it continues was paid after all.
    PaidByPredecessor,
    /// An operator or a backend ended it.
    Cancelled,
    /// An older application invalidated it; its reason is not known.
    Unknown,
}

impl InvalidReason {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::PaidByPredecessor => "paid_by_predecessor",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// As it is read; what an older application wrote is [`InvalidReason::Unknown`].
    #[must_use]
    pub fn read(name: Option<&str>) -> Self {
        match name {
            Some("superseded") => Self::Superseded,
            Some("paid_by_predecessor") => Self::PaidByPredecessor,
            Some("cancelled") => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

/// What can happen to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutEvent {
    /// The buyer chose something else, or an operator ended it.
    Invalidate(InvalidReason),
    /// A timer, or a read after `expires_at`.
    Expire,
    /// A payment was completed for it; or the application says that it is complete (`None`).
    Complete(Option<PaymentId>),
}

/// Whether money may be on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    /// A payment is processing: nothing may end the checkout but that payment's outcome.
    UnderWay,
    /// None is.
    Still,
}

/// What an event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutStep {
    /// It moves.
    To(CheckoutState),
    /// Nothing changes, and that is a success.
    Stay,
    /// Not while money is on its way: a timer comes back later, a buyer is told.
    Held,
    /// The event is not for this state.
    Refused,
}

impl CheckoutState {
    /// As it is stored.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completed { .. } => "completed",
            Self::Expired { .. } => "expired",
            Self::Invalidated { .. } => "invalidated",
        }
    }

    /// When it left `active`.
    #[must_use]
    pub const fn left_active_at(&self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Completed { at, .. } | Self::Expired { at } | Self::Invalidated { at, .. } => Some(*at),
        }
    }
}

impl Checkout {
    /// Decides what an event does at `now`.
    #[must_use]
    pub fn on(&self, event: &CheckoutEvent, money: Money, now: Timestamp) -> CheckoutStep {
        use {CheckoutEvent as E, CheckoutState as S};
        match (&self.state, event) {
            (S::Active, E::Invalidate(_) | E::Expire) if money == Money::UnderWay => CheckoutStep::Held,
            (S::Active, E::Invalidate(reason)) => {
                CheckoutStep::To(S::Invalidated { at: now, reason: *reason })
            }
            (S::Active, E::Expire) if now >= self.expires_at => CheckoutStep::To(S::Expired { at: now }),
            (S::Active, E::Expire) | (S::Expired { .. }, E::Expire) => CheckoutStep::Stay,
            (S::Active | S::Expired { .. }, E::Complete(payment)) => {
                CheckoutStep::To(S::Completed { at: now, payment: payment.clone() })
            }
            // The application was faster than the provider: now it is known which payment it was.
            (S::Completed { at, payment: None }, E::Complete(Some(payment))) => {
                CheckoutStep::To(S::Completed { at: *at, payment: Some(payment.clone()) })
            }
            // The same news again.
            (S::Completed { payment, .. }, E::Complete(again)) if again.is_none() || payment == again => {
                CheckoutStep::Stay
            }
            (S::Invalidated { .. }, E::Invalidate(_)) => CheckoutStep::Stay,
            (S::Completed { .. }, _)
            | (S::Expired { .. }, E::Invalidate(_))
            | (S::Invalidated { .. }, E::Expire | E::Complete(_)) => CheckoutStep::Refused,
        }
    }

    /// Whether the buyer may pay for it at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == CheckoutState::Active && now < self.expires_at
    }

    /// The same row with its next state.
    #[must_use]
    pub fn moved(&self, state: CheckoutState, now: Timestamp) -> Self {
        Self { state, updated_at: now.max(self.updated_at), version: self.version + 1, ..self.clone() }
    }
}
