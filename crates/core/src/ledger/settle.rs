//! A batch of decisions, one after the other on the same rows, and the sheet of everything an engine then writes.
//!
//! Pure. An engine loads the rows under lock, calls [`settle`], writes the sheet and commits.

use super::audit::{AuditHead, AuditRow, Facts};
use super::books::Books;
use super::outbox::NewEffect;
use super::plan::{Inbound, Plan, Record, RecordKey, Write};
use super::store::Work;
use crate::checkout::CheckoutId;
use crate::login::UserId;
use crate::payment::{Attempt, CouponId, PaymentId};
use crate::store::StoreError;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Everything that one transaction writes.
#[derive(Debug, Default)]
pub struct Sheet {
    /// New rows, as they are in the end.
    pub creates: Vec<Record>,
    /// Changed rows.
    pub updates: Vec<Change>,
    /// Checkouts that go, and whose names are kept.
    pub purges: Vec<CheckoutId>,
    /// Attempts of the provider, bound to their payments.
    pub binds: Vec<(PaymentId, Attempt, Timestamp)>,
    /// Uses of coupons.
    pub uses: Vec<(CouponId, PaymentId, UserId, Timestamp)>,
    /// Tiers of users.
    pub tiers: BTreeMap<UserId, String>,
    /// Users to record if nobody knows them.
    pub vouches: Vec<(UserId, Option<String>, Timestamp)>,
    /// What the world must hear.
    pub effects: Vec<(NewEffect, Timestamp)>,
    /// Messages, what we made of each, and when it came.
    pub inbox: Vec<(Inbound, String, Timestamp)>,
    /// The audit's new rows.
    pub audit: Vec<AuditRow>,
    /// For each piece of work, in order.
    pub outcomes: Vec<Result<(), StoreError>>,
}

/// A row that changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// As it was before the batch: an engine need not write again what stayed the same.
    pub before: Record,
    /// As it is in the end.
    pub after: Record,
}

impl Sheet {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.audit.is_empty() && self.inbox.is_empty() && self.effects.is_empty() && self.vouches.is_empty()
    }
}

/// Rows that changed in this batch, as they were before it; `None`: not there.
type Touched = BTreeMap<RecordKey, Option<Record>>;

/// Lets every piece of work decide, in order, and gathers what came of it.
#[must_use]
pub fn settle(books: &mut Books, head: &AuditHead, works: &[Work]) -> Sheet {
    let mut sheet = Sheet::default();
    let mut touched = Touched::new();
    let mut head = head.clone();
    for work in works {
        let plan = work.decide(books);
        let before: Touched = plan.writes.iter().filter_map(|write| before(books, write)).collect();
        if let Err(clash) = books.apply(&plan.writes) {
            sheet.outcomes.push(Err(StoreError::unavailable(clash)));
            continue;
        }
        for (key, before) in before {
            touched.entry(key).or_insert(before);
        }
        sheet.take(plan, &mut head, books, work.now());
        sheet.outcomes.push(Ok(()));
    }
    sheet.rows(touched, books);
    sheet
}

fn before(books: &Books, write: &Write) -> Option<(RecordKey, Option<Record>)> {
    let (Write::Create(record) | Write::Update(record)) = write else { return None };
    let key = record.key();
    let before = books.record(&key).cloned();
    Some((key, before))
}

impl Sheet {
    fn take(&mut self, plan: Plan, head: &mut AuditHead, books: &mut Books, now: Timestamp) {
        let facts = facts_of(&plan, books);
        for write in plan.writes {
            match write {
                Write::Create(_) | Write::Update(_) | Write::Remark(_) => {}
                Write::Purge(id) => self.purges.push(id),
                Write::Bind { payment, attempt } => self.binds.push((payment, attempt, now)),
                Write::Use { coupon, payment, user } => self.uses.push((coupon, payment, user, now)),
                Write::Tier { user, tier } => drop(self.tiers.insert(user, tier)),
                Write::Vouch { user, email } => self.vouches.push((user, email, now)),
            }
        }
        self.effects.extend(plan.effects.into_iter().map(|effect| (effect, now)));
        if let Some((inbound, outcome, at)) = plan.inbound
            && !books.was_seen(&inbound)
        {
            books.see(inbound.clone());
            self.inbox.push((inbound, outcome, at));
        }
        if let (Some(note), Some(facts)) = (plan.note, facts) {
            let row = AuditRow::new(note, facts, head, now);
            *head = row.head();
            self.audit.push(row);
        }
    }

    fn rows(&mut self, touched: Touched, books: &Books) {
        for (key, before) in touched {
            // A row that was purged in the same batch is gone.
            let Some(after) = books.record(&key).cloned() else { continue };
            match before {
                None => self.creates.push(after),
                Some(before) => self.updates.push(Change { before, after }),
            }
        }
    }
}

/// Every row that the plan changed, as it left it, and what else it tells; `None` when that is nothing.
fn facts_of(plan: &Plan, books: &Books) -> Option<String> {
    let mut facts = Facts::default();
    let mut keys: Vec<RecordKey> = Vec::new();
    for write in &plan.writes {
        match write {
            Write::Create(record) | Write::Update(record) if !keys.contains(&record.key()) => {
                keys.push(record.key());
                facts.rows.extend(books.record(&record.key()).cloned());
            }
            Write::Purge(id) => facts.purged.push(id.clone()),
            Write::Remark(subject) => facts.remarks.push(subject.clone()),
            _ => {}
        }
    }
    if facts.rows.is_empty() && facts.purged.is_empty() && facts.remarks.is_empty() {
        return None;
    }
    serde_json::to_string(&facts).ok()
}
