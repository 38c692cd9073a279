//! JSON as `jsonb` gives it back, in the one spelling that everything else of ours has: without spaces, keys sorted by
//! their bytes. Numbers and strings are passed on as they are, so that none loses a digit.

use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Deeper than this nothing of ours is; what is, stays as it was spelled.
const DEPTH_MAX: usize = 128;

/// The same value in our spelling.
pub(super) fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    put(text.trim(), 0, &mut out);
    out
}

fn put(text: &str, depth: usize, out: &mut String) {
    if depth < DEPTH_MAX {
        if text.starts_with('{')
            && let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text)
        {
            return put_all('{', fields.into_iter().map(|(key, value)| (Some(key), value)), '}', depth, out);
        }
        if text.starts_with('[')
            && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text)
        {
            return put_all('[', items.into_iter().map(|value| (None, value)), ']', depth, out);
        }
    }
    out.push_str(text);
}

fn put_all<'a>(
    open: char,
    items: impl Iterator<Item = (Option<String>, &'a RawValue)>,
    close: char,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    for (at, (key, value)) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        if let Some(key) = key {
            out.push_str(&serde_json::Value::String(key).to_string());
            out.push(':');
        }
        put(value.get().trim(), depth + 1, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_changes_and_values_do_not() {
        let given = r#"{"tracks": [{"b": 1.10, "a": "x: {y}, \"z\"\n"}, []], "ä": null, "n": 123456789012345678901234567890}"#;
        let ours =
            r#"{"n":123456789012345678901234567890,"tracks":[{"a":"x: {y}, \"z\"\n","b":1.10},[]],"ä":null}"#;
        assert_eq!(spelled(given), ours);
        assert_eq!(spelled(" 7 "), "7");
        let deep = format!("{}{}", "[ ".repeat(500), "] ".repeat(500));
        assert!(spelled(&deep).starts_with("[[["));
    }
}
