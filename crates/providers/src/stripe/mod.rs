//! Stripe: Checkout Sessions, refunds and prices, and the webhook's signature and events.
//!
//! The server hands a webhook's header and raw body to [`verify`] and then to [`Event::parse`]; it opens a payment with
//! [`Client::create_session`], and its workers look, expire and refund. Nothing here knows our sessions: which event
//! counts, and what it does, is the caller's. Nothing here reads a clock or invents an idempotency key either: a key
//! belongs to an operation that was recorded before it is sent.
//!
//! Sources: Stripe's API reference ("Checkout Sessions", "Refunds", "Prices", "Idempotent requests", "Errors") and
//! "Verify webhook signatures" at docs.stripe.com.

mod client;
mod config;
mod error;
mod event;
mod form;
mod key;
mod object;
mod request;
mod send;
mod signature;

pub use client::{Client, PRICES_MAX};
pub use config::{API_URL, API_VERSION, Config, ConfigError, Mode, Prices, WEBHOOK_SECRETS_MAX};
pub use error::{Refusal, StripeError};
pub use event::{EVENT_BYTES_MAX, Event, EventError, EventType};
pub use key::{IdempotencyKey, InvalidIdempotencyKey};
pub use object::{
    Charge, CheckoutSession, Dispute, PaymentIntent, PaymentStatus, Price, Refund, RefundStatus,
    SessionStatus,
};
pub use request::{METADATA_PAIRS_MAX, METADATA_VALUE_CHARS_MAX, NewRefund, NewSession};
pub use signature::{HEADER, HEADER_BYTES_MAX, SignatureError, TOLERANCE_S, sign, verify};
