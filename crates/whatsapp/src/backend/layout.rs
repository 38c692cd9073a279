//! How the client's tables lie in the vault: one byte string as key and one as value for each row.
//!
//! | kind | key | value, behind the byte that names the layout |
//! |---|---|---|
//! | `Identity` | address | 32 bytes |
//! | `Session` | address | the client's record |
//! | `PreKey` | id | 1 when the server has it, else 0; the record |
//! | `SignedPreKey` | id | the record |
//! | `SenderKey` | address | the record |
//! | `SyncKey` | `0` + key id; `1`: which one was stored last | JSON; a key id |
//! | `SyncVersion` | collection | JSON |
//! | `MutationMac` | (collection, index MAC) | the value MAC |
//! | `SenderKeyDevice` | (group, device) | 1 when it has our sender key, else 0 |
//! | `LidMapping` | `0` + LID; `1` + phone number | JSON; a LID |
//! | `BaseKey` | (address, message id) | the key |
//! | `DeviceList` | user | JSON |
//! | `GroupMetadata` | group | the client's blob |
//! | `TcToken` | contact | JSON |
//! | `SentMessage` | `0` + (chat, message id); `1` + a caller's idempotency key | seconds, the message; JSON |
//! | `PendingInbound` | (chat, sender, message id) | seconds, the message |
//! | `MessageSecret` | (chat, sender, message id) | secret, seconds of expiry, seconds of the message |
//!
//! Ids and seconds are big-endian, so that rows lie in their order. The parts of a (tuple) carry their length: a peer
//! chooses some of them, and none may be taken for another. What the client itself describes to serde is JSON, because
//! its types grow with its releases and JSON is the form whose old rows its authors test; everything large or secret is
//! raw bytes already.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sessile_core::whatsapp::KeyKind;
use whatsapp_rust::serde_json;

/// Names this layout; the first byte of every value.
const LAYOUT: u8 = 1;
/// Of a key whose kind keeps two sorts of rows: the sort that the client asked for.
pub(crate) const MAIN: u8 = 0;
/// Of a key whose kind keeps two sorts of rows: what leads there.
pub(crate) const SIDE: u8 = 1;

/// A stored row that this layout does not explain.
#[derive(Debug, thiserror::Error)]
#[error(
    "a stored row of kind {kind} cannot be read ({why}); it was written by a newer release, or is damaged"
)]
pub(crate) struct Unreadable {
    kind: &'static str,
    why: String,
}

impl Unreadable {
    /// Says what does not fit.
    pub(crate) fn new(kind: KeyKind, why: impl ToString) -> Self {
        Self { kind: kind.as_str(), why: why.to_string() }
    }
}

/// Several parts as one key; no part can reach into the next.
pub(crate) fn tuple(parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        key.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// The parts of a key that [`tuple`] made.
pub(crate) fn parts(mut key: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while !key.is_empty() {
        let (length, rest) = key.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        parts.push(part);
        key = rest;
    }
    Some(parts)
}

/// A key of one of a kind's two sorts.
pub(crate) fn sorted(sort: u8, key: &[u8]) -> Vec<u8> {
    [&[sort], key].concat()
}

/// Part of a key that is text.
pub(crate) fn text(kind: KeyKind, bytes: &[u8]) -> Result<String, Unreadable> {
    String::from_utf8(bytes.to_vec()).map_err(|error| Unreadable::new(kind, error))
}

/// A value as it is stored.
pub(crate) fn wrap(parts: &[&[u8]]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    value.push(LAYOUT);
    parts.iter().for_each(|part| value.extend_from_slice(part));
    value
}

/// What [`wrap`] wrapped.
pub(crate) fn unwrap(kind: KeyKind, value: &[u8]) -> Result<&[u8], Unreadable> {
    match value.split_first() {
        Some((&LAYOUT, body)) => Ok(body),
        Some((other, _)) => {
            Err(Unreadable::new(kind, format!("layout {other}, this release knows {LAYOUT}")))
        }
        None => Err(Unreadable::new(kind, "empty")),
    }
}

/// What the client describes to serde, as it is stored.
pub(crate) fn wrap_json<T: Serialize>(kind: KeyKind, value: &T) -> Result<Vec<u8>, Unreadable> {
    let json = serde_json::to_vec(value).map_err(|error| Unreadable::new(kind, error))?;
    Ok(wrap(&[&json]))
}

/// What [`wrap_json`] wrapped.
pub(crate) fn unwrap_json<T: DeserializeOwned>(kind: KeyKind, value: &[u8]) -> Result<T, Unreadable> {
    json(kind, unwrap(kind, value)?)
}

/// What the client describes to serde, without the byte before it.
pub(crate) fn json<T: DeserializeOwned>(kind: KeyKind, body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| Unreadable::new(kind, error))
}

/// Takes a big-endian number of 8 bytes from the front.
pub(crate) fn seconds(kind: KeyKind, body: &[u8]) -> Result<(i64, &[u8]), Unreadable> {
    let (head, rest) = body.split_first_chunk::<8>().ok_or_else(|| Unreadable::new(kind, "too short"))?;
    Ok((i64::from_be_bytes(*head), rest))
}

/// A value of fixed length.
pub(crate) fn exact<const N: usize>(kind: KeyKind, body: &[u8]) -> Result<[u8; N], Unreadable> {
    body.try_into().map_err(|_| Unreadable::new(kind, format!("{} bytes in place of {N}", body.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_of_another_layout_is_refused_and_named() {
        let error = unwrap(KeyKind::Session, &[9, 1, 2]).expect_err("layout 9 is unknown");
        assert!(error.to_string().contains("session") && error.to_string().contains("layout 9"), "{error}");
        assert!(unwrap(KeyKind::Session, &[]).is_err());
    }

    proptest! {
        #[test]
        fn parts_come_back_and_never_alias(a in proptest::collection::vec(any::<Vec<u8>>(), 0..4), b in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let slices = |all: &[Vec<u8>]| tuple(&all.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let key = slices(&a);
            prop_assert_eq!(parts(&key).unwrap(), a.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(slices(&a) == slices(&b), a == b);
        }
    }
}
