//! The provider of the model, with a ledger of its own: what it has asked, what it was told, and where the money is.

use sessile_core::payment::Payment;
use sessile_core::payment::{OrderId, PrepareId, TransId, Verdict, Word};
use std::collections::BTreeMap;

/// One attempt to pay, as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    pub(crate) order: OrderId,
    pub(crate) money: Money,
}

/// Where an attempt's money is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Money {
    /// The provider has asked, and has heard nothing good.
    Asking,
    /// We said go on, under this number.
    Ready(PrepareId),
    /// It was taken.
    Taken(PrepareId),
    /// It never will be.
    Cancelled(PrepareId),
}

pub(crate) type Wires = BTreeMap<TransId, Attempt>;

impl Money {
    /// The number that Complete would carry, and what it would say.
    pub(crate) fn complete(self, payment: &Payment) -> Option<(PrepareId, Word)> {
        match self {
            Self::Asking | Self::Ready(_) => None,
            Self::Taken(number) => Some((number, Word::Amount(Some(payment.price.payable())))),
            Self::Cancelled(number) => Some((number, Word::Failed)),
        }
    }

    /// What the provider says when it is asked.
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Asking | Self::Ready(_) => Verdict::Open,
            Self::Taken(_) => Verdict::Paid,
            Self::Cancelled(_) => Verdict::NotPaid,
        }
    }
}
