//! `merchant_trans_id`: the name under which CLICK knows one of our payments.
//!
//! Anybody can open CLICK's page with a name of their own and so have CLICK sign it. Only a name of our exact shape may
//! ever be looked up: its fixed length and its letters at both ends are what keeps a signed text from being cut elsewhere.

use std::fmt;

/// Characters of a name of ours.
const OURS_CHARS: usize = 24;
/// Characters of any name that is answered at all.
const FOREIGN_CHARS_MAX: usize = 64;

/// A name of ours: 24 lower-case letters and digits, the first and the last a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MerchantTransId(String);

impl MerchantTransId {
    /// `None` if it has another shape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let plain = bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_lowercase);
        let ours = bytes.len() == OURS_CHARS && plain && letter(bytes.first()) && letter(bytes.last());
        ours.then(|| Self(text.to_owned()))
    }

    /// As it is written in links, callbacks and requests.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MerchantTransId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which payment a callback names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// It may be one of ours; look it up.
    Ours(MerchantTransId),
    /// It cannot be: answer -5 and look nothing up. The text is for the answer alone.
    Foreign(String),
}

impl Order {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(id) = MerchantTransId::parse(text) {
            return Some(Self::Ours(id));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let readable = (1..=FOREIGN_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain);
        readable.then(|| Self::Foreign(text.to_owned()))
    }

    /// The name as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ours(id) => id.as_str(),
            Self::Foreign(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_have_one_shape() {
        assert!(MerchantTransId::parse("ckabcdefghijklmnopqrstuv").is_some());
        assert!(MerchantTransId::parse("c00000000000000000000000").is_none());
        for bad in [
            "",
            "ckabcdefghijklmnopqrstu",
            "ckabcdefghijklmnopqrstuvw",
            "1kabcdefghijklmnopqrstuv",
            "ckabcdefghijklmnopqrstu1",
            "Ckabcdefghijklmnopqrstuv",
            "ckabcdefghijk-mnopqrstuv",
            "ckabcdefghijklmnopqrsté",
        ] {
            assert!(MerchantTransId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn other_plain_names_are_foreign_and_the_rest_is_nothing() {
        let longest = "a".repeat(64);
        for foreign in ["1", "user-23_151.x", longest.as_str()] {
            assert_eq!(Order::parse(foreign), Some(Order::Foreign(foreign.to_owned())));
        }
        let too_long = "a".repeat(65);
        for bad in ["", "a b", "a/b", "a'b", "ж", too_long.as_str()] {
            assert_eq!(Order::parse(bad), None, "{bad:?}");
        }
    }
}
