//! Names of devices, of the processes that own them, and of the steps they take.

use crate::entropy::{Entropy, NoEntropy};
use crate::id::{random_id, text_id};
use std::fmt;

/// The longest name of a device.
const DEVICE_CHARS_MAX: usize = 64;

/// A device's name: what applications call `clientId`. 1 to 64 letters, digits, `.`, `_` or `-`, not beginning with a
/// dot, so that it is a file's name as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(std::sync::Arc<str>);

impl DeviceId {
    /// Reads a name; `None` when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let named = (1..=DEVICE_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain);
        (named && !text.starts_with('.')).then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The device that is meant when nobody names one, as applications have it.
impl Default for DeviceId {
    fn default() -> Self {
        Self("default-client".into())
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_id! {
    /// A process that may own devices; made anew at each start.
    OwnerId
}
random_id!(OwnerId, "own_");

/// Names one step, so that a commit whose answer was lost is recognised when it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StepId(pub [u8; 16]);

impl StepId {
    /// A new name.
    ///
    /// # Errors
    /// [`NoEntropy`] when the operating system gives no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = [0_u8; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_are_names_of_files() {
        for name in ["default-client", "a", "shop.42_b"] {
            assert_eq!(DeviceId::parse(name).map(|id| id.as_str().to_owned()).as_deref(), Some(name));
        }
        for name in ["", ".", "..", ".hidden", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(DeviceId::parse(name), None, "{name}");
        }
    }
}
