//! What a session is.
//!
//! Ids, time, chance, secrets, and one module per kind of session with its state, its pure rules and the trait
//! its storage implements. Everything above (HTTP) and below (engines) depends on this crate; it depends on
//! neither, and it never reads a clock, opens a socket or names a database.

pub mod checkout;
pub mod entropy;
pub mod generation;
mod id;
pub mod ledger;
pub mod login;
pub mod money;
pub mod payment;
pub mod portable;
pub mod sealing;
pub mod secret;
pub mod store;
pub mod time;
pub mod user;
pub mod whatsapp;

pub use entropy::{Entropy, OsEntropy};
pub use id::fingerprint_of;
pub use sealing::SealingKeys;
pub use secret::{Secret, SecretList, WeakSecret};
pub use store::StoreError;
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use user::UserDirectory;
