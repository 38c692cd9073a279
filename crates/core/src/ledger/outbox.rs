//! What the world must hear: written with the change that causes it, carried out by a worker, retried with backoff
//! for three days, then dead and visible.

use crate::payment::{PaymentId, RefundId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a worker may hold an effect before another one takes it.
pub const EFFECT_LEASE: Duration = Duration::from_secs(60);
/// After this an effect is dead.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const FIRST_PAUSE_MS: u64 = 5_000;
const LONGEST_PAUSE_MS: u64 = 60 * 60 * 1000;

/// One thing to do outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Tell the application, by a signed webhook.
    Webhook {
        /// `payment.completed` and its siblings.
        topic: String,
        /// The event's data, an object.
        data: serde_json::Value,
    },
    /// Ask the provider to give money back.
    Refund {
        /// Which.
        refund: RefundId,
        /// Of which payment.
        payment: PaymentId,
    },
    /// Write a user's tier where the application's sign-in service keeps it.
    Tier {
        /// Whose.
        user: crate::login::UserId,
        /// Which.
        tier: String,
    },
}

/// The kind of an effect, as the table says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EffectKind {
    /// [`Effect::Webhook`]
    Webhook,
    /// [`Effect::Refund`]
    Refund,
    /// [`Effect::Tier`]
    Tier,
}

impl Effect {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EffectKind {
        match self {
            Self::Webhook { .. } => EffectKind::Webhook,
            Self::Refund { .. } => EffectKind::Refund,
            Self::Tier { .. } => EffectKind::Tier,
        }
    }
}

impl EffectKind {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Refund => "refund",
            Self::Tier => "tier",
        }
    }
}

/// An effect before it has a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewEffect {
    /// Unique: the same change decided twice leaves one row. Also the webhook's `webhook-id`.
    pub id: String,
    /// What.
    pub effect: Effect,
}

/// An effect's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// [`NewEffect::id`].
    pub id: String,
    /// What.
    pub effect: Effect,
    /// When it was written.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it is.
    pub state: EffectState,
    /// When it is tried next, or until when a worker holds it.
    pub next_at: Timestamp,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Where an effect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EffectState {
    /// To be done.
    Pending,
    /// Given up, until somebody puts it back.
    Dead,
}

impl EffectState {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }
}

/// What becomes of an effect that could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Again, then.
    At(Timestamp),
    /// No more.
    GiveUp,
}

/// When to try again after `attempts` tries of an effect that was written at `created_at`: 5 s, doubled each time up
/// to an hour, plus up to a fifth of it so that many do not come back at once (`jitter` is any number).
#[must_use]
pub fn retry_after(created_at: Timestamp, attempts: u32, jitter: u32, now: Timestamp) -> Retry {
    let doubled = FIRST_PAUSE_MS.saturating_mul(1_u64 << attempts.saturating_sub(1).min(20));
    let pause = doubled.min(LONGEST_PAUSE_MS);
    let spread = pause / 5 * u64::from(jitter % 1000) / 1000;
    let at = now.plus(Duration::from_millis(pause + spread));
    if at.since(created_at) > GIVE_UP_AFTER { Retry::GiveUp } else { Retry::At(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_go_on_for_three_days() {
        let born = Timestamp::from_unix_ms(1_000);
        assert_eq!(retry_after(born, 1, 0, born), Retry::At(Timestamp::from_unix_ms(6_000)));
        let (mut now, mut tries) = (born, 1);
        while let Retry::At(at) = retry_after(born, tries, 999, now) {
            assert!(at > now);
            (now, tries) = (at, tries + 1);
        }
        assert!((60..90).contains(&tries), "{tries}");
        assert!(now.since(born) > Duration::from_secs(70 * 60 * 60));
    }
}
