//! `Idempotency-Key`: a caller's own name for one request, so that sending it twice does one thing.

use crate::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use http::{HeaderMap, HeaderName};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A key, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

/// The header is there and cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key is sent once, with 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters")]
pub(crate) struct BadKey;

impl Key {
    /// The request's key, if it has one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, BadKey> {
        let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = given.next() else { return Ok(None) };
        let text = value.to_str().map_err(|_| BadKey)?;
        let visible = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && given.next().is_none() { Ok(Some(Self(text.to_owned()))) } else { Err(BadKey) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn key(values: &[&[u8]]) -> Result<Option<Key>, BadKey> {
        let header = |value: &&[u8]| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        Key::of(&values.iter().map(header).collect())
    }

    #[test]
    fn keys_are_visible_and_single() {
        let longest = vec![b'x'; 255];
        assert_eq!(key(&[]), Ok(None));
        assert!(key(&[b"k"]).unwrap().is_some() && key(&[&longest]).unwrap().is_some());
        let too_long = vec![b'x'; 256];
        for bad in [&[&b""[..]][..], &[b"a b"], &["ä".as_bytes()], &[&too_long], &[b"a", b"a"]] {
            assert_eq!(key(bad), Err(BadKey), "{bad:?}");
        }
    }
}
