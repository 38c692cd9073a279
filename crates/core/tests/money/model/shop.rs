//! A world of the model: who may do what in it, the state it is in, and which steps lead on from there.

use super::rules::{Holds, Rule, always};
use super::steps::step;
use super::wire::{Attempt, Money, Wires};
use crate::tables::Tables;
use crate::world::START;
use sessile_core::Timestamp;
use sessile_core::checkout::CheckoutId;
use sessile_core::payment::Terms;
use sessile_core::payment::{
    Discount, Method, OrderId, Payment, PaymentId, RefundId, RefundState, TransId, Verdict,
};
use stateright::{Model, Property};
use std::sync::Arc;
use std::time::Duration;

/// What there is in a world.
pub(crate) struct Shop {
    /// Who may choose which package, with the coupon or without.
    pub(crate) choices: Vec<(char, &'static str, bool)>,
    /// The coupon of one use.
    pub(crate) coupon: Option<Discount>,
    /// Rows that are made at most, the purged ones included.
    pub(crate) checkouts_max: usize,
    pub(crate) payments_max: usize,
    /// Attempts at the provider for one link.
    pub(crate) attempts_max: i64,
    /// Moments that the clock can show.
    pub(crate) moments: Vec<Duration>,
    /// What may happen beside.
    pub(crate) may: Vec<May>,
    /// A rule that is broken on purpose.
    pub(crate) sabotage: Option<Sabotage>,
    /// What must be reachable, or the world is too small to mean anything.
    pub(crate) reaches: Vec<(&'static str, Holds)>,
    pub(crate) terms: Arc<Terms>,
}

/// What may happen in a world beside choosing, paying and hearing the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// A buyer continues an expired checkout.
    Recover,
    /// A page looks whether its checkout is valid.
    Validate,
    /// The application declares a checkout complete.
    Declare,
    /// The sweepers run.
    Sweep,
    /// The buyer stops a payment.
    CancelPayment,
    /// The operator ends a checkout.
    CancelCheckout,
    /// We ask the provider about what is processing.
    Reconcile,
    /// The provider says "not paid" about money that it takes later.
    Mistake,
    /// The provider does not hear that we accepted an attempt.
    LoseReplies,
    /// The provider cancels what it had confirmed.
    CancelPaid,
    /// The tier is bought, without a checkout, by two different requests of one user.
    BuyTier,
    /// Somebody wants a refund.
    AskRefund,
    /// The worker carries refunds out.
    Refund,
    /// The clock goes back.
    ClockBack,
}

/// A rule that the model breaks, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// The sweeper expires what is processing.
    TimerEndsProcessing,
    /// A coupon's reserved uses are not counted.
    CouponForgets,
    /// Money that comes late is refused.
    LateMoneyRefused,
    /// A row changes and no audit says so.
    ChangeWithoutAudit,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Which of the world's moments it is.
    pub(crate) moment: usize,
    pub(crate) tables: Tables,
    pub(crate) wires: Wires,
    /// What the last step did that none may.
    pub(crate) broken: Option<Rule>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Open(char, &'static str, bool),
    Recover(char, Option<CheckoutId>),
    Validate(CheckoutId),
    Declare(CheckoutId),
    CancelCheckout(CheckoutId),
    Pay(CheckoutId),
    BuyTier(u8),
    CancelPayment(PaymentId),
    SweepCheckouts,
    SweepPayments,
    Clock(usize),
    /// The provider asks, for the first time or again; its reply arrives, or is lost.
    Prepare(OrderId, TransId, Reply),
    /// The provider takes the money, or lets it be.
    Take(TransId),
    Cancel(TransId),
    /// The provider says what it did, for the first time or again.
    Complete(TransId),
    CancelPaid(TransId),
    Told(PaymentId, Verdict),
    AskRefund(PaymentId),
    SubmitRefund(RefundId),
    RefundDone(RefundId),
    RefundRefused(RefundId),
    SettleRefund(RefundId),
}

/// What becomes of our reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Arrives,
    IsLost,
}

impl Shop {
    pub(crate) fn allows(&self, what: May) -> bool {
        self.may.contains(&what)
    }

    pub(crate) fn at(&self, moment: usize) -> Timestamp {
        START.plus(self.moments[moment])
    }

    fn buyers(&self, state: &State, actions: &mut Vec<Action>) {
        let tables = &state.tables;
        let payments = tables.payments().count();
        let rows: Vec<&CheckoutId> = tables.checkouts().map(|row| &row.id).collect();
        if rows.len() + tables.purged.len() < self.checkouts_max {
            actions.extend(
                self.choices.iter().map(|(who, package, coupon)| Action::Open(*who, package, *coupon)),
            );
            if self.allows(May::Recover) {
                actions.push(Action::Recover('a', None));
                actions.extend(rows.iter().map(|id| Action::Recover('a', Some((*id).clone()))));
            }
        }
        for id in rows {
            if payments < self.payments_max {
                actions.push(Action::Pay(id.clone()));
            }
            let beside = [
                (May::Validate, Action::Validate(id.clone())),
                (May::Declare, Action::Declare(id.clone())),
                (May::CancelCheckout, Action::CancelCheckout(id.clone())),
            ];
            actions.extend(beside.into_iter().filter(|(may, _)| self.allows(*may)).map(|(_, action)| action));
        }
        if self.allows(May::BuyTier) && payments < self.payments_max {
            actions.extend([Action::BuyTier(0), Action::BuyTier(1)]);
        }
    }

    fn provider(&self, state: &State, actions: &mut Vec<Action>) {
        for payment in state.tables.payments().filter(|row| row.method == Method::Click) {
            let mine = state.wires.values().filter(|wire| wire.order == payment.order).count();
            let next = i64::try_from(mine).unwrap_or(i64::MAX);
            if next < self.attempts_max {
                let trans = TransId(number_of(state, payment) * 10 + next);
                actions.push(Action::Prepare(payment.order.clone(), trans, Reply::Arrives));
                if self.allows(May::LoseReplies) {
                    actions.push(Action::Prepare(payment.order.clone(), trans, Reply::IsLost));
                }
            }
        }
        for (trans, Attempt { order, money }) in &state.wires {
            actions.push(Action::Prepare(order.clone(), *trans, Reply::Arrives));
            match money {
                Money::Asking => {}
                Money::Ready(_) => actions.extend([Action::Take(*trans), Action::Cancel(*trans)]),
                Money::Taken(_) => {
                    actions.push(Action::Complete(*trans));
                    if self.allows(May::CancelPaid) && is_completed(state, order) {
                        actions.push(Action::CancelPaid(*trans));
                    }
                }
                Money::Cancelled(_) => actions.push(Action::Complete(*trans)),
            }
        }
    }

    fn timers(&self, state: &State, actions: &mut Vec<Action>) {
        if self.allows(May::Sweep) {
            actions.extend([Action::SweepCheckouts, Action::SweepPayments]);
        }
        if state.moment + 1 < self.moments.len() {
            actions.push(Action::Clock(state.moment + 1));
        }
        if self.allows(May::ClockBack) && state.moment > 0 {
            actions.push(Action::Clock(state.moment - 1));
        }
    }

    fn people(&self, state: &State, actions: &mut Vec<Action>) {
        for payment in state.tables.payments() {
            let id = &payment.id;
            if self.allows(May::CancelPayment) {
                actions.push(Action::CancelPayment(id.clone()));
            }
            if self.allows(May::AskRefund) {
                actions.push(Action::AskRefund(id.clone()));
            }
            let bound = payment.state.attempt().and_then(|attempt| state.wires.get(&attempt.trans));
            if let Some(wire) = bound.filter(|_| self.allows(May::Reconcile) && payment.ask.is_some()) {
                actions.push(Action::Told(id.clone(), Verdict::Unknown));
                actions.push(Action::Told(id.clone(), wire.money.verdict()));
                if self.allows(May::Mistake) && matches!(wire.money, Money::Ready(_)) {
                    actions.push(Action::Told(id.clone(), Verdict::NotPaid));
                }
            }
        }
        for refund in state.tables.refunds().filter(|_| self.allows(May::Refund)) {
            let id = || refund.id.clone();
            match refund.state {
                RefundState::Requested => actions.push(Action::SubmitRefund(id())),
                RefundState::Submitted => {
                    actions.extend([Action::RefundDone(id()), Action::RefundRefused(id())])
                }
                RefundState::NeedsManual => actions.push(Action::SettleRefund(id())),
                RefundState::Succeeded | RefundState::Failed => {}
            }
        }
    }
}

/// A number that stays a payment's own, whatever else is made later.
fn number_of(state: &State, payment: &Payment) -> i64 {
    let own = state.wires.iter().find(|(_, wire)| wire.order == payment.order).map(|(trans, _)| trans.0 / 10);
    own.unwrap_or_else(|| state.wires.keys().map(|trans| trans.0 / 10).max().unwrap_or(0) + 1)
}

fn is_completed(state: &State, order: &OrderId) -> bool {
    state.tables.payments().any(|payment| payment.order == *order && payment.state.is_completed())
}

impl Model for Shop {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![super::steps::beginning(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() {
            self.buyers(state, actions);
            self.provider(state, actions);
            self.timers(state, actions);
            self.people(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let next = step(self, state, &action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let reachable = self.reaches.iter().map(|(name, is)| Property::sometimes(name, *is));
        always().into_iter().map(|(name, holds)| Property::always(name, holds)).chain(reachable).collect()
    }
}
