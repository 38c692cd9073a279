//! What a buyer chose: the application's own JSON, kept as given, and a digest by which two choices are compared.

use crate::id::digest_of;
use serde_json::Value;

/// The most that one choice may hold, in bytes of JSON.
pub const CHOICE_BYTES_MAX: usize = 256 * 1024;

/// Why a choice is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChoice {
    /// More than [`CHOICE_BYTES_MAX`].
    #[error("the choice holds {bytes} bytes; {CHOICE_BYTES_MAX} is the limit")]
    TooLarge {
        /// What it holds.
        bytes: usize,
    },
    /// `tracks` or `selectedPackages` is absent or empty.
    #[error("a choice needs `tracks` and `selectedPackages`, neither of them empty")]
    Missing,
    /// A NUL, which no database keeps in text.
    #[error("the choice holds a NUL character; leave it out")]
    Nul,
}

/// A choice, checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Choice {
    json: String,
    digest: String,
}

impl Choice {
    /// From the two things the application sends. `tracks` and `packages` are its own and mean nothing here, except
    /// that a catalogue finds package ids among the values of `packages`.
    ///
    /// # Errors
    /// [`BadChoice`] says what is wrong.
    pub fn new(tracks: &Value, packages: &Value) -> Result<Self, BadChoice> {
        if is_empty(tracks) || is_empty(packages) {
            return Err(BadChoice::Missing);
        }
        let json = serde_json::json!({ "tracks": tracks, "selectedPackages": packages }).to_string();
        if json.len() > CHOICE_BYTES_MAX {
            return Err(BadChoice::TooLarge { bytes: json.len() });
        }
        // Escaped in JSON as \u0000; the raw character cannot be in valid JSON.
        if json.contains("\\u0000") {
            return Err(BadChoice::Nul);
        }
        Ok(Self { digest: digest_of(&["choice", &json]), json })
    }

    /// The JSON text, an object of `tracks` and `selectedPackages`.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Equal for equal choices. Key order does not count: `serde_json` sorts it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Choice({} bytes)", self.json.len())
    }
}

/// Absent, null, and everything without an element count as missing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_choice_is_compared_by_meaning() {
        let a = Choice::new(&json!([{"a": 1, "b": 2}]), &json!({"0": "basic"})).unwrap();
        let b = Choice::new(&json!([{"b": 2, "a": 1}]), &json!({"0": "basic"})).unwrap();
        assert_eq!(a.digest(), b.digest());
        let other = Choice::new(&json!([{"a": 1, "b": 2}]), &json!({"0": "pro"})).unwrap();
        assert_ne!(a.digest(), other.digest());
    }

    #[test]
    fn empty_large_and_nul_are_refused() {
        for (tracks, packages) in
            [(json!([]), json!({"0": "x"})), (json!([1]), json!({})), (json!(null), json!(1))]
        {
            assert_eq!(Choice::new(&tracks, &packages), Err(BadChoice::Missing));
        }
        let large = json!(["x".repeat(CHOICE_BYTES_MAX)]);
        assert!(matches!(Choice::new(&large, &json!([1])), Err(BadChoice::TooLarge { .. })));
        assert_eq!(Choice::new(&json!(["a\0b"]), &json!([1])), Err(BadChoice::Nul));
    }
}
