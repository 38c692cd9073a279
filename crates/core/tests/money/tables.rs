//! The ledger's tables in memory, with the unique keys that a database has. What a decision sees of them is exactly
//! what its `Reads` name and the links that the contract says an engine follows: a decision that looks for more is
//! found out, because it decides otherwise on all the rows.

use sessile_core::checkout::{Checkout, CheckoutId, CheckoutState, Owner, RENEWALS_MAX};
use sessile_core::ledger::{
    Books, CheckoutKey, Inbound, LEFT_MAX, PaymentKey, Reads, Record, RecordKey, Sheet,
};
use sessile_core::login::UserId;
use sessile_core::payment::{Coupon, CouponId, Payment, PaymentId, PrepareId, Refund, TransId};
use sessile_core::user::TIER_FREE;
use std::collections::{BTreeMap, BTreeSet};

/// Every row but the audit's and the outbox's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tables {
    pub(crate) records: BTreeMap<RecordKey, Record>,
    pub(crate) attempts: BTreeMap<TransId, (PaymentId, Option<PrepareId>)>,
    pub(crate) users: BTreeMap<UserId, String>,
    pub(crate) purged: BTreeSet<CheckoutId>,
    pub(crate) inbox: BTreeMap<Inbound, String>,
    pub(crate) uses: BTreeSet<(CouponId, PaymentId)>,
}

impl Tables {
    pub(crate) fn checkouts(&self) -> impl Iterator<Item = &Checkout> {
        self.records.values().filter_map(|record| match record {
            Record::Checkout(row) => Some(row),
            _ => None,
        })
    }

    pub(crate) fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.records.values().filter_map(|record| match record {
            Record::Payment(row) => Some(row),
            _ => None,
        })
    }

    pub(crate) fn coupons(&self) -> impl Iterator<Item = &Coupon> {
        self.records.values().filter_map(|record| match record {
            Record::Coupon(row) => Some(row),
            _ => None,
        })
    }

    pub(crate) fn refunds(&self) -> impl Iterator<Item = &Refund> {
        self.records.values().filter_map(|record| match record {
            Record::Refund(row) => Some(row),
            _ => None,
        })
    }

    /// Everything.
    pub(crate) fn all(&self) -> Books {
        let mut books = Books::default();
        for record in self.records.values() {
            books.load(record.clone());
        }
        for (user, tier) in &self.users {
            books.load_user(user.clone(), tier.clone());
        }
        for (trans, (payment, prepare)) in &self.attempts {
            books.load_attempt(*trans, payment.clone());
            prepare.iter().for_each(|prepare| books.load_prepare(*prepare));
        }
        self.purged.iter().for_each(|id| books.load_purged(id.clone()));
        self.inbox.keys().for_each(|inbound| books.see(inbound.clone()));
        books
    }

    pub(crate) fn payment(&self, key: &PaymentKey) -> Option<&Payment> {
        self.payments().find(|row| match key {
            PaymentKey::Id(id) => row.id == *id,
            PaymentKey::Order(order) => row.order == *order,
            PaymentKey::Idempotency(key) => row.idempotency_key == *key,
        })
    }

    /// What `reads` names, with its links.
    pub(crate) fn seen_by(&self, reads: &Reads) -> Books {
        let mut view = View { tables: self, books: Books::default() };
        for key in &reads.payments {
            view.payment_with_checkout(self.payment(key));
        }
        for key in &reads.checkouts {
            match key {
                CheckoutKey::Id(id) => view.checkout_by_id(id),
                CheckoutKey::Active(owner, slot) => view.active_with_links(owner, slot),
                CheckoutKey::Latest(owner, slot) => view.left(owner, slot, 1),
                CheckoutKey::Left(owner, slot) => view.left(owner, slot, LEFT_MAX),
            }
        }
        for code in &reads.codes {
            self.coupons().filter(|coupon| coupon.code == *code).for_each(|coupon| view.coupon(&coupon.id));
        }
        reads.coupons.iter().for_each(|id| view.coupon(id));
        reads.users.iter().for_each(|user| view.user(user));
        for id in &reads.refunds {
            if let Some(Record::Refund(refund)) = self.records.get(&RecordKey::Refund(id.clone())) {
                view.books.load(Record::Refund(refund.clone()));
                view.payment_with_checkout(self.payments().find(|row| row.id == refund.payment));
            }
        }
        for trans in &reads.attempts {
            if let Some((payment, _)) = self.attempts.get(trans) {
                view.books.load_attempt(*trans, payment.clone());
            }
        }
        for prepare in &reads.prepares {
            if self.attempts.values().any(|(_, taken)| *taken == Some(*prepare)) {
                view.books.load_prepare(*prepare);
            }
        }
        for inbound in reads.inbox.iter().filter(|inbound| self.inbox.contains_key(inbound)) {
            view.books.load_seen(inbound.clone());
        }
        view.books
    }

    /// Writes what a batch has come to, as one statement after the other would; says which constraint it breaks.
    pub(crate) fn write(&mut self, sheet: &Sheet) -> Result<(), String> {
        for record in &sheet.creates {
            if self.records.contains_key(&record.key()) {
                return Err(format!("a create overwrites {:?}", record.key()));
            }
            if matches!(record.key(), RecordKey::Checkout(id) if self.purged.contains(&id)) {
                return Err(format!("a purged name is used again: {:?}", record.key()));
            }
            self.records.insert(record.key(), record.clone());
        }
        for change in &sheet.updates {
            let there = self.records.insert(change.after.key(), change.after.clone());
            if there.as_ref() != Some(&change.before) {
                return Err(format!(
                    "an update of {:?} missed the row it was decided on",
                    change.after.key()
                ));
            }
        }
        for id in &sheet.purges {
            self.records.remove(&RecordKey::Checkout(id.clone()));
            self.purged.insert(id.clone());
        }
        for (payment, attempt, _) in &sheet.binds {
            let row = (payment.clone(), attempt.prepare);
            if self.attempts.insert(attempt.trans, row).is_some_and(|(other, _)| other != *payment) {
                return Err(format!("attempt {:?} was bound to another payment", attempt.trans));
            }
        }
        self.uses.extend(sheet.uses.iter().map(|(coupon, payment, ..)| (coupon.clone(), payment.clone())));
        for (user, ..) in &sheet.vouches {
            self.users.entry(user.clone()).or_insert_with(|| TIER_FREE.to_owned());
        }
        self.users.extend(sheet.tiers.clone());
        self.inbox.extend(sheet.inbox.iter().map(|(inbound, outcome, _)| (inbound.clone(), outcome.clone())));
        self.unique()
    }

    /// The unique indexes.
    fn unique(&self) -> Result<(), String> {
        let payments = || self.payments();
        only_once("order", payments().map(|row| &row.order))?;
        only_once("idempotency key", payments().map(|row| &row.idempotency_key))?;
        only_once("prepare id", self.attempts.values().filter_map(|(_, prepare)| *prepare))?;
        let open = payments().filter(|row| row.state.is_open());
        only_once("open payment of a checkout", open.filter_map(|row| row.checkout.as_ref()))?;
        only_once("renewal", self.checkouts().filter_map(|row| row.renewed_from.as_ref()))?;
        let completed = self.checkouts().filter_map(|row| match &row.state {
            CheckoutState::Completed { payment, .. } => payment.as_ref(),
            _ => None,
        });
        only_once("completing payment", completed)?;
        only_once("coupon code", self.coupons().map(|row| &row.code))
    }
}

fn only_once<T: Ord>(what: &str, values: impl Iterator<Item = T>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(format!("the unique key {what:?} is broken"));
        }
    }
    Ok(())
}

struct View<'a> {
    tables: &'a Tables,
    books: Books,
}

impl View<'_> {
    /// A payment with its coupon, grant, refunds, user, and its checkout.
    fn payment_with_checkout(&mut self, payment: Option<&Payment>) {
        let Some(payment) = payment else { return };
        self.payment(payment);
        self.user(&payment.user);
        for record in self.tables.records.values() {
            match record {
                Record::Grant(row) if row.payment == payment.id => self.books.load(record.clone()),
                Record::Refund(row) if row.payment == payment.id => self.books.load(record.clone()),
                _ => {}
            }
        }
        if let Some(checkout) = &payment.checkout {
            self.checkout_by_id(checkout);
        }
    }

    fn payment(&mut self, payment: &Payment) {
        self.books.load(Record::Payment(payment.clone()));
        if let Some(hold) = &payment.coupon {
            self.coupon(&hold.coupon);
        }
    }

    fn user(&mut self, user: &UserId) {
        if let Some(tier) = self.tables.users.get(user) {
            self.books.load_user(user.clone(), tier.clone());
        }
        for record in self.tables.records.values() {
            if matches!(record, Record::Grant(row) if row.user == *user && row.revoked_at.is_none()) {
                self.books.load(record.clone());
            }
        }
    }

    fn coupon(&mut self, id: &CouponId) {
        if let Some(coupon) = self.tables.records.get(&RecordKey::Coupon(id.clone())) {
            self.books.load(coupon.clone());
        }
    }

    fn left(&mut self, owner: &Owner, slot: &str, limit: usize) {
        let left = self.tables.checkouts().filter(|row| row.slot == slot && owner.owns(&row.owner));
        let mut left: Vec<_> =
            left.filter_map(|row| Some((row.state.left_active_at()?, row.id.clone()))).collect();
        left.sort();
        left.iter().rev().take(limit).for_each(|(_, id)| self.checkout_by_id(id));
    }

    fn active_with_links(&mut self, owner: &Owner, slot: &str) {
        let active = self.tables.checkouts().filter(|row| row.state == CheckoutState::Active);
        let named = active.filter(|row| row.slot == slot && owner.owns(&row.owner));
        let named: Vec<CheckoutId> = named.map(|row| row.id.clone()).collect();
        named.iter().for_each(|id| self.checkout_by_id(id));
    }

    fn checkout_by_id(&mut self, id: &CheckoutId) {
        if self.tables.purged.contains(id) {
            self.books.load_purged(id.clone());
        }
        let tables = self.tables;
        let Some(row) = tables.checkouts().find(|row| row.id == *id) else { return };
        let active = tables.checkouts().filter(|other| {
            other.state == CheckoutState::Active && other.slot == row.slot && row.owner.owns(&other.owner)
        });
        let instead = tables.checkouts().filter(|other| row.superseded_by.as_ref() == Some(&other.id));
        for linked in std::iter::once(row).chain(active).chain(instead) {
            self.checkout(linked);
            self.renewals(linked);
        }
    }

    /// What a checkout continues, and what continues it.
    fn renewals(&mut self, row: &Checkout) {
        let tables = self.tables;
        let from =
            |row: &&Checkout| tables.checkouts().find(|other| row.renewed_from.as_ref() == Some(&other.id));
        let to =
            |row: &&Checkout| tables.checkouts().find(|other| other.renewed_from.as_ref() == Some(&row.id));
        std::iter::successors(Some(row), from).take(RENEWALS_MAX + 1).for_each(|row| self.checkout(row));
        std::iter::successors(Some(row), to).take(RENEWALS_MAX + 1).for_each(|row| self.checkout(row));
    }

    /// A checkout with its coupon, and with its payments that are open or completed.
    fn checkout(&mut self, row: &Checkout) {
        self.books.load(Record::Checkout(row.clone()));
        if let Some(hold) = &row.coupon {
            self.coupon(&hold.coupon);
        }
        let tables = self.tables;
        let its = tables.payments().filter(|payment| payment.checkout.as_ref() == Some(&row.id));
        its.filter(|payment| payment.state.is_open() || payment.state.is_completed())
            .for_each(|payment| self.payment(payment));
    }
}
