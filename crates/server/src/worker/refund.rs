//! Giving money back through CLICK's Merchant API.
//!
//! The refund's own state drives it, so that a lost reply, a killed process and a repeated effect all end the same way:
//! what was once submitted is never submitted again before CLICK was asked what became of it. Whatever CLICK refuses,
//! and whatever nobody can know, is left to a person.

use super::Workers;
use super::outbox::Outcome;
use sessile_core::StoreError;
use sessile_core::payment::{Method, Payment, PaymentError, RefundEvent, RefundId, RefundState};
use sessile_providers::click::{ClickError, MerchantApi, Reversal, Status};

const ACTOR: &str = "outbox";

impl Workers {
    pub(super) async fn refund(&self, id: &RefundId) -> Outcome {
        let found = match self.0.money.payments.find_refund(id).await {
            Ok(found) => found,
            Err(error) => return unavailable(&error),
        };
        let Some((refund, payment)) = found else {
            tracing::warn!(refund = id.fingerprint(), "a refund that does not exist was to be made");
            return Outcome::Done;
        };
        match refund.state {
            RefundState::Succeeded | RefundState::Failed | RefundState::NeedsManual => Outcome::Done,
            RefundState::Requested | RefundState::Submitted => {
                let Some(paydoc) = paydoc_of(&payment) else {
                    let why = "no attempt of CLICK is bound to this payment; give the money back by hand";
                    return self.settle(id, RefundEvent::Refused(why.to_owned())).await;
                };
                match &self.0.click {
                    Err(missing) => Outcome::Again(missing.clone()),
                    Ok(api) if refund.state == RefundState::Submitted => {
                        self.ask_then_repeat(id, api, paydoc).await
                    }
                    Ok(api) => match self.happened(id, RefundEvent::Submit).await {
                        Ok(()) => self.reverse(id, api, paydoc).await,
                        Err(outcome) => outcome,
                    },
                }
            }
        }
    }

    /// The effect is given up: the refund waits for a person.
    pub(super) async fn leave_to_a_person(&self, id: &RefundId, why: &str) -> Result<(), StoreError> {
        let note = format!("given up after many tries: {why}");
        match self.0.money.payments.refunded(id, RefundEvent::Refused(note), ACTOR).await {
            Err(PaymentError::Unavailable(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn reverse(&self, id: &RefundId, api: &MerchantApi, paydoc: i64) -> Outcome {
        match api.reverse(paydoc, self.0.clock.now().unix_seconds()).await {
            Ok(Reversal::Done) => self.settle(id, RefundEvent::Done).await,
            Ok(Reversal::Refused { code, note }) => {
                let why = format!("CLICK refused the reversal ({code}): {note}");
                tracing::warn!(
                    refund = id.fingerprint(),
                    code,
                    "CLICK refused a reversal; a person has to see to it"
                );
                self.settle(id, RefundEvent::Refused(why)).await
            }
            // It may have been done: whoever tries next asks first.
            Err(error @ ClickError::OutcomeUnknown(_)) => {
                tracing::warn!(refund = id.fingerprint(), %error, "what became of a reversal is not known");
                Outcome::Again(error.to_string())
            }
            // Surely not done.
            Err(error) => Outcome::Again(error.to_string()),
        }
    }

    /// It was submitted before, and nobody knows what came of it.
    async fn ask_then_repeat(&self, id: &RefundId, api: &MerchantApi, paydoc: i64) -> Outcome {
        let report = match api.payment_status(paydoc, self.0.clock.now().unix_seconds()).await {
            Ok(report) => report,
            Err(error) => return Outcome::Again(error.to_string()),
        };
        match report.status {
            // The money is with the customer, whoever saw to it.
            Status::Failed { .. } => self.settle(id, RefundEvent::Done).await,
            // CLICK still has it: the order never arrived.
            Status::Paid => self.reverse(id, api, paydoc).await,
            Status::Processing => Outcome::Again("CLICK is still at it".to_owned()),
            Status::Created | Status::NotFound => {
                let why = "a reversal was sent, its answer was lost, and CLICK does not know the payment as paid; \
                           look at it in the merchant cabinet";
                self.settle(id, RefundEvent::Refused(why.to_owned())).await
            }
        }
    }

    async fn settle(&self, id: &RefundId, event: RefundEvent) -> Outcome {
        match self.happened(id, event).await {
            Ok(()) => Outcome::Done,
            Err(outcome) => outcome,
        }
    }

    async fn happened(&self, id: &RefundId, event: RefundEvent) -> Result<(), Outcome> {
        let name = event.audit_name();
        match self.0.money.payments.refunded(id, event, ACTOR).await {
            Ok(refund) => {
                let (refund, state) = (refund.id.fingerprint(), refund.state.name());
                tracing::info!(refund, state, "{name}");
                Ok(())
            }
            Err(PaymentError::Unavailable(error)) => Err(unavailable(&error)),
            // The row went, or somebody settled it by hand meanwhile.
            Err(_) => Err(Outcome::Done),
        }
    }
}

fn unavailable(error: &StoreError) -> Outcome {
    Outcome::Again(format!("the ledger did not answer: {}", crate::stores::reason_of(error)))
}

fn paydoc_of(payment: &Payment) -> Option<i64> {
    let attempt = payment.state.attempt().filter(|_| payment.method == Method::Click)?;
    (attempt.paydoc.0 > 0).then_some(attempt.paydoc.0)
}
