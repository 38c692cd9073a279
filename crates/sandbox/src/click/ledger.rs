//! Click's own books: which attempts exist, what was debited and returned, what was said and answered.
//!
//! Every change of an attempt is one call under one lock, so that money is taken once however often a button is
//! pressed. Pure: time is an argument and nothing here waits.

use std::collections::{HashMap, VecDeque};

use super::attempt::{Attempt, AttemptState, Payment};
use super::exchange::Exchange;
use super::sign;

/// The longest `transaction_param`.
pub(crate) const ORDER_CHARS_MAX: usize = 255;
/// Messages kept of one attempt; more are counted only.
pub(crate) const MESSAGES_MAX: usize = 128;
/// Attempts kept of one order; the oldest is forgotten above that.
pub(crate) const ATTEMPTS_MAX: usize = 256;

/// Which attempt, and what every message about it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) order: String,
    pub(crate) amount: String,
    pub(crate) trans_id: u64,
    pub(crate) paydoc_id: u64,
}

/// All payments.
#[derive(Debug)]
pub(crate) struct Ledger {
    payments: HashMap<String, Payment>,
    orders: VecDeque<String>,
    paydocs: HashMap<u64, String>,
    last_id: u64,
    payments_max: usize,
}

impl Ledger {
    pub(crate) fn new(payments_max: usize) -> Self {
        Self {
            payments: HashMap::new(),
            orders: VecDeque::new(),
            paydocs: HashMap::new(),
            last_id: 0,
            payments_max: payments_max.max(1),
        }
    }

    /// A number nobody had before, also not before a restart: merchants keep them for ever. Below 2^53 for centuries.
    pub(crate) fn next_id(&mut self, now_ms: i64) -> u64 {
        let floor = u64::try_from(now_ms).unwrap_or(0).saturating_mul(1000);
        self.last_id = floor.max(self.last_id + 1);
        self.last_id
    }

    /// A new attempt.
    pub(crate) fn open(&mut self, order: &str, amount: &str, amount_tiyin: i64, now_ms: i64) -> Key {
        let (trans_id, paydoc_id) = (self.next_id(now_ms), self.next_id(now_ms));
        if !self.payments.contains_key(order) {
            while self.payments.len() >= self.payments_max && self.forget_oldest() {}
            self.orders.push_back(order.to_owned());
            let payment = Payment { order: order.to_owned(), attempts: Vec::new() };
            self.payments.insert(order.to_owned(), payment);
        }
        self.paydocs.insert(paydoc_id, order.to_owned());
        let attempt = Attempt {
            order: order.to_owned(),
            click_trans_id: trans_id,
            click_paydoc_id: paydoc_id,
            amount: amount.to_owned(),
            amount_tiyin,
            state: AttemptState::Created,
            note: String::new(),
            refusal: None,
            merchant_prepare_id: None,
            debited_tiyin: 0,
            returned_tiyin: 0,
            confirmed: 0,
            already_paid: 0,
            created_at_ms: now_ms,
            messages: Vec::new(),
            messages_omitted: 0,
        };
        if let Some(payment) = self.payments.get_mut(order) {
            if payment.attempts.len() >= ATTEMPTS_MAX {
                self.paydocs.remove(&payment.attempts.remove(0).click_paydoc_id);
            }
            payment.attempts.push(attempt);
        }
        Key { order: order.to_owned(), amount: amount.to_owned(), trans_id, paydoc_id }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(order) = self.orders.pop_front() else {
            return false;
        };
        for attempt in self.payments.remove(&order).into_iter().flat_map(|payment| payment.attempts) {
            self.paydocs.remove(&attempt.click_paydoc_id);
        }
        true
    }

    fn attempt(&mut self, key: &Key) -> Option<&mut Attempt> {
        let attempts = &mut self.payments.get_mut(&key.order)?.attempts;
        attempts.iter_mut().find(|attempt| attempt.click_trans_id == key.trans_id)
    }

    pub(crate) fn record(&mut self, key: &Key, exchange: Exchange) {
        let Some(attempt) = self.attempt(key) else {
            return;
        };
        if exchange.acknowledged() {
            match exchange.reply.error() {
                Some(0) => attempt.confirmed += 1,
                _ => attempt.already_paid += 1,
            }
        }
        if attempt.messages.len() < MESSAGES_MAX {
            attempt.messages.push(exchange);
        } else {
            attempt.messages_omitted += 1;
        }
    }

    /// The merchant agreed. A repeated Prepare changes nothing once money was taken.
    pub(crate) fn prepared(&mut self, key: &Key, merchant_prepare_id: String) {
        if let Some(attempt) = self.attempt(key).filter(|attempt| attempt.state == AttemptState::Created) {
            attempt.state = AttemptState::Prepared;
            attempt.merchant_prepare_id = Some(merchant_prepare_id);
        }
    }

    /// Moves an attempt from `from` to `to`; false when it is elsewhere.
    pub(crate) fn advance(&mut self, key: &Key, from: AttemptState, to: AttemptState, note: &str) -> bool {
        match self.attempt(key) {
            Some(attempt) if attempt.state == from => {
                attempt.state = to;
                note.clone_into(&mut attempt.note);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn refused(&mut self, key: &Key, code: i64, note: &str) {
        if self.advance(key, AttemptState::Created, AttemptState::Refused, note)
            && let Some(attempt) = self.attempt(key)
        {
            attempt.refusal = Some(code);
        }
    }

    /// Takes the money; false when there is nothing prepared, so that it is taken once.
    pub(crate) fn debit(&mut self, key: &Key) -> bool {
        let taken = self.advance(key, AttemptState::Prepared, AttemptState::Debited, "");
        if taken && let Some(attempt) = self.attempt(key) {
            attempt.debited_tiyin = attempt.amount_tiyin;
        }
        taken
    }

    /// Gives the money back from `from`; false when the attempt is elsewhere.
    pub(crate) fn give_back(&mut self, key: &Key, from: AttemptState, to: AttemptState, note: &str) -> bool {
        let moved = self.advance(key, from, to, note);
        if moved && let Some(attempt) = self.attempt(key) {
            attempt.returned_tiyin = attempt.debited_tiyin;
        }
        moved
    }

    pub(crate) fn merchant_prepare_id(&mut self, key: &Key) -> Option<String> {
        self.attempt(key)?.merchant_prepare_id.clone()
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Attempt> {
        let attempts = &self.payments.get(&key.order)?.attempts;
        attempts.iter().find(|attempt| attempt.click_trans_id == key.trans_id).cloned()
    }

    /// The newest attempt of the order that waits for the buyer's word.
    pub(crate) fn prepared_key(&self, order: &str) -> Option<Key> {
        let mut attempts = self.payments.get(order)?.attempts.iter().rev();
        attempts.find(|attempt| attempt.state == AttemptState::Prepared).map(key_of)
    }

    pub(crate) fn payment(&self, order: &str) -> Option<&Payment> {
        self.payments.get(order)
    }

    /// Oldest first.
    pub(crate) fn payments(&self) -> impl DoubleEndedIterator<Item = &Payment> {
        self.orders.iter().filter_map(|order| self.payments.get(order))
    }

    pub(crate) fn by_paydoc(&self, paydoc_id: u64) -> Option<&Attempt> {
        let attempts = &self.payments.get(self.paydocs.get(&paydoc_id)?)?.attempts;
        attempts.iter().find(|attempt| attempt.click_paydoc_id == paydoc_id)
    }

    /// The foremost attempt of an order among those made on that day in Tashkent.
    pub(crate) fn by_order_on(&self, order: &str, day: &str) -> Option<Attempt> {
        let mut payment = self.payments.get(order)?.clone();
        payment.attempts.retain(|attempt| sign::day(attempt.created_at_ms) == day);
        payment.foremost().cloned()
    }
}

/// The key that belongs to an attempt.
pub(crate) fn key_of(attempt: &Attempt) -> Key {
    Key {
        order: attempt.order.clone(),
        amount: attempt.amount.clone(),
        trans_id: attempt.click_trans_id,
        paydoc_id: attempt.click_paydoc_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_taken_once_and_given_back_once() {
        let mut ledger = Ledger::new(10);
        let key = ledger.open("o", "10.00", 1000, 1);
        assert!(!ledger.debit(&key), "debited before the merchant agreed");
        ledger.prepared(&key, "1000000001".into());
        assert!(ledger.debit(&key));
        assert!(!ledger.debit(&key));
        assert!(ledger.give_back(&key, AttemptState::Debited, AttemptState::Returned, ""));
        assert!(!ledger.give_back(&key, AttemptState::Debited, AttemptState::Returned, ""));
        let payment = ledger.payment("o").unwrap();
        assert_eq!((payment.debited_tiyin(), payment.returned_tiyin()), (1000, 1000));
    }

    #[test]
    fn the_oldest_order_is_forgotten_and_ids_never_repeat() {
        let mut ledger = Ledger::new(2);
        let keys: Vec<Key> = ["a", "b", "c"].map(|order| ledger.open(order, "1", 100, 5)).into();
        assert!(ledger.payment("a").is_none() && ledger.by_paydoc(keys[0].paydoc_id).is_none());
        assert_eq!(ledger.payments().map(|payment| &*payment.order).collect::<Vec<_>>(), ["b", "c"]);
        let mut ids: Vec<u64> = keys.iter().flat_map(|key| [key.trans_id, key.paydoc_id]).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn a_status_by_order_speaks_of_the_attempt_that_went_furthest() {
        let mut ledger = Ledger::new(2);
        let first = ledger.open("o", "1", 100, 0);
        ledger.prepared(&first, "1".into());
        ledger.debit(&first);
        let second = ledger.open("o", "1", 100, 0);
        ledger.refused(&second, -9, "no");
        assert_eq!(ledger.by_order_on("o", "1970-01-01").unwrap().click_trans_id, first.trans_id);
        assert!(ledger.by_order_on("o", "1970-01-02").is_none());
    }
}
