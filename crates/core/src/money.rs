//! Money: whole minor units with their currency, never a float.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The most that one payment may be, in minor units: ten thousand million major ones. Sums of it stay far from `i64`.
pub const MINOR_MAX: i64 = 1_000_000_000_000;
/// Minor units in one major unit. Every currency that is known here has two decimals (ISO 4217).
pub const MINOR_PER_MAJOR: i64 = 100;

/// An amount in minor units (tiyin, cents), 0 to [`MINOR_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Minor(i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `None` when negative or above [`MINOR_MAX`].
    #[must_use]
    pub const fn new(units: i64) -> Option<Self> {
        if units < 0 || units > MINOR_MAX { None } else { Some(Self(units)) }
    }

    /// From whole major units (so'm, dollars); `None` when negative or too much.
    #[must_use]
    pub fn from_major(units: i64) -> Option<Self> {
        units.checked_mul(MINOR_PER_MAJOR).and_then(Self::new)
    }

    /// Minor units.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whole major units, rounded down.
    #[must_use]
    pub const fn whole(self) -> i64 {
        self.0 / MINOR_PER_MAJOR
    }

    /// Whether nothing is to pay.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `None` beyond [`MINOR_MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// What is left, at least nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }

    /// `floor(self * percent / 100)`, at most all of it.
    #[must_use]
    pub fn percent(self, percent: u8) -> Self {
        Self(self.0 * i64::from(percent.min(100)) / 100)
    }

    /// Up to the next whole major unit.
    #[must_use]
    pub fn round_up_to_major(self) -> Self {
        Self((self.0 + MINOR_PER_MAJOR - 1) / MINOR_PER_MAJOR * MINOR_PER_MAJOR)
    }
}

impl TryFrom<i64> for Minor {
    type Error = &'static str;

    fn try_from(units: i64) -> Result<Self, Self::Error> {
        Self::new(units).ok_or("an amount is between 0 and 1000000000000 minor units")
    }
}

impl From<Minor> for i64 {
    fn from(amount: Minor) -> Self {
        amount.0
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / MINOR_PER_MAJOR, self.0 % MINOR_PER_MAJOR)
    }
}

/// A currency by its ISO 4217 letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Uzbek so'm, of 100 tiyin.
    pub const UZS: Self = Self(*b"UZS");

    /// Reads three capital letters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a currency is three capital letters, as UZS")
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// What something costs: the full price, what a coupon takes off, and in which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    /// Before any discount.
    pub original: Minor,
    /// Never more than `original`.
    pub discount: Minor,
    /// Of both.
    pub currency: Currency,
}

impl Price {
    /// Without discount.
    #[must_use]
    pub const fn full(original: Minor, currency: Currency) -> Self {
        Self { original, discount: Minor::ZERO, currency }
    }

    /// What the buyer pays.
    #[must_use]
    pub fn payable(&self) -> Minor {
        self.original.minus(self.discount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_stay_within_their_limits() {
        assert_eq!(Minor::new(-1), None);
        assert_eq!(Minor::new(MINOR_MAX + 1), None);
        assert_eq!(Minor::from_major(i64::MAX), None);
        assert_eq!(Minor::from_major(1000).map(Minor::get), Some(100_000));
        let price = Price { original: Minor(999), discount: Minor(250), currency: Currency::UZS };
        assert_eq!(price.payable().get(), 749);
        assert_eq!(Minor(999).percent(33).get(), 329);
        assert_eq!(Minor(1).percent(255), Minor(1));
        assert_eq!(Minor(101).round_up_to_major().get(), 200);
        assert_eq!(Minor(123_456).to_string(), "1234.56");
        assert!(serde_json::from_str::<Minor>("-5").is_err());
    }
}
