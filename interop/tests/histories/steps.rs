//! What a step may not do, whatever the engine and whoever else was at it. The numbers are those of the invariants.

use super::rules::Rule;
use super::shop::{Action, State};
use super::wire::Money;
use crate::tables::Tables;
use sessile_core::Timestamp;
use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, RECOVERY_WINDOW};
use sessile_core::ledger::{AuditRow, Record, RecordKey, Replay};
use sessile_core::payment::Reply as Answer;
use sessile_core::payment::{FailReason, Payment, PaymentState};
use std::collections::BTreeSet;

/// One step: what was there, what is there, and what was done in between.
pub(crate) struct Lived<'a> {
    pub(crate) before: &'a State,
    pub(crate) after: &'a Tables,
    pub(crate) done: &'a [(Action, Option<Answer>)],
    pub(crate) now: Timestamp,
    pub(crate) news: &'a [AuditRow],
}

impl Lived<'_> {
    /// The first rule that it breaks.
    pub(crate) fn broken(&self) -> Option<Rule> {
        let checks = [
            (Rule::Absorbs, self.absorbs()),
            (Rule::Timer, self.provider_spoke() || self.stays_processing()),
            (Rule::MoneyRefused, self.done.iter().all(|(action, answer)| self.is_heard(action, *answer))),
            (Rule::Purged, self.gone().all(|row| self.was_purgeable(row))),
            (Rule::NothingNew, self.after.payments().all(|payment| self.was_wanted(payment))),
            (Rule::UnExpired, self.stays_over()),
            (Rule::Audit, self.is_told()),
        ];
        checks.into_iter().find_map(|(rule, holds)| (!holds).then_some(rule))
    }

    fn now_of(&self, was: &Payment) -> Option<&Payment> {
        match self.after.records.get(&RecordKey::Payment(was.id.clone())) {
            Some(Record::Payment(row)) => Some(row),
            _ => None,
        }
    }

    fn was(&self, is: &Payment) -> Option<&Payment> {
        self.before.tables.payments().find(|was| was.id == is.id)
    }

    /// 2
    fn absorbs(&self) -> bool {
        let absorbing = |was: &&Payment| {
            let cancelled = FailReason::ProviderCancelled;
            let is_cancelled =
                matches!(&was.state, PaymentState::Failed { reason, .. } if *reason == cancelled);
            was.state.is_completed() || is_cancelled
        };
        let mut ended = self.before.tables.payments().filter(absorbing);
        ended.all(|was| self.now_of(was).is_some_and(|is| is.state == was.state))
    }

    fn provider_spoke(&self) -> bool {
        let by_provider = |action: &Action| {
            matches!(
                action,
                Action::Prepare(..) | Action::Complete(_) | Action::CancelPaid(_) | Action::Told(..)
            )
        };
        self.done.iter().any(|(action, _)| by_provider(action))
    }

    /// 4
    fn stays_processing(&self) -> bool {
        let mut processing = self.before.tables.payments().filter(|was| was.state.is_processing());
        processing.all(|was| self.now_of(was).is_some_and(|is| is.state.is_processing()))
    }

    /// 3 and 5
    fn is_heard(&self, action: &Action, answer: Option<Answer>) -> bool {
        let taken =
            |trans| self.before.wires.get(trans).is_some_and(|wire| matches!(wire.money, Money::Taken(_)));
        match action {
            Action::Complete(trans) if taken(trans) => {
                matches!(answer, Some(Answer::Confirmed | Answer::AlreadyPaid))
            }
            Action::CompleteOtherSum(_) => answer == Some(Answer::WrongAmount),
            Action::CancelPaid(_) => answer == Some(Answer::CancelTooLate),
            _ => true,
        }
    }

    fn gone(&self) -> impl Iterator<Item = &Checkout> {
        let gone = |row: &&Checkout| {
            let key = RecordKey::Checkout(row.id.clone());
            !self.after.records.contains_key(&key)
        };
        self.before.tables.checkouts().filter(gone)
    }

    /// 10
    fn was_purgeable(&self, row: &Checkout) -> bool {
        let left = match &row.state {
            CheckoutState::Expired { at } | CheckoutState::Invalidated { at, .. } => *at,
            CheckoutState::Active | CheckoutState::Completed { .. } => return false,
        };
        let needed = |payment: &Payment| {
            let open = |id| self.before.tables.refunds().any(|r| r.payment == id && r.state.is_open());
            payment.state.is_processing() || payment.state.is_completed() || open(payment.id.clone())
        };
        let mut its = self.before.tables.payments().filter(|p| p.checkout.as_ref() == Some(&row.id));
        self.now.since(left) >= RECOVERY_WINDOW && !its.any(needed)
    }

    /// 13
    fn is_told(&self) -> bool {
        let was = &self.before.tables.records;
        let changed = || self.after.records.iter().filter(|(key, row)| was.get(*key) != Some(row));
        let mut replay = Replay::default();
        if replay.read(self.news).is_err() {
            return false;
        }
        let told: BTreeSet<RecordKey> = replay.rows().map(Record::key).collect();
        changed().map(|(key, _)| key).eq(&told)
            && replay.compare(changed().map(|(_, row)| row.clone())).is_ok()
            && replay.finish().is_ok()
    }

    /// 19
    fn was_wanted(&self, payment: &Payment) -> bool {
        let is_live = |id: &CheckoutId| {
            self.before.tables.checkouts().any(|row| row.id == *id && row.is_live(self.now))
        };
        self.was(payment).is_some() || payment.checkout.as_ref().is_none_or(is_live)
    }

    /// 20
    fn stays_over(&self) -> bool {
        let ended = |row: &Checkout| {
            let was = self.before.tables.checkouts().find(|was| was.id == row.id);
            was.is_none_or(|was| was.state == CheckoutState::Active || row.state != CheckoutState::Active)
        };
        let over = |is: &Payment| {
            let Some(was) = self.was(is) else { return true };
            let back = is.state == PaymentState::Pending && was.state != PaymentState::Pending;
            let revived = was.is_overdue(self.now) && is.state.is_processing();
            !back && !revived
        };
        self.after.checkouts().all(ended) && self.after.payments().all(over)
    }
}
