//! From a script's indices to the rows that are there: which call a step is. What concerns the clock and the provider's
//! own mind is done here and is no call.

use super::life::Life;
use super::script::{Pause, RefundStep, What};
use super::shop::{Action, Reply, Who};
use super::wire::{Attempt, Money};
use super::world::cookie;
use sessile_core::Clock as _;
use sessile_core::checkout::CheckoutId;
use sessile_core::ledger::RecordKey;
use sessile_core::payment::{Method, OrderId, Payment, PrepareId, RefundEvent, TransId, Verdict};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Of the numbers that name a row, so many mean the newest.
const NEWEST: u8 = 150;

impl Life {
    /// The row that a step is about, and the call; `None` where there is nothing to do it to.
    pub(super) fn resolve(&mut self, what: &What) -> Option<Action> {
        match what {
            What::Open(who, pro, coupon) => {
                Some(Action::Open(Who::of(*who), if *pro { "pro" } else { "basic" }, *coupon))
            }
            What::Recover(who, None) => Some(Action::Recover(Who::of(*who), None)),
            What::Recover(who, Some(row)) => Some(Action::Recover(Who::of(*who), Some(self.checkout(*row)?))),
            What::Adopt(who) => {
                let who = if who % 2 == 0 { Who::Ada } else { Who::Bob };
                Some(Action::Adopt(cookie()?, who))
            }
            What::Validate(row) => Some(Action::Validate(self.checkout(*row)?)),
            What::Declare(row) => Some(Action::Declare(self.checkout(*row)?)),
            What::CancelCheckout(row) => Some(Action::CancelCheckout(self.checkout(*row)?)),
            What::Pay(row) => Some(Action::Pay(self.checkout(*row)?)),
            What::BuyTier(who, second) => {
                Some(Action::BuyTier(if who % 2 == 0 { Who::Ada } else { Who::Bob }, *second))
            }
            What::CancelPayment(row) => Some(Action::CancelPayment(self.payment(*row)?.id.clone())),
            What::SweepCheckouts => Some(Action::SweepCheckouts),
            What::SweepPayments => Some(Action::SweepPayments),
            What::AskRefund(row) => Some(Action::AskRefund(self.payment(*row)?.id.clone())),
            What::Refund(row, step) => self.refund(*row, *step),
            What::Wait(pause) => self.wait(*pause),
            What::ClockBack => {
                self.clock.set(self.clock.now().minus(2 * 60 * MINUTE));
                None
            }
            _ => self.resolve_provider(what),
        }
    }

    fn resolve_provider(&mut self, what: &What) -> Option<Action> {
        match what {
            What::Prepare(row, second, lost) => {
                let payment = self.payment(*row).filter(|payment| payment.method == Method::Click)?;
                let at = self.seen.payments.iter().position(|(id, _)| *id == payment.id)?;
                let trans = TransId(10 * (i64::try_from(at).ok()? + 1) + i64::from(*second));
                let reply = if *lost { Reply::IsLost } else { Reply::Arrives };
                Some(Action::Prepare(payment.order.clone(), trans, reply))
            }
            What::Take(row) => self.decide(*row, Money::Taken),
            What::CallOff(row) => self.decide(*row, Money::Cancelled),
            What::Complete(row, other) => {
                let (trans, wire) =
                    self.wire(*row, |wire| matches!(wire.money, Money::Taken(_) | Money::Cancelled(_)))?;
                let taken = matches!(wire.money, Money::Taken(_));
                Some(if *other && taken { Action::CompleteOtherSum(trans) } else { Action::Complete(trans) })
            }
            What::CancelPaid(row) => {
                let completed = |order: &OrderId| {
                    let mut all = self.state.tables.payments();
                    all.any(|payment| payment.order == *order && payment.state.is_completed())
                };
                let (trans, _) =
                    self.wire(*row, |wire| matches!(wire.money, Money::Taken(_)) && completed(&wire.order))?;
                Some(Action::CancelPaid(trans))
            }
            What::Ask(row, wrong) => {
                let payment = self.payment(*row).filter(|payment| payment.ask.is_some())?;
                let wire = self.state.wires.get(&payment.state.attempt()?.trans)?;
                let verdict = match wire.money {
                    Money::Ready(_) if *wrong => Verdict::NotPaid,
                    _ if *wrong => Verdict::Unknown,
                    money => money.verdict(),
                };
                Some(Action::Told(payment.id.clone(), verdict))
            }
            _ => None,
        }
    }

    fn checkout(&self, index: u8) -> Option<CheckoutId> {
        let there =
            |id: &&CheckoutId| self.state.tables.records.contains_key(&RecordKey::Checkout((*id).clone()));
        nth(self.seen.checkouts.iter().filter(there), index).cloned()
    }

    fn payment(&self, index: u8) -> Option<&Payment> {
        let (id, _) = nth(self.seen.payments.iter(), index)?;
        self.state.tables.payments().find(|payment| payment.id == *id)
    }

    fn wire(&self, index: u8, fits: impl Fn(&Attempt) -> bool) -> Option<(TransId, Attempt)> {
        nth(self.state.wires.iter().filter(|(_, wire)| fits(wire)), index)
            .map(|(trans, wire)| (*trans, wire.clone()))
    }

    /// The provider makes up its mind.
    fn decide(&mut self, index: u8, to: fn(PrepareId) -> Money) -> Option<Action> {
        let (trans, wire) = self.wire(index, |wire| matches!(wire.money, Money::Ready(_)))?;
        if let (Some(known), Money::Ready(number)) = (self.state.wires.get_mut(&trans), wire.money) {
            known.money = to(number);
        }
        None
    }

    fn refund(&self, index: u8, step: RefundStep) -> Option<Action> {
        let id = nth(self.seen.refunds.iter(), index)?;
        let event = match step {
            RefundStep::Submit => RefundEvent::Submit,
            RefundStep::Done => RefundEvent::Done,
            RefundStep::Refused => RefundEvent::Refused("no".to_owned()),
            RefundStep::Settle => RefundEvent::Settle("by hand".to_owned()),
        };
        Some(Action::Refund(id.clone(), event))
    }

    fn wait(&self, pause: Pause) -> Option<Action> {
        self.clock.advance(match pause {
            Pause::Minutes => 7 * MINUTE,
            Pause::PastALink => 31 * MINUTE,
            Pause::PastADay => 25 * 60 * MINUTE,
            Pause::PastAWeek => 8 * 24 * 60 * MINUTE,
        });
        None
    }
}

/// A step names rows by any number: mostly the newest, else any of them.
fn nth<T>(rows: impl Iterator<Item = T>, index: u8) -> Option<T> {
    let rows: Vec<T> = rows.collect();
    let at =
        if index < NEWEST { rows.len().checked_sub(1) } else { usize::from(index).checked_rem(rows.len()) };
    rows.into_iter().nth(at?)
}
