//! The payment's state machine: what each message of a provider, each timer and each order of a person does.
//!
//! Pure: no clock, no store, no network. It follows what CLICK documents: once Prepare was answered with success and
//! money was taken, Complete is never refused, and nothing but the provider's word ends `processing`.

use super::id::{PaydocId, PrepareId, TransId};
use super::state::{Ask, Attempt, ExpireReason, FailReason, How, Payment, PaymentState};
use crate::money::Minor;
use crate::time::Timestamp;
use std::time::Duration;

/// When the provider is asked about a processing payment, counted from Prepare; afterwards every [`ASK_EVERY`].
pub const ASK_AFTER: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];
/// And then.
pub const ASK_EVERY: Duration = Duration::from_secs(60 * 60);

/// What can happen to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentEvent {
    /// The provider is about to take money.
    Prepare {
        /// Its attempt.
        trans: TransId,
        /// What the customer sees.
        paydoc: PaydocId,
        /// What it says.
        word: Word,
        /// The number we would give it.
        prepare: PrepareId,
    },
    /// The provider has taken the money, or has not.
    Complete {
        /// Its attempt.
        trans: TransId,
        /// What the customer sees.
        paydoc: PaydocId,
        /// Ours, as it repeats it; `None` when no number of ours can be meant.
        prepare: Option<PrepareId>,
        /// What it says.
        word: Word,
    },
    /// We asked, and the provider answered.
    Told(Verdict),
    /// Its time is over.
    Expire,
    /// Another payment or another checkout takes its place, or its checkout ended.
    Displace(ExpireReason),
    /// A person stops it.
    Cancel,
}

/// What a provider's message says beside who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// Go on, with this amount; `None` is one that no payment of ours can have.
    Amount(Option<Minor>),
    /// It failed on the provider's side.
    Failed,
}

/// What the provider says when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Money was taken.
    Paid,
    /// No money was taken and none will be.
    NotPaid,
    /// It is not decided.
    Open,
    /// It did not answer, or not so that we understand.
    Unknown,
}

/// What the provider is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Go on; our number of the attempt.
    Prepared(PrepareId),
    /// Confirmed.
    Confirmed,
    /// Paid before.
    AlreadyPaid,
    /// Will not be paid.
    Cancelled,
    /// The provider cancels what it had confirmed; it is heard, and nothing is taken away.
    CancelTooLate,
    /// No such attempt.
    NoSuchAttempt,
    /// Another amount.
    WrongAmount,
    /// Nobody waits for an answer.
    Silent,
    /// A person's order that comes too late: money may be moving, or it is over.
    TooLate,
}

impl Reply {
    /// As the inbox keeps it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared(_) => "prepared",
            Self::Confirmed => "confirmed",
            Self::AlreadyPaid => "already_paid",
            Self::Cancelled => "cancelled",
            Self::CancelTooLate => "cancel_too_late",
            Self::NoSuchAttempt => "no_such_attempt",
            Self::WrongAmount => "wrong_amount",
            Self::Silent => "silent",
            Self::TooLate => "too_late",
        }
    }
}

/// What else has to happen in the same transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consequence {
    /// Nothing.
    None,
    /// Money is confirmed: the completion.
    Complete(How),
    /// It came to nothing: the coupon's use goes back.
    Release,
}

/// What an event does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The row afterwards; `None` when nothing changes. For [`Consequence::Complete`] the completion writes it.
    pub next: Option<Payment>,
    /// For the provider.
    pub reply: Reply,
    /// For the rest of the transaction.
    pub then: Consequence,
}

impl Step {
    const fn stay(reply: Reply) -> Self {
        Self { next: None, reply, then: Consequence::None }
    }

    const fn to(next: Payment, reply: Reply) -> Self {
        Self { next: Some(next), reply, then: Consequence::None }
    }

    const fn gone(next: Payment, reply: Reply) -> Self {
        Self { next: Some(next), reply, then: Consequence::Release }
    }

    const fn paid(how: How, reply: Reply) -> Self {
        Self { next: None, reply, then: Consequence::Complete(how) }
    }
}

impl Payment {
    /// Decides what an event does at `now`.
    #[must_use]
    pub fn on(&self, event: &PaymentEvent, now: Timestamp) -> Step {
        match *event {
            PaymentEvent::Prepare { trans, paydoc, word, prepare } => {
                self.on_prepare(Attempt { trans, paydoc, prepare: Some(prepare) }, word, now)
            }
            PaymentEvent::Complete { trans, paydoc, prepare, word } => {
                self.on_complete(Attempt { trans, paydoc, prepare }, word, now)
            }
            PaymentEvent::Told(verdict) => self.on_told(verdict, now),
            PaymentEvent::Expire if self.is_overdue(now) => {
                Step::gone(self.expired(ExpireReason::Timer, now), Reply::Silent)
            }
            PaymentEvent::Expire => Step::stay(Reply::Silent),
            PaymentEvent::Displace(reason) => match self.state {
                PaymentState::Pending => Step::gone(self.expired(reason, now), Reply::Silent),
                // Money may be moving: the provider's word decides, and the completion knows what to do with it.
                _ => Step::stay(Reply::Silent),
            },
            PaymentEvent::Cancel => match self.state {
                PaymentState::Pending => {
                    Step::gone(self.failed(None, FailReason::Cancelled, now), Reply::Silent)
                }
                PaymentState::Failed { .. } | PaymentState::Expired { .. } => Step::stay(Reply::Silent),
                PaymentState::Processing { .. } | PaymentState::Completed { .. } => {
                    Step::stay(Reply::TooLate)
                }
            },
        }
    }

    /// Whether a timer may end it.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == PaymentState::Pending && now >= self.expires_at
    }

    fn on_prepare(&self, offered: Attempt, word: Word, now: Timestamp) -> Step {
        use PaymentState as S;
        if let S::Processing { attempt, .. } = &self.state
            && attempt.trans == offered.trans
            && attempt.paydoc != offered.paydoc
        {
            return Step::stay(Reply::NoSuchAttempt);
        }
        let amount = match (word, &self.state) {
            (Word::Amount(amount), _) => amount,
            (Word::Failed, S::Pending) => {
                let attempt = Attempt { prepare: None, ..offered };
                let failed = self.failed(Some(attempt), FailReason::ProviderCancelled, now);
                return Step::gone(failed, Reply::Cancelled);
            }
            (Word::Failed, S::Processing { attempt, .. }) if attempt.trans == offered.trans => {
                let failed = self.failed(Some(*attempt), FailReason::ProviderCancelled, now);
                return Step::gone(failed, Reply::Cancelled);
            }
            (Word::Failed, _) => return Step::stay(Reply::Cancelled),
        };
        if amount != Some(self.price.payable()) {
            return Step::stay(Reply::WrongAmount);
        }
        match &self.state {
            S::Pending if self.is_overdue(now) => {
                Step::gone(self.expired(ExpireReason::Timer, now), Reply::Cancelled)
            }
            S::Pending => match offered.prepare {
                Some(prepare) => Step::to(self.prepared(offered, now), Reply::Prepared(prepare)),
                None => Step::stay(Reply::NoSuchAttempt),
            },
            // The provider repeats itself, also after it has taken the money: the same number again.
            S::Processing { attempt: Attempt { trans, prepare: Some(prepare), .. }, .. }
                if *trans == offered.trans =>
            {
                Step::stay(Reply::Prepared(*prepare))
            }
            // Nothing was taken for the second attempt yet: refusing it is what prevents a double charge.
            S::Processing { .. } | S::Failed { .. } | S::Expired { .. } => Step::stay(Reply::Cancelled),
            S::Completed { .. } => Step::stay(Reply::AlreadyPaid),
        }
    }

    fn on_complete(&self, offered: Attempt, word: Word, now: Timestamp) -> Step {
        use PaymentState as S;
        // Also where none of the two has a number: what was never prepared cannot be completed.
        let bound = self.state.attempt().filter(|_| offered.prepare.is_some());
        let Some(attempt) = bound.filter(|bound| **bound == offered).copied() else {
            return Step::stay(Reply::NoSuchAttempt);
        };
        match (&self.state, word) {
            (S::Pending, _) => Step::stay(Reply::NoSuchAttempt),
            (S::Processing { .. }, Word::Failed) => {
                Step::gone(self.failed(Some(attempt), FailReason::ProviderCancelled, now), Reply::Cancelled)
            }
            (S::Completed { .. }, Word::Failed) => self.doubted(Reply::CancelTooLate, now),
            (S::Failed { reason: FailReason::ProviderCancelled, .. }, _) => Step::stay(Reply::Cancelled),
            // The provider's own cancel outweighs our guess, and absorbs.
            (S::Failed { .. } | S::Expired { .. }, Word::Failed) => {
                Step::to(self.failed(Some(attempt), FailReason::ProviderCancelled, now), Reply::Cancelled)
            }
            (_, Word::Amount(amount)) if amount != Some(self.price.payable()) => self.surprised(now),
            (S::Processing { .. }, Word::Amount(_)) => Step::paid(How::Confirmed, Reply::Confirmed),
            (S::Completed { .. }, Word::Amount(_)) => Step::stay(Reply::AlreadyPaid),
            (S::Failed { .. } | S::Expired { .. }, Word::Amount(_)) => {
                Step::paid(How::Late, Reply::Confirmed)
            }
        }
    }

    fn on_told(&self, verdict: Verdict, now: Timestamp) -> Step {
        use {PaymentState as S, Verdict as V};
        match (&self.state, verdict) {
            (S::Processing { .. }, V::Paid) => Step::paid(How::Reconciled, Reply::Silent),
            (S::Processing { attempt, .. }, V::NotPaid) => {
                Step::gone(self.failed(Some(*attempt), FailReason::Reconciled, now), Reply::Silent)
            }
            (S::Processing { .. }, V::Open | V::Unknown) => Step::to(self.asked_again(now), Reply::Silent),
            (S::Failed { reason: FailReason::Reconciled, .. }, V::Paid)
            | (S::Expired { attempt: Some(_), .. }, V::Paid) => Step::paid(How::Late, Reply::Silent),
            (S::Completed { .. }, V::NotPaid) => self.doubted(Reply::Silent, now),
            (_, V::Open | V::Unknown) if self.ask.is_some() => Step::to(self.asked_again(now), Reply::Silent),
            _ if self.ask.is_some() => Step::to(Self { ask: None, ..self.again(now) }, Reply::Silent),
            _ => Step::stay(Reply::Silent),
        }
    }

    fn prepared(&self, attempt: Attempt, now: Timestamp) -> Self {
        let ask = Some(Ask { at: now.plus(ASK_AFTER[0]), times: 0 });
        Self { ask, ..self.moved(PaymentState::Processing { attempt, at: now }, now) }
    }

    fn failed(&self, attempt: Option<Attempt>, reason: FailReason, now: Timestamp) -> Self {
        Self { ask: None, ..self.moved(PaymentState::Failed { attempt, at: now, reason }, now) }
    }

    fn expired(&self, reason: ExpireReason, now: Timestamp) -> Self {
        self.moved(PaymentState::Expired { attempt: None, at: now, reason }, now)
    }

    /// The provider takes back what it had confirmed: nothing is taken away, but it is asked, once a person looks.
    fn doubted(&self, reply: Reply, now: Timestamp) -> Step {
        if self.flags.cancel_after_success {
            return match self.ask {
                Some(_) if reply == Reply::Silent => Step::to(Self { ask: None, ..self.again(now) }, reply),
                _ => Step::stay(reply),
            };
        }
        let ask = (reply != Reply::Silent).then_some(Ask { at: now, times: 0 });
        let mut flagged = Self { ask, ..self.again(now) };
        flagged.flags.cancel_after_success = true;
        Step::to(flagged, reply)
    }

    /// A confirmation with another amount: an alert, once.
    fn surprised(&self, now: Timestamp) -> Step {
        if self.flags.amount_differs {
            return Step::stay(Reply::WrongAmount);
        }
        let mut flagged = self.again(now);
        flagged.flags.amount_differs = true;
        Step::to(flagged, Reply::WrongAmount)
    }

    fn asked_again(&self, now: Timestamp) -> Self {
        let times = self.ask.map_or(0, |ask| ask.times).saturating_add(1);
        let since = match &self.state {
            PaymentState::Processing { at, .. } => *at,
            _ => now,
        };
        let scheduled = usize::try_from(times).ok().and_then(|times| ASK_AFTER.get(times));
        let at = scheduled.map_or(now.plus(ASK_EVERY), |after| since.plus(*after).max(now));
        Self { ask: Some(Ask { at, times }), ..self.again(now) }
    }

    fn again(&self, now: Timestamp) -> Self {
        self.moved(self.state.clone(), now)
    }
}
