//! Idempotency-Keys as Stripe documents them: the first answer of an endpoint that began its work is kept for 24 hours
//! and given again; other parameters are an error; a key whose first call is under way is in use.
//!
//! Pure: time is an argument.

use super::api_error::ApiError;
use crate::shelf::Shelf;

/// The longest key.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 3600 * 1000;
/// Keys kept; the oldest is forgotten above that.
const KEYS_MAX: usize = 50_000;

/// An answer as it was first given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) request: String,
}

#[derive(Debug)]
struct Entry {
    at_ms: i64,
    endpoint: String,
    parameters: String,
    stored: Option<Stored>,
}

/// What a key is good for now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Go on, and then call [`Keys::finish`] or [`Keys::forget`].
    First,
    /// Answer this.
    Replay(Stored),
}

#[derive(Debug)]
pub(crate) struct Keys(Shelf<Option<Entry>>);

impl Default for Keys {
    fn default() -> Self {
        Self(Shelf::new(KEYS_MAX))
    }
}

impl Keys {
    pub(crate) fn begin(
        &mut self,
        key: &str,
        endpoint: &str,
        parameters: &str,
        now_ms: i64,
    ) -> Result<Begun, ApiError> {
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(ApiError::invalid(format!(
                "The idempotency key provided is too long: it may have up to {KEY_CHARS_MAX} characters."
            )));
        }
        let known = self.0.get(key).and_then(Option::as_ref).filter(|entry| now_ms - entry.at_ms < KEPT_MS);
        if let Some(entry) = known {
            if entry.endpoint != endpoint {
                return Err(mismatch(format!(
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                     ('{}' vs '{endpoint}'). Try using a key other than '{key}' if you meant to execute a different \
                     request.",
                    entry.endpoint
                )));
            }
            if entry.parameters != parameters {
                return Err(mismatch(format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used \
                     with. Try using a key other than '{key}' if you meant to execute a different request."
                )));
            }
            return entry.stored.clone().map(Begun::Replay).ok_or_else(|| in_use(key));
        }
        let (endpoint, parameters) = (endpoint.to_owned(), parameters.to_owned());
        self.0.put(key, Some(Entry { at_ms: now_ms, endpoint, parameters, stored: None }));
        Ok(Begun::First)
    }

    /// The call was carried out: this is its answer from now on.
    pub(crate) fn finish(&mut self, key: &str, stored: Stored) {
        if let Some(Some(entry)) = self.0.get_mut(key) {
            entry.stored = Some(stored);
        }
    }

    /// The call was refused before anything was done: the key is as new.
    pub(crate) fn forget(&mut self, key: &str) {
        if let Some(entry) = self.0.get_mut(key) {
            *entry = None;
        }
    }
}

fn mismatch(message: String) -> ApiError {
    ApiError::new(400, "idempotency_error", message)
}

/// 409: the first call with this key is under way.
pub(crate) fn in_use(key: &str) -> ApiError {
    ApiError::new(
        409,
        "idempotency_error",
        format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through): {key}. Please try again later."
        ),
    )
    .code("idempotency_key_in_use")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        Stored { status: 200, body: "{}".into(), request: "req_1".into() }
    }

    #[test]
    fn the_first_answer_is_given_again_for_a_day() {
        let mut keys = Keys::default();
        assert_eq!(keys.begin("k", "/v1/x", "a=1", 0), Ok(Begun::First));
        assert_eq!(keys.begin("k", "/v1/x", "a=1", 1).unwrap_err().status, 409);
        keys.finish("k", stored());
        assert_eq!(keys.begin("k", "/v1/x", "a=1", KEPT_MS - 1), Ok(Begun::Replay(stored())));
        assert_eq!(keys.begin("k", "/v1/x", "a=1", KEPT_MS), Ok(Begun::First));
    }

    #[test]
    fn other_parameters_and_other_endpoints_are_errors() {
        let mut keys = Keys::default();
        keys.begin("k", "/v1/x", "a=1", 0).unwrap();
        keys.finish("k", stored());
        let other = keys.begin("k", "/v1/x", "a=2", 0).unwrap_err();
        assert_eq!((other.status, other.kind), (400, "idempotency_error"));
        assert!(keys.begin("k", "/v1/y", "a=1", 0).unwrap_err().message.contains("same endpoint"));
        assert!(keys.begin(&"k".repeat(256), "/v1/x", "", 0).is_err());
    }

    #[test]
    fn a_refused_call_leaves_the_key_as_new() {
        let mut keys = Keys::default();
        keys.begin("k", "/v1/x", "a=1", 0).unwrap();
        keys.forget("k");
        assert_eq!(keys.begin("k", "/v1/x", "a=2", 0), Ok(Begun::First));
    }
}
