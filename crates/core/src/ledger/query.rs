//! What operators, timers and the dashboard ask for.

use super::plan::{Kind, RecordKey};
use crate::login::UserId;
use crate::time::Timestamp;

/// Rows on one page of a list.
pub const PAGE_MAX: usize = 100;

/// What a timer has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Active checkouts past their time, without a payment under way.
    Checkouts,
    /// Pending payments past their time.
    Payments,
    /// Payments that the provider is to be asked about.
    Asks,
    /// Refunds that nobody has asked the provider for.
    Refunds,
    /// Payments without a user's address, for a person: no timer looks at them.
    WithoutEmail,
    /// Checkouts that left `active` before this moment and have nothing that must be kept.
    Purges {
        /// Exclusive.
        left_before: Timestamp,
    },
}

/// Where a list goes on: after this row, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Of the last row seen.
    pub created_at: Timestamp,
    /// Of the last row seen.
    pub id: String,
}

/// Which rows of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// In this state.
    pub status: Option<String>,
    /// Of this user.
    pub user: Option<UserId>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Newest first.
    pub rows: Vec<T>,
    /// Of these, the ones in which a column that is there for people says something else than those that count.
    pub contradicting: Vec<RecordKey>,
    /// Where the next one begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// How many of what there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// By kind and state.
    pub counts: Vec<(Kind, String, i64)>,
    /// Pending payments past their time, due for a sweep.
    pub overdue_payments: i64,
    /// Processing for longer than an hour.
    pub stale_payments: i64,
    /// Payments without a user's address.
    pub without_email: i64,
    /// Refunds that need a person.
    pub manual_refunds: i64,
    /// Effects to be done.
    pub effects_pending: i64,
    /// Effects given up.
    pub effects_dead: i64,
}
