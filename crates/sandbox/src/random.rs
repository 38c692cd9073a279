//! Names and numbers nobody can guess or repeat: ids as the providers shape them, and the order of a shuffle.

/// Digits and letters, as Stripe's ids use them.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes; without randomness there is nothing sensible left to do, and the number of the call still tells two
/// ids apart.
fn fill(bytes: &mut [u8]) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static CALLS: AtomicU64 = AtomicU64::new(0);
    if getrandom::fill(bytes).is_err() {
        let call = CALLS.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, value) in bytes.iter_mut().zip(call.iter().cycle()) {
            *byte = *value;
        }
    }
}

/// So many digits and letters.
pub(crate) fn letters(count: usize) -> String {
    let mut bytes = vec![0; count];
    fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// A random UUID (version 4).
pub(crate) fn uuid() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A number below `end`; 0 where there is none.
pub(crate) fn below(end: usize) -> usize {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    let number = u64::from_le_bytes(bytes) % u64::try_from(end.max(1)).unwrap_or(u64::MAX);
    usize::try_from(number).unwrap_or(0)
}

/// Another order, every order being equally likely.
pub(crate) fn shuffle<T>(items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, below(at + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_shape_and_differ() {
        assert_eq!(letters(24).len(), 24);
        assert_ne!(letters(24), letters(24));
        let id = uuid();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_ne!(id, uuid());
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>(), "a hundred items stayed in order");
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        assert_eq!(below(0), 0);
    }
}
