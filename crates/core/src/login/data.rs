//! What a login session holds: the JSON object that express-session stores, kept exactly as it came.
//!
//! Only the top level is taken apart; each value stays the text it was, so integers stay integers, key order is
//! kept and a key that nobody touched is written back byte for byte. Two top-level keys are special: `cookie`
//! (express-session's own) and [`DEVICE_KEY`] (ours).

use super::cookie::CookieFields;
use super::id::UserId;
use crate::time::Timestamp;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;

/// Where our own facts about the session live in its JSON. Express keeps unknown keys as they are.
pub const DEVICE_KEY: &str = "sessile";
/// Where express-session keeps the cookie's attributes.
pub const COOKIE_KEY: &str = "cookie";
/// What a session may hold, in bytes of JSON.
pub const DATA_BYTES_MAX: usize = 64 * 1024;

/// Names that express-session's `Session` object has already: it drops such a key on load and erases it on the
/// next save (`for (prop in data) if (!(prop in this)) …`), so nobody may set one.
const RESERVED: [&str; 21] = [
    COOKIE_KEY,
    DEVICE_KEY,
    "id",
    "req",
    "touch",
    "save",
    "reload",
    "destroy",
    "regenerate",
    "resetMaxAge",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
];

/// Why a value could not be put into or taken out of a session.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The key belongs to express-session or to us.
    #[error("`{0}` is reserved: an Express peer would erase it. Choose another key")]
    ReservedKey(String),
    /// The value has no JSON form, or the stored value is not of the type asked for.
    #[error("the value of `{key}` does not have the type asked for")]
    WrongType {
        /// Which key.
        key: String,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
    /// The answer has left already.
    #[error(
        "the session was committed before the first byte of the answer; change it before the handler returns"
    )]
    TooLate,
}

/// What we know of the device behind a session, stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// When the session began; the absolute timeout counts from here. Unix milliseconds.
    pub created_at: i64,
    /// The `User-Agent` at that time, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The coarse network address at that time (`203.0.113.0/24`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Device {
    /// When the session began.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.created_at)
    }
}

/// The data of one login session.
#[derive(Debug, Clone, Default)]
pub struct LoginData {
    cookie: Option<CookieFields>,
    device: Option<Device>,
    entries: Vec<(Box<str>, Box<RawValue>)>,
}

impl LoginData {
    /// A session that holds nothing.
    pub const EMPTY: Self = Self {
        cookie: None,
        device: None,
        entries: Vec::new(),
    };

    /// Reads a stored value.
    ///
    /// # Errors
    /// When it is not a JSON object, or its `cookie` is not one.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The value to store. `cookie` comes first, as express-session writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(256);
        out.push('{');
        if let Some(cookie) = &self.cookie {
            push_entry(&mut out, COOKIE_KEY, &cookie.to_json());
        }
        for (key, value) in &self.entries {
            push_entry(&mut out, key, value.get());
        }
        if let Some(json) = self.device.as_ref().and_then(|d| serde_json::to_string(d).ok()) {
            push_entry(&mut out, DEVICE_KEY, &json);
        }
        out.push('}');
        out
    }

    /// The value under `key`, or `None` when there is none.
    ///
    /// # Errors
    /// [`DataError::WrongType`] when it is something else than a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataError> {
        let read = |json| {
            serde_json::from_str(json).map_err(|source| DataError::WrongType {
                key: key.to_owned(),
                source,
            })
        };
        self.raw(key).map(read).transpose()
    }

    /// The JSON text under `key`.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(k, _)| &**k == key)
            .map(|(_, value)| value.get())
    }

    /// Sets `key`; a key that exists keeps its place.
    ///
    /// # Errors
    /// [`DataError::ReservedKey`], or [`DataError::WrongType`] when `value` has no JSON form.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), DataError> {
        refuse_reserved(key)?;
        let raw = serde_json::value::to_raw_value(value).map_err(|source| DataError::WrongType {
            key: key.to_owned(),
            source,
        })?;
        self.put(key, Some(raw));
        Ok(())
    }

    /// Removes `key`; says whether it was there.
    pub fn remove(&mut self, key: &str) -> Removed {
        let before = self.entries.len();
        self.put(key, None);
        if self.entries.len() < before {
            Removed::Yes
        } else {
            Removed::WasAbsent
        }
    }

    /// Removes every key, but keeps the cookie's attributes and the device.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The keys, in the order in which they were first set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| &**key)
    }

    /// Whether no key is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The user that `user_key` names: a JSON string's content, or a number's digits.
    #[must_use]
    pub fn user(&self, user_key: &str) -> Option<UserId> {
        let json = self.raw(user_key)?;
        match serde_json::from_str::<serde_json::Value>(json).ok()? {
            serde_json::Value::String(text) => UserId::parse(text),
            serde_json::Value::Number(number) => UserId::parse(number.to_string()),
            _ => None,
        }
    }

    /// Whether both hold the same keys with the same JSON, whatever their cookies say.
    #[must_use]
    pub fn same_entries(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self
                .entries
                .iter()
                .all(|(key, value)| other.raw(key) == Some(value.get()))
    }

    /// What was changed on the way from `before` to `self`, key by key.
    #[must_use]
    pub fn edits_since(&self, before: &Self) -> Vec<Edit> {
        let set = self
            .entries
            .iter()
            .filter(|(key, value)| before.raw(key) != Some(value.get()));
        let gone = before.entries.iter().filter(|(key, _)| self.raw(key).is_none());
        set.map(|(key, value)| Edit {
            key: key.clone(),
            value: Some(value.clone()),
        })
        .chain(gone.map(|(key, _)| Edit {
            key: key.clone(),
            value: None,
        }))
        .collect()
    }

    /// Applies edits on top of whatever this holds now: disjoint keys merge, the same key is last-come wins.
    pub fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            self.put(&edit.key, edit.value.clone());
        }
    }

    /// The cookie's attributes as stored; `None` when a foreign writer left them out.
    #[must_use]
    pub const fn cookie(&self) -> Option<&CookieFields> {
        self.cookie.as_ref()
    }

    /// Replaces the cookie's attributes.
    pub fn set_cookie(&mut self, cookie: CookieFields) {
        self.cookie = Some(cookie);
    }

    /// What is known of the device; `None` for a session that only Express has written.
    #[must_use]
    pub const fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// Records the device.
    pub fn set_device(&mut self, device: Device) {
        self.device = Some(device);
    }

    fn put(&mut self, key: &str, value: Option<Box<RawValue>>) {
        let place = self.entries.iter().position(|(k, _)| &**k == key);
        match (place, value) {
            (Some(place), Some(value)) => self.entries[place].1 = value,
            (Some(place), None) => drop(self.entries.remove(place)),
            (None, Some(value)) => self.entries.push((key.into(), value)),
            (None, None) => {}
        }
    }
}

/// One changed top-level key: set to `value`, or removed.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The key.
    pub key: Box<str>,
    /// Its new JSON; `None` removes it.
    pub value: Option<Box<RawValue>>,
}

/// What [`LoginData::remove`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// The key was there.
    Yes,
    /// There was no such key.
    WasAbsent,
}

/// Refuses a key that express-session or we use ourselves.
///
/// # Errors
/// [`DataError::ReservedKey`].
pub fn refuse_reserved(key: &str) -> Result<(), DataError> {
    if RESERVED.contains(&key) {
        Err(DataError::ReservedKey(key.to_owned()))
    } else {
        Ok(())
    }
}

fn push_entry(out: &mut String, key: &str, json: &str) {
    if out.len() > 1 {
        out.push(',');
    }
    // A string always has a JSON form.
    out.push_str(&serde_json::to_string(key).unwrap_or_default());
    out.push(':');
    out.push_str(json);
}

impl<'de> Deserialize<'de> for LoginData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevel)
    }
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = LoginData;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LoginData, A::Error> {
        let mut data = LoginData {
            entries: Vec::with_capacity(8),
            ..LoginData::default()
        };
        while let Some(key) = map.next_key::<Box<str>>()? {
            match &*key {
                COOKIE_KEY => data.cookie = map.next_value::<Option<CookieFields>>()?,
                // A foreign value under our key is not worth losing a session for.
                DEVICE_KEY => {
                    let raw = map.next_value::<Box<RawValue>>()?;
                    data.device = serde_json::from_str(raw.get()).ok();
                }
                reserved if RESERVED.contains(&reserved) => drop(map.next_value::<IgnoredAny>()?),
                // JSON.parse: of a repeated key the last value counts.
                _ => match data.entries.iter().position(|(k, _)| *k == key) {
                    Some(place) => data.entries[place].1 = map.next_value()?,
                    None => data.entries.push((key, map.next_value()?)),
                },
            }
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: &str = r#"{"cookie":{"originalMaxAge":604800000,"expires":"2026-11-28T00:00:00.000Z","httpOnly":true,"path":"/"},"n":9007199254740993,"f":1.0,"big":1e400,"z":{"b":1,"a":[]},"a":"é\u0000"}"#;

    #[test]
    fn untouched_values_are_written_back_byte_for_byte() {
        assert_eq!(LoginData::parse(STORED).unwrap().to_json(), STORED);
    }

    #[test]
    fn a_set_key_keeps_its_place_and_a_new_one_comes_last() {
        let mut data = LoginData::parse(r#"{"a":1,"b":2}"#).unwrap();
        data.set("a", "x").unwrap();
        data.set("c", &[1, 2]).unwrap();
        assert_eq!(data.remove("b"), Removed::Yes);
        assert_eq!(data.to_json(), r#"{"a":"x","c":[1,2]}"#);
    }

    #[test]
    fn edits_merge_with_what_others_wrote_meanwhile() {
        let base = LoginData::parse(r#"{"a":1,"b":2}"#).unwrap();
        let mut mine = base.clone();
        mine.set("a", &10).unwrap();
        mine.remove("b");
        let mut theirs = LoginData::parse(r#"{"a":1,"b":2,"c":3}"#).unwrap();
        theirs.apply(&mine.edits_since(&base));
        assert_eq!(theirs.to_json(), r#"{"a":10,"c":3}"#);
    }

    #[test]
    fn reserved_keys_are_refused_with_a_remedy() {
        for key in RESERVED {
            let refused = LoginData::default().set(key, &1).unwrap_err();
            assert!(refused.to_string().contains("Choose another key"), "{refused}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in ["", "null", "[]", "1", "{", r#"{"cookie":5}"#, "{\"a\":\u{1}}"] {
            assert!(LoginData::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn users_are_strings_or_numbers() {
        let data = LoginData::parse(r#"{"s":"u1","n":42,"o":{},"e":""}"#).unwrap();
        assert_eq!(data.user("s").unwrap().as_str(), "u1");
        assert_eq!(data.user("n").unwrap().as_str(), "42");
        assert_eq!(
            (data.user("o"), data.user("e"), data.user("x")),
            (None, None, None)
        );
    }
}
