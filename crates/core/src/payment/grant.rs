//! What confirmed money bought, and money going back.

use super::id::{PaymentId, RefundId};
use super::state::RefundReason;
use crate::checkout::CheckoutId;
use crate::login::UserId;
use crate::money::Minor;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a payment bought. One per payment; a user's tier is computed from those that stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The payment that bought it.
    pub payment: PaymentId,
    /// For whom.
    pub user: UserId,
    /// The tier; `None` where a checkout's content was bought.
    pub tier: Option<String>,
    /// The checkout.
    pub checkout: Option<CheckoutId>,
    /// When.
    pub granted_at: Timestamp,
    /// When it was taken back, with the money.
    pub revoked_at: Option<Timestamp>,
    /// Counts changes, from 1.
    pub version: i64,
}

/// Money going back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refund {
    /// Its name.
    pub id: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much.
    pub amount: Minor,
    /// Why.
    pub reason: RefundReason,
    /// Where it is.
    pub state: RefundState,
    /// What the provider or the operator said.
    pub note: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Counts changes, from 1.
    pub version: i64,
}

/// Where a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Somebody wants it.
    Requested,
    /// The provider is being asked; its answer may be lost.
    Submitted,
    /// The money is back.
    Succeeded,
    /// It was withdrawn before it was asked for.
    Failed,
    /// The provider refuses, or its answer is unknown: a person decides.
    NeedsManual,
}

/// What can happen to a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundEvent {
    /// The provider is about to be asked.
    Submit,
    /// The provider did it.
    Done,
    /// The provider refuses, or nobody knows.
    Refused(String),
    /// An operator has settled it by hand.
    Settle(String),
}

impl RefundEvent {
    /// As the audit says it.
    #[must_use]
    pub const fn audit_name(&self) -> &'static str {
        match self {
            Self::Submit => "refund.submitted",
            Self::Done => "refund.succeeded",
            Self::Refused(_) => "refund.needs_manual",
            Self::Settle(_) => "refund.settled",
        }
    }
}

impl RefundState {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Submitted => "submitted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NeedsManual => "needs_manual",
        }
    }

    /// As it is read.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        [Self::Requested, Self::Submitted, Self::Succeeded, Self::Failed, Self::NeedsManual]
            .into_iter()
            .find(|state| state.name() == name)
    }

    /// Whether its amount counts against what was paid.
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Failed)
    }

    /// Whether it is still to be decided.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Submitted | Self::NeedsManual)
    }
}

impl Refund {
    /// Decides what an event does; `None` when it changes nothing.
    #[must_use]
    pub fn on(&self, event: &RefundEvent, now: Timestamp) -> Option<Self> {
        use {RefundEvent as E, RefundState as S};
        let (state, note) = match (self.state, event) {
            (S::Requested, E::Submit) => (S::Submitted, None),
            (S::Requested | S::Submitted, E::Done) => (S::Succeeded, None),
            (S::Requested | S::Submitted, E::Refused(note)) => (S::NeedsManual, Some(note.clone())),
            (S::NeedsManual, E::Settle(note)) => (S::Succeeded, Some(note.clone())),
            _ => return None,
        };
        Some(Self {
            state,
            note: note.or_else(|| self.note.clone()),
            updated_at: now.max(self.updated_at),
            version: self.version + 1,
            ..self.clone()
        })
    }
}
