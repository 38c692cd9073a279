//! Stripe's Idempotency-Key: what makes sending twice the same as sending once, for a day.

use http::HeaderValue;

/// Characters of a key, as Stripe limits them.
const CHARS_MAX: usize = 255;

/// Names one operation. Recorded with the operation before it is sent, and the same whenever it is sent again.
///
/// Stripe keeps the first answer under a key for at least 24 hours; after that the operation must be looked up, not
/// repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A key that Stripe would not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key has 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// From the operation's own id.
    ///
    /// # Errors
    /// If Stripe would not take it.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let key = key.into();
        let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=CHARS_MAX).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        for good in ["gen_1", "a", &"x".repeat(255)] {
            assert_eq!(IdempotencyKey::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\n", "é", &"x".repeat(256)] {
            assert_eq!(IdempotencyKey::new(bad), Err(InvalidIdempotencyKey), "{bad:?}");
        }
    }
}
