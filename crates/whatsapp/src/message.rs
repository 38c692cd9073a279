//! What a caller sends: a number and a text, refused here when WhatsApp could not take them.

use sessile_core::whatsapp::DeviceId;
use std::fmt;

/// Digits of an international number: E.164 allows 15, and none has fewer than 7.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// The longest text, counted as JavaScript counts: in UTF-16 units.
pub const TEXT_UNITS_MAX: usize = 4096;
/// What people put between the digits.
const PUNCTUATION: [char; 7] = ['+', '-', '.', '(', ')', ' ', '\u{a0}'];
/// Hexadecimal characters behind the prefix of a message's name.
const MESSAGE_ID_BYTES: usize = 9;
/// How WhatsApp's own web client begins the names of its messages.
const MESSAGE_ID_PREFIX: &str = "3EB0";

/// Why a message was refused before anything was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Not an international number.
    #[error(
        "a phone number has 7 to 15 digits with the country code and no leading zero, such as +1 555 123 4567"
    )]
    Number,
    /// No text.
    #[error("the message is empty")]
    Empty,
    /// Too much text.
    #[error("the message has {units} characters; {TEXT_UNITS_MAX} is the limit")]
    TooLong {
        /// How many it has.
        units: usize,
    },
}

/// An international phone number, digits only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people write them.
    ///
    /// # Errors
    /// [`BadMessage::Number`].
    pub fn parse(text: &str) -> Result<Self, BadMessage> {
        let digits: String = text.chars().filter(|c| !PUNCTUATION.contains(c)).collect();
        let is_number = digits.bytes().all(|b| b.is_ascii_digit())
            && DIGITS.contains(&digits.len())
            && !digits.starts_with('0');
        if is_number { Ok(Self(digits)) } else { Err(BadMessage::Number) }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The last two digits: enough to tell two apart in a log, too little to call anybody.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default())
    }
}

/// What a message says.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Checks a text.
    ///
    /// # Errors
    /// [`BadMessage::Empty`] when there is nothing but space, [`BadMessage::TooLong`].
    pub fn parse(text: &str) -> Result<Self, BadMessage> {
        let units = text.encode_utf16().count();
        if text.trim().is_empty() {
            return Err(BadMessage::Empty);
        }
        if units > TEXT_UNITS_MAX {
            return Err(BadMessage::TooLong { units });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Names a message, here and at WhatsApp. A peer takes the same name once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// A new name.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate(entropy: &dyn sessile_core::Entropy) -> Result<Self, sessile_core::entropy::NoEntropy> {
        let mut bytes = [0_u8; MESSAGE_ID_BYTES];
        entropy.fill(&mut bytes)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self(format!("{MESSAGE_ID_PREFIX}{hex}")))
    }

    /// The name of a message that somebody else speaks of.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reached {
    /// WhatsApp has it.
    Server,
    /// The recipient's phone has it.
    Delivered,
    /// The recipient has seen it.
    Read,
    /// The recipient has listened to it.
    Played,
}

impl Reached {
    /// As applications name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
        }
    }
}

/// Somebody received something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Of which device's message.
    pub device: DeviceId,
    /// Which one.
    pub message: MessageId,
    /// How far it has come.
    pub reached: Reached,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_international_and_whole() {
        for text in ["+1 (555) 123-4567", "15551234567", "998.90.123.45.67", "1234567"] {
            assert!(PhoneNumber::parse(text).is_ok(), "{text}");
        }
        for text in ["", "123456", "0155512345", "1234567890123456", "1555abc4567", "+", "１２３４５６７８"]
        {
            assert_eq!(PhoneNumber::parse(text), Err(BadMessage::Number), "{text}");
        }
        assert_eq!(PhoneNumber::parse("+1 555 123 4567").unwrap().as_str(), "15551234567");
    }

    #[test]
    fn texts_have_a_limit_that_javascript_would_count_alike() {
        assert_eq!(Text::parse(" \n"), Err(BadMessage::Empty));
        assert!(Text::parse(&"x".repeat(4096)).is_ok());
        assert_eq!(Text::parse(&"x".repeat(4097)), Err(BadMessage::TooLong { units: 4097 }));
        assert_eq!(Text::parse(&"😀".repeat(2049)), Err(BadMessage::TooLong { units: 4098 }));
    }

    #[test]
    fn neither_numbers_nor_texts_are_in_a_log() {
        let number = PhoneNumber::parse("15551234567").unwrap();
        assert_eq!(format!("{number:?} {:?}", Text::parse("secret").unwrap()), "…67 6 bytes");
    }
}
