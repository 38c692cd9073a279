//! Coupons: what they take off, who may use them, and how many times.
//!
//! A use is reserved when a payment or a checkout is made, consumed when money is confirmed, and released when
//! nothing comes of it: `used + reserved` never exceeds `max_uses`, except where money arrived after the release,
//! and that is audited.

use super::id::CouponId;
use crate::money::Minor;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Characters of a code.
pub const CODE_CHARS_MAX: usize = 64;

/// What people type: letters, digits, `-` and `_`, compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CouponCode(String);

impl CouponCode {
    /// Reads what somebody typed; `None` when no coupon can have such a code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let shaped = !text.is_empty() && text.len() <= CODE_CHARS_MAX && text.bytes().all(plain);
        shaped.then(|| Self(text.to_ascii_uppercase()))
    }

    /// In capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CouponCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a coupon's code is 1 to 64 letters, digits, - and _")
    }
}

impl From<CouponCode> for String {
    fn from(code: CouponCode) -> Self {
        code.0
    }
}

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Discount {
    /// `floor(amount * value / 100)`; 1 to 100.
    Percentage(u8),
    /// `min(value, amount)`.
    Fixed(Minor),
}

impl Discount {
    /// How much of `amount`.
    #[must_use]
    pub fn off(self, amount: Minor) -> Minor {
        match self {
            Self::Percentage(percent) => amount.percent(percent),
            Self::Fixed(value) => value.min(amount),
        }
    }
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coupon {
    /// Its row.
    pub id: CouponId,
    /// What people type.
    pub code: CouponCode,
    /// For people.
    pub description: Option<String>,
    /// What it takes off.
    pub discount: Discount,
    /// The price that its maker had in mind, for display.
    pub original_price: Option<Minor>,
    /// How often it can be used; `None` is without limit.
    pub max_uses: Option<i64>,
    /// Consumed.
    pub used: i64,
    /// Held by checkouts and payments that are open.
    pub reserved: i64,
    /// Not before.
    pub valid_from: Option<Timestamp>,
    /// Not from then on.
    pub valid_until: Option<Timestamp>,
    /// Switched on or off by an operator.
    pub standing: Standing,
    /// Who made it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Counts changes, from 1.
    pub version: i64,
}

/// Whether an operator lets a coupon be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It may.
    Active,
    /// It may not.
    Inactive,
}

/// A coupon that a payment or a checkout was priced with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CouponHold {
    /// Which.
    pub coupon: CouponId,
    /// What has become of the use.
    pub state: HoldState,
}

/// What has become of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// One use is kept for it.
    Reserved,
    /// The use is spent.
    Consumed,
    /// The use was given back.
    Released,
    /// The checkout keeps the use, its payment only has the price.
    OfCheckout,
}

impl HoldState {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::OfCheckout => "of_checkout",
        }
    }

    /// As it is read.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        [Self::Reserved, Self::Consumed, Self::Released, Self::OfCheckout]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

impl Coupon {
    /// Whether one more use may be reserved at `now`.
    #[must_use]
    pub fn is_available(&self, now: Timestamp) -> bool {
        let begun = self.valid_from.is_none_or(|from| now >= from);
        let over = self.valid_until.is_some_and(|until| now >= until);
        self.standing == Standing::Active && self.has_room() && begun && !over
    }

    /// Whether one more use is within its limit.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.max_uses.is_none_or(|max| self.used + self.reserved < max)
    }

    /// With one use more reserved.
    #[must_use]
    pub fn reserve(&self) -> Self {
        Self { reserved: self.reserved + 1, version: self.version + 1, ..self.clone() }
    }

    /// With one reserved use given back.
    #[must_use]
    pub fn release(&self) -> Self {
        Self { reserved: (self.reserved - 1).max(0), version: self.version + 1, ..self.clone() }
    }

    /// With one use consumed that `held` says was reserved, or was not.
    #[must_use]
    pub fn consume(&self, held: HoldState) -> Self {
        let reserved = if held == HoldState::Reserved { (self.reserved - 1).max(0) } else { self.reserved };
        Self { used: self.used + 1, reserved, version: self.version + 1, ..self.clone() }
    }

    /// Whether more is used than was allowed: money that arrived after its reservation was given back.
    #[must_use]
    pub fn overflows(&self) -> bool {
        self.max_uses.is_some_and(|max| self.used + self.reserved > max)
    }
}
