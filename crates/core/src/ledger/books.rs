//! The rows that a batch of decisions works on, in memory: what an engine loaded, and what earlier decisions of the
//! same batch made of it. Also the whole ledger of a model checker.
//!
//! A lookup finds only what was loaded: a decision names in its [`super::Reads`] whatever it looks for.

use super::plan::{Inbound, Record, RecordKey, Write};
use super::reads::LEFT_MAX;
use crate::checkout::{Checkout, CheckoutId, CheckoutState, Owner, RENEWALS_MAX};
use crate::login::UserId;
use crate::payment::{
    Coupon, CouponCode, CouponId, Grant, OrderId, Payment, PaymentId, PrepareId, Refund, RefundId, TransId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Rows by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Books {
    records: BTreeMap<RecordKey, Record>,
    orders: BTreeMap<OrderId, PaymentId>,
    keys: BTreeMap<String, PaymentId>,
    attempts: BTreeMap<TransId, PaymentId>,
    prepares: BTreeSet<PrepareId>,
    tiers: BTreeMap<UserId, String>,
    purged: BTreeSet<CheckoutId>,
    seen: BTreeSet<Inbound>,
}

/// A write that does not fit the rows: a bug, or a row that changed behind our back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the row is not what the decision was made on")]
pub struct Clash;

impl Books {
    /// Puts a loaded row in.
    pub fn load(&mut self, record: Record) {
        if let Record::Payment(payment) = &record {
            self.orders.insert(payment.order.clone(), payment.id.clone());
            self.keys.insert(payment.idempotency_key.clone(), payment.id.clone());
        }
        self.records.insert(record.key(), record);
    }

    /// Puts a user in whom the directory knows.
    pub fn load_user(&mut self, user: UserId, tier: String) {
        self.tiers.insert(user, tier);
    }

    /// Puts an attempt in that is bound.
    pub fn load_attempt(&mut self, trans: TransId, payment: PaymentId) {
        self.attempts.insert(trans, payment);
    }

    /// Puts a number in that is given away.
    pub fn load_prepare(&mut self, prepare: PrepareId) {
        self.prepares.insert(prepare);
    }

    /// Puts a message in that was seen before.
    pub fn load_seen(&mut self, inbound: Inbound) {
        self.seen.insert(inbound);
    }

    /// Puts the name of a checkout in that was purged.
    pub fn load_purged(&mut self, id: CheckoutId) {
        self.purged.insert(id);
    }

    /// Every row.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// One row.
    #[must_use]
    pub fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// A checkout.
    #[must_use]
    pub fn checkout(&self, id: &CheckoutId) -> Option<&Checkout> {
        match self.records.get(&RecordKey::Checkout(id.clone())) {
            Some(Record::Checkout(row)) => Some(row),
            _ => None,
        }
    }

    /// All checkouts.
    pub fn checkouts(&self) -> impl Iterator<Item = &Checkout> {
        self.records.values().filter_map(|record| match record {
            Record::Checkout(row) => Some(row),
            _ => None,
        })
    }

    /// The active checkouts that `owner` owns in a slot, newest first. Older applications leave several.
    #[must_use]
    pub fn active(&self, owner: &Owner, slot: &str) -> Vec<&Checkout> {
        let mine = |row: &&Checkout| {
            row.state == CheckoutState::Active && row.slot == slot && owner.owns(&row.owner)
        };
        let mut found: Vec<&Checkout> = self.checkouts().filter(mine).collect();
        found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id.clone())));
        found
    }

    /// The checkout of `owner` that left `active` last.
    #[must_use]
    pub fn latest(&self, owner: &Owner, slot: &str) -> Option<&Checkout> {
        self.left(owner, slot).into_iter().next()
    }

    /// The checkouts of `owner` that have left `active`, the last ones first, at most [`LEFT_MAX`].
    #[must_use]
    pub fn left(&self, owner: &Owner, slot: &str) -> Vec<&Checkout> {
        let left = |row: &&Checkout| row.state.left_active_at().is_some();
        let mine = self.checkouts().filter(left).filter(|row| row.slot == slot && owner.owns(&row.owner));
        let mut found: Vec<&Checkout> = mine.collect();
        found.sort_by_key(|row| std::cmp::Reverse((row.state.left_active_at(), row.id.clone())));
        found.truncate(LEFT_MAX);
        found
    }

    /// The checkout that continues this one.
    #[must_use]
    pub fn renewal_of(&self, id: &CheckoutId) -> Option<&Checkout> {
        self.checkouts().find(|row| row.renewed_from.as_ref() == Some(id))
    }

    /// The checkouts of one choice that continue each other: those that `id` continues, and those that continue it; not
    /// itself. Bounded, so that a circle that somebody wrote by hand has an end.
    pub fn renewals_around<'a>(&'a self, id: &CheckoutId) -> impl Iterator<Item = &'a Checkout> {
        let row = self.checkout(id);
        let from = |row: &&Checkout| row.renewed_from.as_ref().and_then(|id| self.checkout(id));
        let before = std::iter::successors(row, from).skip(1).take(RENEWALS_MAX);
        let after = std::iter::successors(row, |row| self.renewal_of(&row.id)).skip(1).take(RENEWALS_MAX);
        before.chain(after)
    }

    /// Whether a checkout of this name was purged.
    #[must_use]
    pub fn was_purged(&self, id: &CheckoutId) -> bool {
        self.purged.contains(id)
    }

    /// A payment.
    #[must_use]
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        match self.records.get(&RecordKey::Payment(id.clone())) {
            Some(Record::Payment(row)) => Some(row),
            _ => None,
        }
    }

    /// A payment by the provider's name for it.
    #[must_use]
    pub fn payment_by_order(&self, order: &OrderId) -> Option<&Payment> {
        self.payment(self.orders.get(order)?)
    }

    /// A payment by the key of the request that made it.
    #[must_use]
    pub fn payment_by_key(&self, key: &str) -> Option<&Payment> {
        self.payment(self.keys.get(key)?)
    }

    /// All payments.
    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.records.values().filter_map(|record| match record {
            Record::Payment(row) => Some(row),
            _ => None,
        })
    }

    /// The payments for a checkout.
    pub fn payments_of<'a>(&'a self, checkout: &'a CheckoutId) -> impl Iterator<Item = &'a Payment> {
        self.payments().filter(move |row| row.checkout.as_ref() == Some(checkout))
    }

    /// A coupon.
    #[must_use]
    pub fn coupon(&self, id: &CouponId) -> Option<&Coupon> {
        match self.records.get(&RecordKey::Coupon(id.clone())) {
            Some(Record::Coupon(row)) => Some(row),
            _ => None,
        }
    }

    /// A coupon by what people type.
    #[must_use]
    pub fn coupon_by_code(&self, code: &CouponCode) -> Option<&Coupon> {
        self.records.values().find_map(|record| match record {
            Record::Coupon(row) if row.code == *code => Some(row),
            _ => None,
        })
    }

    /// What a payment bought.
    #[must_use]
    pub fn grant(&self, payment: &PaymentId) -> Option<&Grant> {
        match self.records.get(&RecordKey::Grant(payment.clone())) {
            Some(Record::Grant(row)) => Some(row),
            _ => None,
        }
    }

    /// What a user has bought and still has.
    pub fn grants_of<'a>(&'a self, user: &'a UserId) -> impl Iterator<Item = &'a Grant> {
        self.records.values().filter_map(move |record| match record {
            Record::Grant(row) if row.user == *user && row.revoked_at.is_none() => Some(row),
            _ => None,
        })
    }

    /// A refund.
    #[must_use]
    pub fn refund(&self, id: &RefundId) -> Option<&Refund> {
        match self.records.get(&RecordKey::Refund(id.clone())) {
            Some(Record::Refund(row)) => Some(row),
            _ => None,
        }
    }

    /// The refunds of a payment.
    pub fn refunds_of<'a>(&'a self, payment: &'a PaymentId) -> impl Iterator<Item = &'a Refund> {
        self.records.values().filter_map(move |record| match record {
            Record::Refund(row) if row.payment == *payment => Some(row),
            _ => None,
        })
    }

    /// The payment that an attempt of the provider is bound to.
    #[must_use]
    pub fn bound(&self, trans: TransId) -> Option<&PaymentId> {
        self.attempts.get(&trans)
    }

    /// Whether a number of ours is given away.
    #[must_use]
    pub fn is_taken(&self, prepare: PrepareId) -> bool {
        self.prepares.contains(&prepare)
    }

    /// The tier of a user whom the directory knows.
    #[must_use]
    pub fn tier(&self, user: &UserId) -> Option<&str> {
        self.tiers.get(user).map(String::as_str)
    }

    /// Whether this very message was recorded before.
    #[must_use]
    pub fn was_seen(&self, inbound: &Inbound) -> bool {
        self.seen.contains(inbound)
    }

    /// Carries out writes, all or none of them.
    ///
    /// # Errors
    /// [`Clash`] when a row is there that should not be, is missing, or has another version. Nothing changed then.
    pub fn apply(&mut self, writes: &[Write]) -> Result<(), Clash> {
        let mut undo = Vec::with_capacity(writes.len());
        for write in writes {
            if !self.put(write, &mut undo) {
                undo.into_iter().rev().for_each(|step| self.restore(step));
                return Err(Clash);
            }
        }
        Ok(())
    }

    /// Records that a message was seen.
    pub fn see(&mut self, inbound: Inbound) {
        self.seen.insert(inbound);
    }

    fn put(&mut self, write: &Write, undo: &mut Vec<Undo>) -> bool {
        match write {
            Write::Create(record) | Write::Update(record) => {
                let key = record.key();
                let before = self.records.get(&key).cloned();
                let fits = match (write, before.as_ref().map(Record::version)) {
                    (Write::Create(_), None) => record.version() == 1 && !self.is_purged(&key),
                    (Write::Update(_), Some(version)) => record.version() == version + 1,
                    _ => false,
                };
                if fits {
                    self.forget_names(before.as_ref());
                    self.load(record.clone());
                    undo.push(Undo::Record(key, before.map(Box::new)));
                }
                fits
            }
            Write::Purge(id) => {
                let key = RecordKey::Checkout(id.clone());
                let Some(before) = self.records.remove(&key) else { return false };
                undo.push(Undo::Record(key, Some(Box::new(before))));
                if self.purged.insert(id.clone()) {
                    undo.push(Undo::Purged(id.clone()));
                }
                true
            }
            Write::Bind { payment, attempt } => {
                undo.push(Undo::Attempt(attempt.trans, self.attempts.insert(attempt.trans, payment.clone())));
                let fresh = attempt.prepare.filter(|prepare| self.prepares.insert(*prepare));
                undo.extend(fresh.map(Undo::Prepare));
                true
            }
            Write::Tier { user, tier } => {
                undo.push(Undo::Tier(user.clone(), self.tiers.insert(user.clone(), tier.clone())));
                true
            }
            Write::Vouch { user, .. } => {
                if !self.tiers.contains_key(user) {
                    self.tiers.insert(user.clone(), crate::user::TIER_FREE.to_owned());
                    undo.push(Undo::Tier(user.clone(), None));
                }
                true
            }
            Write::Use { .. } | Write::Remark(_) => true,
        }
    }

    fn restore(&mut self, step: Undo) {
        match step {
            Undo::Record(key, before) => {
                let after = self.records.remove(&key);
                self.forget_names(after.as_ref());
                if let Some(record) = before {
                    self.load(*record);
                }
            }
            Undo::Purged(id) => drop(self.purged.remove(&id)),
            Undo::Attempt(trans, before) => match before {
                Some(payment) => drop(self.attempts.insert(trans, payment)),
                None => drop(self.attempts.remove(&trans)),
            },
            Undo::Prepare(prepare) => drop(self.prepares.remove(&prepare)),
            Undo::Tier(user, before) => match before {
                Some(tier) => drop(self.tiers.insert(user, tier)),
                None => drop(self.tiers.remove(&user)),
            },
        }
    }

    fn is_purged(&self, key: &RecordKey) -> bool {
        matches!(key, RecordKey::Checkout(id) if self.purged.contains(id))
    }

    /// A payment may give up its key.
    fn forget_names(&mut self, record: Option<&Record>) {
        if let Some(Record::Payment(payment)) = record {
            self.orders.remove(&payment.order);
            self.keys.remove(&payment.idempotency_key);
        }
    }
}

/// How one write is taken back.
enum Undo {
    Record(RecordKey, Option<Box<Record>>),
    Purged(CheckoutId),
    Attempt(TransId, Option<PaymentId>),
    Prepare(PrepareId),
    Tier(UserId, Option<String>),
}
