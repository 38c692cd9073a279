//! Redis's answers as plain values, whichever protocol version brought them.

use redis::Value;

/// An array's elements; nothing for anything else.
pub(crate) fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => Vec::new(),
    }
}

/// An integer, or a float or text that is one.
pub(crate) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        #[expect(clippy::cast_possible_truncation, reason = "scores are whole numbers below 2^53")]
        Value::Double(number) => Some(*number as i64),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        Value::SimpleString(text) => text.parse().ok(),
        _ => None,
    }
}

/// Text that is UTF-8.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::VerbatimString { text, .. } => Some(text),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

/// Members and their scores: pairs under RESP3, one flat list under RESP2.
pub(crate) fn scored(value: Value) -> Vec<(String, i64)> {
    let mut flat = Vec::new();
    for item in items(value) {
        match item {
            Value::Array(pair) => flat.extend(pair),
            other => flat.push(other),
        }
    }
    let mut flat = flat.into_iter();
    let mut pairs = Vec::new();
    while let (Some(member), Some(score)) = (flat.next(), flat.next()) {
        if let (Some(member), Some(score)) = (text(member), number(&score)) {
            pairs.push((member, score));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_give_the_same_scores() {
        let member = || Value::BulkString(b"a".to_vec());
        let new = Value::Array(vec![Value::Array(vec![member(), Value::Double(1_763_700_000_000.0)])]);
        let old = Value::Array(vec![member(), Value::BulkString(b"1763700000000".to_vec())]);
        assert_eq!(scored(new), [("a".to_owned(), 1_763_700_000_000)]);
        assert_eq!(scored(old), [("a".to_owned(), 1_763_700_000_000)]);
    }
}
