//! Checkout sessions: a buyer's choice on its way to payment.
//!
//! [`Checkout`] is the state machine, [`Checkouts`] the service that HTTP calls. A change of mind makes another row,
//! an expired row can be continued once, and nothing here ever ends a checkout while money is on its way to it.

mod catalogue;
mod choice;
mod id;
mod opening;
mod owner;
mod recovery;
mod service;
mod state;
mod template;

pub use catalogue::{Catalogue, ITEMS_MAX, Package, Unpriced};
pub use choice::{BadChoice, CHOICE_BYTES_MAX, Choice};
pub use id::{CheckoutId, GuestHash, GuestToken};
pub use owner::{Caller, Owner};
pub use service::{CheckoutError, Checkouts, Invalid, NewCheckout, Opened, Opening, Recovered, Swept};
pub use state::{
    CHECKOUT_LIFETIME, Checkout, CheckoutEvent, CheckoutState, CheckoutStep, InvalidReason, Money,
    RECOVERY_WINDOW, RENEWALS_MAX,
};

/// The cart that is meant when nobody names one.
pub const DEFAULT_SLOT: &str = "default";
