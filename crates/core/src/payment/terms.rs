//! What an installation decides about money: its currency, its tier, its catalogue, and whom it tells.

use super::state::PAYMENT_LIFETIME;
use crate::checkout::Catalogue;
use crate::money::Currency;
use std::time::Duration;

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nobody listens: no row is written.
    Nobody,
    /// The outbox carries it.
    Outbox,
}

/// Whether a payer has to be known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// A user whom a trusted backend names is recorded on first use.
    Vouched,
    /// Only users of the directory pay.
    Strict,
}

/// An installation's decisions.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where no catalogue names one.
    pub currency: Currency,
    /// What a payment without a checkout buys.
    pub tier: String,
    /// What things cost; without one only a trusted backend names an amount.
    pub catalogue: Option<Catalogue>,
    /// How long a buyer has to reach the provider.
    pub lifetime: Duration,
    /// Whether payers have to be known.
    pub users: Users,
    /// Whether the application has a webhook.
    pub webhook: Telling,
    /// Whether a sign-in service keeps tiers too.
    pub tier_sync: Telling,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            currency: Currency::UZS,
            tier: "premium".to_owned(),
            catalogue: None,
            lifetime: PAYMENT_LIFETIME,
            users: Users::Vouched,
            webhook: Telling::Nobody,
            tier_sync: Telling::Nobody,
        }
    }
}
