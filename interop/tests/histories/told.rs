//! What the histories came to, counted: a test whose histories do nothing would prove nothing.

use crate::load::is_long;
use crate::tables::Tables;
use sessile_core::payment::{Disposition, How, PaymentState};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// How often what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(BTreeMap<&'static str, u64>);

/// What every run has to have seen.
const WANTED: [&str; 8] =
    ["steps", "faults", "repetitions", "audit rows", "provider messages", "completed", "granted", "expired"];
/// And what a long one has to have seen.
const RARE: [&str; 6] = ["late", "sent back", "refunds", "reconciled", "renewals", "purged"];

impl Told {
    pub(crate) fn count(&mut self, what: &'static str, more: usize) {
        *self.0.entry(what).or_default() += more as u64;
    }

    /// What the rows tell in the end.
    pub(crate) fn of_the_end(&mut self, tables: &Tables) {
        for payment in tables.payments() {
            match &payment.state {
                PaymentState::Completed { how, disposition, .. } => {
                    self.count("completed", 1);
                    self.count("late", usize::from(*how == How::Late));
                    self.count("reconciled", usize::from(*how == How::Reconciled));
                    match disposition {
                        Disposition::Granted => self.count("granted", 1),
                        Disposition::Allocated { .. } => self.count("allocated", 1),
                        Disposition::Refunded { .. } => self.count("sent back", 1),
                    }
                }
                PaymentState::Expired { .. } => self.count("expired", 1),
                PaymentState::Failed { .. } => self.count("failed", 1),
                PaymentState::Pending | PaymentState::Processing { .. } => {}
            }
            self.count("overflows", usize::from(payment.flags.coupon_overflow));
        }
        self.count("renewals", tables.checkouts().filter(|row| row.renewed_from.is_some()).count());
        self.count("purged", tables.purged.len());
        self.count("refunds", tables.refunds().count());
    }
}

/// The same over many histories.
#[derive(Debug, Default)]
pub(crate) struct Counters(RefCell<Told>);

impl Counters {
    pub(crate) fn add(&self, one: &Told) {
        let mut all = self.0.borrow_mut();
        for (what, count) in &one.0 {
            *all.0.entry(what).or_default() += count;
        }
    }

    pub(crate) fn assert_meaningful(&self, name: &str) {
        let all = self.0.borrow();
        let rare = RARE.into_iter().filter(|_| is_long());
        for what in WANTED.into_iter().chain(rare) {
            assert!(all.0.get(what).is_some_and(|count| *count > 0), "{name}: no {what} in any history");
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.borrow();
        let counts: Vec<String> = all.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        f.write_str(&counts.join(", "))
    }
}
