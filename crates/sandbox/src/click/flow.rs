//! A payment from Click's side: Prepare, take the money, Complete; or cancel.
//!
//! As documented: after the debit a Complete with `error=0` is sent and repeated until it is answered 0 or -4
//! (good), or -9 (the buyer gets the money back); any other answer is repeated a few times and then hangs for
//! support to look at. A Prepare that is answered -4 after the debit finishes the payment without a Complete.
//! A refused Prepare is followed by a cancelling Complete. The misbehaviours bend exactly these rules.

use futures_util::StreamExt;
use std::time::Duration;

use super::attempt::AttemptState as S;
use super::config::AfterRefusal;
use super::exchange::{Exchange, Reply, Unanswered};
use super::ledger::Key;
use super::message::{Message, Step};
use super::misbehaviour::Misbehaviour as M;
use super::patience::Patience;
use super::state::App;
use super::switch::Switch;

/// Click's own code for a payment the buyer or the bank did not go through with.
pub(crate) const CANCELLED: i64 = -5017;
/// A prepare id that no merchant hands out by chance, for a Complete that comes first.
const INVENTED_PREPARE_ID: &str = "2147483646";

/// What is switched on for this payment as a whole.
#[derive(Debug, Default)]
struct Plan {
    complete_first: bool,
    second_attempt: bool,
    prepare_error: Option<i64>,
}

/// One attempt under way.
pub(crate) struct Flow<'a> {
    pub(crate) app: &'a App,
    pub(crate) key: Key,
    pub(crate) patience: Patience,
}

impl Flow<'_> {
    /// From the first message to the last.
    pub(crate) async fn pay(&self) {
        let plan = Plan {
            complete_first: self.takes(M::CompleteFirst).is_some(),
            second_attempt: self.takes(M::SecondAttempt).is_some(),
            prepare_error: self.takes(M::PrepareError).map(|switch| switch.error),
        };
        if self.prepare(&plan).await {
            self.finish().await;
        }
    }

    /// The Prepare alone.
    pub(crate) async fn agree(&self) {
        let prepare_error = self.takes(M::PrepareError).map(|switch| switch.error);
        self.prepare(&Plan { prepare_error, ..Plan::default() }).await;
    }

    /// Whether the merchant agreed.
    async fn prepare(&self, plan: &Plan) -> bool {
        if plan.complete_first {
            let early = self.message(Step::Complete, 0).with("merchant_prepare_id", INVENTED_PREPARE_ID);
            self.deliver(early).await;
        }
        let mut tries = self.patience.tries();
        loop {
            let reply = self.deliver(self.message(Step::Prepare, plan.prepare_error.unwrap_or(0))).await;
            match (reply.error(), reply.merchant_prepare_id()) {
                (Some(_), _) if plan.prepare_error.is_some() => {
                    let note = "Click said so in the Prepare";
                    self.app.ledger.lock().advance(&self.key, S::Created, S::Cancelled, note);
                    return false;
                }
                (Some(0), Some(id)) => {
                    self.app.ledger.lock().prepared(&self.key, id);
                    if plan.second_attempt {
                        self.pay_again().await;
                    }
                    return true;
                }
                // A yes without an id cannot be completed: as good as no answer.
                (Some(0), None) | (None, _) => {
                    if !self.patience.after_silence(&mut tries).await {
                        let note = "the merchant did not answer the Prepare";
                        self.app.ledger.lock().advance(&self.key, S::Created, S::Cancelled, note);
                        return false;
                    }
                }
                (Some(code), id) => {
                    self.app.ledger.lock().refused(&self.key, code, &reply.note());
                    if code != -4 && self.app.config.after_refusal == AfterRefusal::SendCancel {
                        self.send_cancel(&id.unwrap_or_else(|| "0".into())).await;
                    }
                    return false;
                }
            }
        }
    }

    /// Another attempt at the same order, as if the buyer had the page open twice.
    async fn pay_again(&self) {
        let Ok(key) = self.app.open(&self.key.order, &self.key.amount) else {
            return;
        };
        let other = Flow { app: self.app, key, patience: self.patience };
        if Box::pin(other.prepare(&Plan::default())).await {
            other.finish().await;
        }
    }

    /// Takes the money of a prepared attempt and tells the merchant. Does nothing when the money was taken already.
    pub(crate) async fn finish(&self) {
        if !self.app.ledger.lock().debit(&self.key) {
            return;
        }
        if self.takes(M::NeverComplete).is_some() {
            self.settle(S::Successful, "no Complete was sent");
            return;
        }
        if let Some(switch) = self.takes(M::LateComplete) {
            tokio::time::sleep(Duration::from_millis(switch.delay_ms)).await;
        }
        if !self.complete().await {
            return;
        }
        if self.takes(M::CompleteTwice).is_some() {
            self.deliver(self.complete_message(0)).await;
        }
        if self.takes(M::CancelAfterSuccess).is_some() {
            self.deliver(self.complete_message(CANCELLED)).await;
        }
    }

    /// Whether the merchant acknowledged the money.
    async fn complete(&self) -> bool {
        let mut tries = self.patience.tries();
        loop {
            if self.takes(M::PrepareAfterDebit).is_some()
                && self.deliver(self.message(Step::Prepare, 0)).await.error() == Some(-4)
            {
                self.settle(S::Successful, "the merchant answered a repeated Prepare with -4");
                return true;
            }
            let reply = self.deliver(self.complete_message(0)).await;
            let again = match reply.error() {
                Some(0 | -4) => {
                    self.settle(S::Successful, "");
                    return true;
                }
                Some(-9) => {
                    let mut ledger = self.app.ledger.lock();
                    ledger.give_back(&self.key, S::Debited, S::Returned, "the merchant answered -9");
                    return false;
                }
                Some(_) => self.patience.after_refusal(&mut tries).await,
                None => self.patience.after_silence(&mut tries).await,
            };
            if !again {
                let note = match reply.error() {
                    Some(code) => format!("the merchant keeps answering {code}: {}", reply.note()),
                    None => "the merchant does not answer the Complete".into(),
                };
                self.settle(S::Hanging, &note);
                return false;
            }
        }
    }

    /// Cancels a prepared attempt and tells the merchant. False when nothing is prepared any more.
    pub(crate) async fn cancel(&self) -> bool {
        let note = "cancelled by the buyer";
        if !self.app.ledger.lock().advance(&self.key, S::Prepared, S::Cancelled, note) {
            return false;
        }
        let id = self.app.ledger.lock().merchant_prepare_id(&self.key).unwrap_or_default();
        self.send_cancel(&id).await;
        if self.takes(M::SuccessAfterCancel).is_some() {
            self.deliver(self.complete_message(0)).await;
        }
        true
    }

    /// A Complete with `error<0`, repeated until it is answered.
    async fn send_cancel(&self, merchant_prepare_id: &str) {
        let mut tries = self.patience.tries();
        loop {
            let message = self.message(Step::Complete, CANCELLED);
            let reply = self.deliver(message.with("merchant_prepare_id", merchant_prepare_id)).await;
            if reply.error().is_some() || !self.patience.after_silence(&mut tries).await {
                return;
            }
        }
    }

    fn settle(&self, to: S, note: &str) {
        self.app.ledger.lock().advance(&self.key, S::Debited, to, note);
    }

    fn takes(&self, kind: M) -> Option<Switch> {
        self.app.take(kind, None, &self.key.order)
    }

    fn complete_message(&self, error: i64) -> Message {
        let id = self.app.ledger.lock().merchant_prepare_id(&self.key).unwrap_or_default();
        self.message(Step::Complete, error).with("merchant_prepare_id", id)
    }

    fn message(&self, step: Step, error: i64) -> Message {
        self.app.message(step, &self.key, error)
    }

    /// Sends a message as it is switched, records it, and gives the answer that Click acts on.
    async fn deliver(&self, message: Message) -> Reply {
        let (step, order) = (message.step(), self.key.order.as_str());
        let switched = |kind| self.app.take(kind, Some(step), order);
        let mut message = message;
        if let Some(switch) = switched(M::WrongAmount) {
            message = message.with("amount", switch.amount.unwrap_or_else(|| one_more(&self.key.amount)));
        }
        if switched(M::OtherPaydoc).is_some() {
            message = message.with("click_paydoc_id", self.app.next_id().to_string());
        }
        if switched(M::BadSignature).is_some() {
            let forged = message.sign_string(&format!("not {}", self.app.config.secret_key));
            message = message.tampered("sign_string", forged);
        }
        let lost = switched(M::LostReply).is_some();
        let (copies, connections) =
            switched(M::Repeat).map_or((1, 1), |switch| (switch.copies, switch.connections));
        let fields = message.signed(&self.app.config.secret_key);
        let connections = usize::try_from(connections).unwrap_or(1);
        let replies: Vec<Reply> = futures_util::stream::iter(0..copies)
            .map(|_| self.send_recorded(step, &fields, lost))
            .buffered(connections)
            .collect()
            .await;
        if lost { Reply::Unanswered(Unanswered::Lost) } else { heard(replies) }
    }

    async fn send_recorded(&self, step: Step, fields: &[(String, String)], lost: bool) -> Reply {
        let at_ms = self.app.now_ms();
        let reply = self.app.send(step, fields).await;
        let complaints = reply.complaints(step, fields);
        let fields = fields.to_vec();
        let exchange = Exchange { at_ms, step, fields, reply: reply.clone(), lost, complaints };
        self.app.ledger.lock().record(&self.key, exchange);
        reply
    }
}

/// Which of the copies' answers Click acts on: a yes, else any answer, else none.
fn heard(replies: Vec<Reply>) -> Reply {
    let yes = replies.iter().position(|reply| reply.error() == Some(0));
    let at = yes.or_else(|| replies.iter().position(|reply| reply.error().is_some())).unwrap_or(0);
    replies.into_iter().nth(at).unwrap_or(Reply::Unanswered(Unanswered::Lost))
}

/// One so'm more, in the same notation.
fn one_more(amount: &str) -> String {
    let (whole, rest) = amount.split_at(amount.find('.').unwrap_or(amount.len()));
    format!("{}{rest}", whole.parse::<i64>().unwrap_or(0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_som_more_keeps_the_notation() {
        assert_eq!((one_more("1000.00").as_str(), one_more("999").as_str()), ("1001.00", "1000"));
    }

    #[test]
    fn click_acts_on_a_yes_where_one_copy_got_one() {
        let answer = |error: i64| Reply::answered(200, format!("{{\"error\":{error}}}").as_bytes());
        let silence = Reply::Unanswered(Unanswered::Timeout);
        assert_eq!(heard(vec![answer(-4), answer(0)]).error(), Some(0));
        assert_eq!(heard(vec![silence.clone(), answer(-4)]).error(), Some(-4));
        assert_eq!(heard(vec![silence]).error(), None);
    }
}
