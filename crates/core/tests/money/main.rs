//! The money kinds: their machines on a page, their services on a ledger in memory, and a model checker over both.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step of a test is a failed test")]

mod audit;
mod checkouts;
mod coupons;
mod faults;
mod late_money;
mod ledger;
mod machines;
mod meaning;
mod model;
mod payments;
mod recovery;
mod tables;
mod world;
