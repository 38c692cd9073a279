//! A stand-in for Stripe: Checkout Sessions, refunds and prices of the v1 API, the hosted payment page, and webhooks.
//!
//! It checks, signs and repeats as Stripe's documents say, and can be told to do everything else. It is written from
//! those documents alone and shares no code with what it tests. Demo money only.

mod api_error;
mod board_page;
mod books;
mod config;
mod control;
mod create_session;
mod delivery;
mod endpoints;
mod error;
mod event;
mod gate;
mod idempotency;
mod log;
mod misbehaviour;
mod pages;
mod params;
mod pay_page;
mod payment;
mod price;
mod route;
mod sender;
mod session;
mod sign;
mod state;
mod switchboard;

pub use crate::switch::Lasts;
pub use config::{API_VERSION, Schedule, StripeConfig, Webhook};
pub use control::{CONNECTIONS_MAX, DELIVERIES_MAX, StripeControl};
pub use error::StripeError;
pub use event::{Answer, Delivery, Event, EventState};
pub use log::{ApiCall, Calls, Fate, Heard};
pub use misbehaviour::Misbehaviour;
pub use payment::{
    Charge, ChargeStatus, Decline, IntentStatus, Paid, PayWith, PaymentIntent, Refund, Settlement,
};
pub use price::Price;
pub use session::{CheckoutSession, LineItem, PaymentStatus, SessionStatus};
pub use sign::signature_header;
pub use state::Stripe;

/// A misbehaviour of this stand-in, switched on.
pub type Switch = crate::switch::Switch<Misbehaviour>;
