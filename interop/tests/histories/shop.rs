//! What the rules are told: the rows, the provider's side, and what was done. The names are those of the model checker,
//! whose rules are used.

use super::rules::Rule;
use super::wire::Wires;
use crate::tables::Tables;
use sessile_core::checkout::{CheckoutId, GuestHash};
use sessile_core::payment::{OrderId, PaymentId, RefundEvent, RefundId, TransId, Verdict};

/// A shop. The rules about a state do not look at it.
pub(crate) struct Shop;

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) wires: Wires,
    /// What the last step did that none may.
    pub(crate) broken: Option<Rule>,
}

/// One call, with the rows it is about.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Open(Who, &'static str, bool),
    Recover(Who, Option<CheckoutId>),
    Adopt(GuestHash, Who),
    Validate(CheckoutId),
    Declare(CheckoutId),
    CancelCheckout(CheckoutId),
    Pay(CheckoutId),
    BuyTier(Who, bool),
    CancelPayment(PaymentId),
    SweepCheckouts,
    SweepPayments,
    Prepare(OrderId, TransId, Reply),
    Complete(TransId),
    CompleteOtherSum(TransId),
    CancelPaid(TransId),
    Told(PaymentId, Verdict),
    AskRefund(PaymentId),
    Refund(RefundId, RefundEvent),
}

/// What becomes of our reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Arrives,
    IsLost,
}

/// A buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Ada,
    Bob,
    Guest,
}

impl Who {
    pub(crate) fn of(index: u8) -> Self {
        match index % 5 {
            0 | 1 => Self::Ada,
            2 | 3 => Self::Bob,
            _ => Self::Guest,
        }
    }
}
