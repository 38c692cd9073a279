//! Arbitrary text as the stored JSON of a login session: reading takes everything and never panics; what is read is written
//! back with the same meaning, value for value; and the edits that lead from one session to another do lead there.
//!
//! Two sessions, separated by a NUL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sessile_core::login::LoginData;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once('\0').unwrap_or((text, "{}"));
    let Ok(data) = LoginData::parse(first) else { return };
    let written = data.to_json();
    let again = LoginData::parse(&written).expect("what we write, we read");
    assert!(data.same_entries(&again), "{first} was written as {written}");
    assert_eq!(again.to_json(), written, "writing twice is writing once");
    if let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(first) {
        for (key, value) in &fields {
            let raw = data.raw(key).and_then(|raw| serde_json::from_str::<Value>(raw).ok());
            assert!(raw.is_none() || raw.as_ref() == Some(value), "{key} became {raw:?}");
        }
    }
    let _ = (data.user("userId"), data.cookie(), data.device(), data.is_empty());
    let Ok(other) = LoginData::parse(second) else { return };
    let mut merged = data.clone();
    merged.apply(&other.edits_since(&data));
    assert!(merged.same_entries(&other), "edits from {first} lead elsewhere than to {second}");
});
