//! A stand-in for Click (Uzbekistan): pay page, SHOP-API messages to the merchant, Merchant API, and its own ledger.
//!
//! It signs, checks and repeats as Click's documents say, and can be told to do everything else. It is written from
//! those documents alone and shares no code with what it tests. Demo money only.

mod amount;
mod attempt;
mod config;
mod control;
mod error;
mod exchange;
mod flow;
mod ledger;
mod merchant_api;
mod message;
mod misbehaviour;
mod pages;
mod patience;
mod pay_page;
mod sender;
mod sign;
mod state;
mod switch;
mod switchboard;

pub use attempt::{Attempt, AttemptState, Payment};
pub use config::{AfterRefusal, Callbacks, ClickConfig, Retry};
pub use control::{CONCURRENCY_MAX, ClickControl};
pub use error::ClickError;
pub use exchange::{Exchange, Reply, Unanswered};
pub use message::{Message, Step};
pub use misbehaviour::Misbehaviour;
pub use state::Click;
pub use switch::{Lasts, Switch, TIMES_MAX};
