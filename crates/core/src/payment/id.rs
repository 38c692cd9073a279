//! Names of payments, and of what providers call their own side of one.

use crate::entropy::{Entropy, NoEntropy};
use crate::id::{text_id, timed_id};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_id! {
    /// One attempt of a buyer to pay.
    PaymentId
}
timed_id!(PaymentId, "pay_");

text_id! {
    /// What the provider knows a payment by (`merchant_trans_id`, the order). Opaque: it says nothing about the user.
    OrderId
}

text_id! {
    /// A coupon's row; what people type is its code.
    CouponId
}
timed_id!(CouponId, "cpn_");

text_id! {
    /// Money going back.
    RefundId
}

/// Characters of an [`OrderId`] that we make.
pub const ORDER_CHARS: usize = 24;
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

impl OrderId {
    /// 24 lower-case letters and digits, the first and the last a letter: four that turn with the seconds, so that what is
    /// made together lies together in the index, and twenty random ones (102 bits). Click's signature does not
    /// separate its fields, so that an order has one length and ends in letters keeps every signed text unambiguous.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut text = turning(now);
        let mut bytes = [0_u8; 64];
        while text.len() < ORDER_CHARS {
            entropy.fill(&mut bytes)?;
            for byte in bytes {
                let letters: &[u8] = if text.len() == ORDER_CHARS - 1 { LETTERS } else { ALPHABET };
                if text.len() < ORDER_CHARS
                    && let Some(letter) = unbiased(letters, byte)
                {
                    text.push(letter);
                }
            }
        }
        Ok(Self(text.into()))
    }
}

/// A letter and three more characters that sort by the second, over and over again every two weeks.
fn turning(now: Timestamp) -> String {
    let seconds = now.unix_seconds().unsigned_abs();
    let digit = |place: u32, base: &[u8]| {
        let at = seconds / 36_u64.pow(place) % base.len() as u64;
        char::from(base[usize::try_from(at).unwrap_or(0)])
    };
    [digit(3, LETTERS), digit(2, ALPHABET), digit(1, ALPHABET), digit(0, ALPHABET)].into_iter().collect()
}

/// The letter that a random byte stands for; `None` for the bytes that would favour some letters.
fn unbiased(letters: &[u8], byte: u8) -> Option<char> {
    let fair = 256 / letters.len() * letters.len();
    let at = usize::from(byte);
    (at < fair).then(|| char::from(letters[at % letters.len()]))
}

impl RefundId {
    /// The refund that a caller's idempotency key names: the same key is the same refund.
    #[must_use]
    pub fn of_key(scope: &str, key: &str) -> Self {
        Self(format!("ref_{}", &crate::id::digest_of(&["refund", scope, key])[..32]).into())
    }
}

impl CouponId {
    /// The coupon that a caller's idempotency key names.
    #[must_use]
    pub fn of_key(scope: &str, key: &str) -> Self {
        Self(format!("cpn_{}", &crate::id::digest_of(&["coupon", scope, key])[..32]).into())
    }
}

/// The provider's number of one attempt (`click_trans_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransId(pub i64);

/// The provider's number that the customer sees (`click_paydoc_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaydocId(pub i64);

/// Our number of a prepared attempt (`merchant_prepare_id`): always ten digits, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PrepareId(i64);

/// How many numbers there are.
const RANGE: u64 = (PrepareId::MAX - PrepareId::MIN + 1).unsigned_abs();
/// How many of them belong to one second.
const STRETCH: u64 = 16 * 1024;

fn random_below(limit: u64, entropy: &dyn Entropy) -> Result<u64, NoEntropy> {
    let mut bytes = [0_u8; 8];
    entropy.fill(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes) % limit)
}

impl PrepareId {
    /// The smallest one.
    pub const MIN: i64 = 1_000_000_000;
    /// The largest one: providers keep it in 32 bits.
    pub const MAX: i64 = 2_147_483_647;

    /// `None` outside the range.
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number < Self::MIN || number > Self::MAX { None } else { Some(Self(number)) }
    }

    /// A random one within the stretch of the range that belongs to this second, so that what is made together lies
    /// together in the index. The range is small: whoever stores it checks that it is free.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let begin = now.unix_seconds().unsigned_abs().wrapping_mul(STRETCH);
        Ok(Self::at(begin + random_below(STRETCH, entropy)?))
    }

    /// A random one of the whole range.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn anywhere(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        random_below(RANGE, entropy).map(Self::at)
    }

    fn at(offset: u64) -> Self {
        Self(Self::MIN + i64::try_from(offset % RANGE).unwrap_or(0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn orders_have_one_shape() {
        for _ in 0..200 {
            let order = OrderId::generate(Timestamp::from_unix_ms(1_763_700_000_000), &OsEntropy).unwrap();
            let text = order.as_str().as_bytes();
            assert_eq!(text.len(), ORDER_CHARS);
            assert!(text[0].is_ascii_lowercase() && text[23].is_ascii_lowercase());
            assert!(text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
            assert!(!format!("{order:?}").contains(order.as_str()));
        }
    }

    #[test]
    fn prepare_ids_have_ten_digits() {
        for _ in 0..200 {
            let id = PrepareId::generate(Timestamp::from_unix_ms(1_763_700_000_000), &OsEntropy).unwrap();
            assert_eq!(PrepareId::new(id.get()), Some(id));
            assert_eq!(id.get().to_string().len(), 10);
        }
        assert_eq!(PrepareId::new(999_999_999), None);
        assert_eq!(PrepareId::new(2_147_483_648), None);
    }

    #[test]
    fn one_key_is_one_refund() {
        assert_eq!(RefundId::of_key("a", "k"), RefundId::of_key("a", "k"));
        assert_ne!(RefundId::of_key("a", "bk"), RefundId::of_key("ab", "k"));
    }
}
