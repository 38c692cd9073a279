//! CLICK (Uzbekistan): its callbacks, its pay link, and its Merchant API.
//!
//! The server hands a callback's body to [`parse`], proves it with [`Callback::verify`] and answers with an [`Answer`];
//! it sends the buyer to a [`PayLink`], and its workers ask the [`MerchantApi`] what became of a payment. Nothing here
//! knows our payments: looking up, binding, comparing the amount and deciding are the caller's, in that order.
//!
//! Sources: CLICK's SHOP-API pages ("Click-API: Request", "Error", "Testing") and "Merchant: Request" at docs.click.uz.

mod answer;
mod callback;
mod config;
mod day;
mod error;
mod form;
mod grammar;
mod merchant_api;
mod order;
mod pay_link;
mod refusal;
mod report;
mod signature;

pub use answer::{Answer, Code};
pub use callback::{Action, Callback, Message, PREPARE_ID_MAX, PREPARE_ID_MIN, parse};
pub use config::{API_URL, Config, ConfigError, PAY_URL};
pub use day::Day;
pub use error::ClickError;
pub use form::{BODY_BYTES_MAX, FIELDS_MAX};
pub use grammar::Amount;
pub use merchant_api::MerchantApi;
pub use order::{MerchantTransId, Order};
pub use pay_link::{InvalidAmount, PayLink};
pub use refusal::Refusal;
pub use report::{Report, Reversal, Status};
