//! The ledger: the one place where checkouts, payments, coupons, grants and refunds change, together or not at all.
//!
//! A service names what it has to see ([`Reads`]) and hands in a pure decision; an engine loads that under lock,
//! lets it decide ([`settle`]), writes what came of it - rows, audit and outbox - in one transaction, and answers
//! after the commit. Decisions of many requests share one transaction, one after the other on the same
//! [`Books`], so that nobody ever decides on something stale.

mod audit;
mod books;
mod draft;
mod outbox;
mod plan;
pub mod portable;
mod query;
mod reads;
mod remark;
mod settle;
mod store;

pub use audit::{AuditHead, AuditRow, Broken, Replay, verify};
pub use books::{Books, Clash};
pub(crate) use draft::Draft;
pub use outbox::{EFFECT_LEASE, Effect, EffectKind, EffectRow, EffectState, NewEffect, Retry, retry_after};
pub use plan::{Inbound, Kind, Note, Plan, Record, RecordKey, Write};
pub use query::{Census, Cursor, Due, PAGE_MAX, Page, PaymentFilter};
pub use reads::{CheckoutKey, LEFT_MAX, PaymentKey, Reads};
pub use remark::remark;
pub use settle::{Change, Sheet, settle};
pub use store::{Decision, LedgerStore, Work, transact};
