//! What the stand-in can do wrong on request, so that a merchant's error handling is tested against a real socket.
//!
//! The kinds and their names; how often one happens, to whom and how badly is a [`super::Switch`].

use serde::{Deserialize, Serialize};

use super::message::Step;

/// One way to misbehave. The first five apply to a message, the rest to a payment or to a call of the Merchant API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    /// The signature is wrong.
    BadSignature,
    /// A message is sent `copies` times over `connections` at once.
    Repeat,
    /// The answer is lost on the way, so that Click repeats the message.
    LostReply,
    /// A message carries `amount`, or one so'm more than agreed. A Complete unless `on` says otherwise.
    WrongAmount,
    /// A message carries another `click_paydoc_id`. A Complete unless `on` says otherwise.
    OtherPaydoc,
    /// The Prepare carries `error` below zero.
    PrepareError,
    /// A Complete comes before the Prepare.
    CompleteFirst,
    /// Another attempt (another `click_trans_id`) is prepared, and paid if agreed to, before the first one is debited.
    SecondAttempt,
    /// The Prepare is repeated after money was taken, before the next Complete.
    PrepareAfterDebit,
    /// The Complete comes `delay_ms` after money was taken.
    LateComplete,
    /// Money is taken and no Complete is ever sent: only the Merchant API knows.
    NeverComplete,
    /// The Complete comes once more after it was acknowledged.
    CompleteTwice,
    /// A cancelling Complete comes after the acknowledged one. The money stays taken.
    CancelAfterSuccess,
    /// A Complete with `error=0` comes after the cancelling one. No money is taken.
    SuccessAfterCancel,
    /// The status calls answer 502.
    StatusUnavailable,
    /// The status calls answer 500.
    #[serde(rename = "status_500")]
    Status500,
    /// The status calls take `delay_ms`.
    StatusSlow,
    /// A reversal is refused.
    ReversalRefused,
}

impl Misbehaviour {
    /// Every kind, in the order the page shows them.
    pub const ALL: [Self; 18] = [
        Self::BadSignature,
        Self::Repeat,
        Self::LostReply,
        Self::WrongAmount,
        Self::OtherPaydoc,
        Self::PrepareError,
        Self::CompleteFirst,
        Self::SecondAttempt,
        Self::PrepareAfterDebit,
        Self::LateComplete,
        Self::NeverComplete,
        Self::CompleteTwice,
        Self::CancelAfterSuccess,
        Self::SuccessAfterCancel,
        Self::StatusUnavailable,
        Self::Status500,
        Self::StatusSlow,
        Self::ReversalRefused,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Repeat => "repeat",
            Self::LostReply => "lost_reply",
            Self::WrongAmount => "wrong_amount",
            Self::OtherPaydoc => "other_paydoc",
            Self::PrepareError => "prepare_error",
            Self::CompleteFirst => "complete_first",
            Self::SecondAttempt => "second_attempt",
            Self::PrepareAfterDebit => "prepare_after_debit",
            Self::LateComplete => "late_complete",
            Self::NeverComplete => "never_complete",
            Self::CompleteTwice => "complete_twice",
            Self::CancelAfterSuccess => "cancel_after_success",
            Self::SuccessAfterCancel => "success_after_cancel",
            Self::StatusUnavailable => "status_unavailable",
            Self::Status500 => "status_500",
            Self::StatusSlow => "status_slow",
            Self::ReversalRefused => "reversal_refused",
        }
    }

    pub(super) fn default_step(self) -> Option<Step> {
        matches!(self, Self::WrongAmount | Self::OtherPaydoc).then_some(Step::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_serde_reads_and_all_lists_every_kind_once() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in Misbehaviour::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
            assert!(seen.insert(kind), "{kind:?} is listed twice");
        }
    }
}
