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
    /// Changed rows, as they are in the end, and the version each had before.
    pub updates: Vec<(Record, i64)>,
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

impl Sheet {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.audit.is_empty() && self.inbox.is_empty() && self.effects.is_empty() && self.vouches.is_empty()
    }
}

/// What is known of a row that changed in this batch.
struct Touched {
    /// Before the batch; `None`: it was not there.
    base: Option<i64>,
}

/// Lets every piece of work decide, in order, and gathers what came of it.
#[must_use]
pub fn settle(books: &mut Books, head: &AuditHead, works: &[Work]) -> Sheet {
    let mut sheet = Sheet::default();
    let mut touched: BTreeMap<RecordKey, Touched> = BTreeMap::new();
    let mut head = head.clone();
    for work in works {
        let plan = work.decide(books);
        let before: Vec<Option<i64>> = plan.writes.iter().map(|write| version_before(books, write)).collect();
        if let Err(clash) = books.apply(&plan.writes) {
            sheet.outcomes.push(Err(StoreError::unavailable(clash)));
            continue;
        }
        for (write, base) in plan.writes.iter().zip(before) {
            if let Write::Create(record) | Write::Update(record) = write {
                touched.entry(record.key()).or_insert(Touched { base });
            }
        }
        sheet.take(plan, &mut head, books, work.now());
        sheet.outcomes.push(Ok(()));
    }
    sheet.rows(touched, books);
    sheet
}

fn version_before(books: &Books, write: &Write) -> Option<i64> {
    match write {
        Write::Create(record) | Write::Update(record) => books.record(&record.key()).map(Record::version),
        _ => None,
    }
}

impl Sheet {
    fn take(&mut self, plan: Plan, head: &mut AuditHead, books: &mut Books, now: Timestamp) {
        let facts = facts_of(&plan, books);
        for write in plan.writes {
            match write {
                Write::Create(_) | Write::Update(_) => {}
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

    fn rows(&mut self, touched: BTreeMap<RecordKey, Touched>, books: &Books) {
        for (key, Touched { base }) in touched {
            // A row that was purged in the same batch is gone.
            let Some(record) = books.record(&key).cloned() else { continue };
            match base {
                None => self.creates.push(record),
                Some(version) => self.updates.push((record, version)),
            }
        }
    }
}

/// Every row that the plan changed, as it left it; `None` when it changed none.
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
            _ => {}
        }
    }
    if facts.rows.is_empty() && facts.purged.is_empty() {
        return None;
    }
    serde_json::to_string(&facts).ok()
}
