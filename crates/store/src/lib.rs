//! Where sessions live.
//!
//! One module per engine, each behind the traits of `sessile-core` and each passing one contract suite
//! ([`mod@contract`]). SQL and driver types stay inside; nothing above this crate knows which engine it talks to.
//!
//! | module | for |
//! |---|---|
//! | [`memory`] | tests, last resort |
//! | [`sqlite`] | the embedded default: one writer thread, group commit, `synchronous=FULL` |
//! | [`postgres`] | connect-pg-simple's own table, or a stand-alone one with hashed ids |
//! | [`redis`] | connect-redis's own keys, plain or Cluster |
//! | [`fallback`] | keeps sign-ins going while the primary is away |
//! | [`generation`] | paid jobs, on Redis (`session:<id>`), Postgres or SQLite |
//! | [`ledger`] | checkouts, payments, coupons, grants and refunds, on SQLite or Postgres |
//! | [`users`] | who signed in: a small table on memory, SQLite or Postgres |
//! | [`whatsapp`] | WhatsApp devices, in files, SQLite, Postgres or Supabase |

pub mod contract;
mod ends;
pub mod fallback;
pub mod generation;
mod group;
pub mod ledger;
pub mod memory;
mod open;
mod options;
pub mod postgres;
pub mod redis;
pub mod sqlite;
pub mod users;
pub mod whatsapp;

pub use ends::{LoginEnd, open_login_end};
pub use open::{OpenError, StoreUrl, open_logins};
pub use options::{Choice, Layout, LoginOptions};
