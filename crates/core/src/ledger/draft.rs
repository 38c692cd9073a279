//! A plan in the making: later steps of one decision see what earlier ones changed.

use super::books::Books;
use super::outbox::{Effect, NewEffect};
use super::plan::{Note, Plan, Record, RecordKey, Write};
use crate::checkout::{Checkout, CheckoutId};
use crate::id::digest_of;
use crate::payment::{Coupon, CouponId, Payment, PaymentId};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A plan in the making.
pub(crate) struct Draft<'a> {
    pub(crate) books: &'a Books,
    pub(crate) now: Timestamp,
    changed: BTreeMap<RecordKey, Record>,
    plan: Plan,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(books: &'a Books, now: Timestamp, note: Note) -> Self {
        let plan = Plan { note: Some(note), ..Plan::nothing() };
        Self { books, now, changed: BTreeMap::new(), plan }
    }

    /// The checkout as this decision has left it.
    pub(crate) fn checkout(&self, id: &CheckoutId) -> Option<&Checkout> {
        match self.changed.get(&RecordKey::Checkout(id.clone())) {
            Some(Record::Checkout(row)) => Some(row),
            _ => self.books.checkout(id),
        }
    }

    /// The payment as this decision has left it.
    pub(crate) fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        match self.changed.get(&RecordKey::Payment(id.clone())) {
            Some(Record::Payment(row)) => Some(row),
            _ => self.books.payment(id),
        }
    }

    /// The coupon as this decision has left it.
    pub(crate) fn coupon(&self, id: &CouponId) -> Option<&Coupon> {
        match self.changed.get(&RecordKey::Coupon(id.clone())) {
            Some(Record::Coupon(row)) => Some(row),
            _ => self.books.coupon(id),
        }
    }

    /// A new row, or the next version of one.
    pub(crate) fn put(&mut self, record: Record) {
        let write = if record.version() == 1 { Write::Create } else { Write::Update };
        self.changed.insert(record.key(), record.clone());
        self.plan.writes.push(write(record));
    }

    pub(crate) fn write(&mut self, write: Write) {
        self.plan.writes.push(write);
    }

    /// Something to do outside. The same change decided twice has the same id.
    pub(crate) fn tell(&mut self, effect: Effect, subject: &str, version: i64) {
        let what = match &effect {
            Effect::Webhook { topic, .. } => topic.as_str(),
            other => other.kind().name(),
        };
        // Behind the subject's own id, which sorts by time.
        let id = format!("evt_{subject}_{}", &digest_of(&[what, subject, &version.to_string()])[..12]);
        self.plan.effects.push(NewEffect { id, effect });
    }

    /// Whether anything was changed so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.plan.writes.is_empty()
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }
}
