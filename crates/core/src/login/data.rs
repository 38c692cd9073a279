//! What a login session holds: the JSON object that express-session stores, kept exactly as it came.
//!
//! Only the top level is taken apart, and each part stays a slice of the stored text: integers stay integers, key
//! order is kept, a key that nobody touched is written back byte for byte, and a load copies the text once and
//! builds nothing else. Two top-level keys are special: `cookie` (express-session's own) and [`DEVICE_KEY`] (ours).

use super::cookie::CookieFields;
use super::id::UserId;
use crate::time::Timestamp;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
#[derive(Clone, Default)]
pub struct LoginData {
    source: Option<Arc<str>>,
    cookie: Slot<CookieFields>,
    max_age: Option<Duration>,
    device: Slot<Device>,
    entries: Vec<Entry>,
}

/// A special key: absent, as it was stored, or as it was set since.
#[derive(Clone, Default)]
enum Slot<T> {
    #[default]
    Absent,
    Stored(Text),
    Set(T),
}

#[derive(Clone)]
struct Entry {
    key: Text,
    value: Text,
}

/// A piece of the stored text, or text of its own.
#[derive(Clone)]
enum Text {
    Within(u32, u32),
    Own(Box<str>),
}

impl Text {
    fn as_str<'a>(&'a self, source: Option<&'a str>) -> &'a str {
        match self {
            Self::Within(from, to) => {
                source.and_then(|s| s.get(*from as usize..*to as usize)).unwrap_or_default()
            }
            Self::Own(text) => text,
        }
    }
}

impl LoginData {
    /// A session that holds nothing.
    pub const EMPTY: Self =
        Self { source: None, cookie: Slot::Absent, max_age: None, device: Slot::Absent, entries: Vec::new() };

    /// Reads a stored value.
    ///
    /// # Errors
    /// When it is not a JSON object, or its `cookie` is not one.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let source: Arc<str> = json.into();
        let mut data = {
            let mut text = serde_json::Deserializer::from_str(&source);
            let data = text.deserialize_map(TopLevel { source: &source })?;
            text.end()?;
            data
        };
        data.source = Some(source);
        Ok(data)
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        text.as_str(self.source.as_deref())
    }

    /// The value to store. `cookie` comes first, as express-session writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.source.as_ref().map_or(0, |s| s.len()) + 128);
        out.push('{');
        match &self.cookie {
            Slot::Absent => {}
            Slot::Stored(text) => push_entry(&mut out, COOKIE_KEY, self.text(text)),
            Slot::Set(cookie) => push_entry(&mut out, COOKIE_KEY, &cookie.to_json()),
        }
        for entry in &self.entries {
            push_entry(&mut out, self.text(&entry.key), self.text(&entry.value));
        }
        match &self.device {
            Slot::Absent => {}
            Slot::Stored(text) => push_entry(&mut out, DEVICE_KEY, self.text(text)),
            // A device always has a JSON form.
            Slot::Set(device) => {
                push_entry(&mut out, DEVICE_KEY, &serde_json::to_string(device).unwrap_or_default())
            }
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
            serde_json::from_str(json).map_err(|source| DataError::WrongType { key: key.to_owned(), source })
        };
        self.raw(key).map(read).transpose()
    }

    /// The JSON text under `key`.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| self.text(&entry.key) == key).map(|entry| self.text(&entry.value))
    }

    /// Sets `key`; a key that exists keeps its place.
    ///
    /// # Errors
    /// [`DataError::ReservedKey`], or [`DataError::WrongType`] when `value` has no JSON form.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), DataError> {
        refuse_reserved(key)?;
        let raw = serde_json::value::to_raw_value(value)
            .map_err(|source| DataError::WrongType { key: key.to_owned(), source })?;
        self.put(key, Some(raw.get()));
        Ok(())
    }

    /// Removes `key`; says whether it was there.
    pub fn remove(&mut self, key: &str) -> Removed {
        let before = self.entries.len();
        self.put(key, None);
        if self.entries.len() < before { Removed::Yes } else { Removed::WasAbsent }
    }

    /// Removes every key, but keeps the cookie's attributes and the device.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The keys, in the order in which they were first set.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.text(&entry.key))
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
            && self.entries.iter().all(|e| other.raw(self.text(&e.key)) == Some(self.text(&e.value)))
    }

    /// What was changed on the way from `before` to `self`, key by key.
    #[must_use]
    pub fn edits_since(&self, before: &Self) -> Vec<Edit> {
        let set = self.entries.iter().filter_map(|entry| {
            let (key, value) = (self.text(&entry.key), self.text(&entry.value));
            let changed = before.raw(key) != Some(value);
            // The value was JSON when it was put in.
            changed.then(|| Edit { key: key.into(), value: RawValue::from_string(value.to_owned()).ok() })
        });
        let gone = before.keys().filter(|key| self.raw(key).is_none());
        set.chain(gone.map(|key| Edit { key: key.into(), value: None })).collect()
    }

    /// Applies edits on top of whatever this holds now: disjoint keys merge, the same key is last-come wins.
    pub fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            self.put(&edit.key, edit.value.as_ref().map(|raw| raw.get()));
        }
    }

    /// The cookie's own lifetime: `None` until the browser closes. Meaningful when there is a cookie.
    #[must_use]
    pub const fn max_age(&self) -> Option<Option<Duration>> {
        match &self.cookie {
            Slot::Absent => None,
            Slot::Stored(_) | Slot::Set(_) => Some(self.max_age),
        }
    }

    /// The cookie's attributes as stored; `None` when a foreign writer left them out.
    #[must_use]
    pub fn cookie(&self) -> Option<CookieFields> {
        match &self.cookie {
            Slot::Absent => None,
            Slot::Stored(text) => serde_json::from_str(self.text(text)).ok(),
            Slot::Set(cookie) => Some(cookie.clone()),
        }
    }

    /// Replaces the cookie's attributes.
    pub fn set_cookie(&mut self, cookie: CookieFields) {
        self.max_age = cookie.max_age;
        self.cookie = Slot::Set(cookie);
    }

    /// What is known of the device; `None` for a session that only Express has written.
    #[must_use]
    pub fn device(&self) -> Option<Device> {
        match &self.device {
            Slot::Absent => None,
            // A foreign value under our key is not worth losing a session for.
            Slot::Stored(text) => serde_json::from_str(self.text(text)).ok(),
            Slot::Set(device) => Some(device.clone()),
        }
    }

    /// Records the device.
    pub fn set_device(&mut self, device: Device) {
        self.device = Slot::Set(device);
    }

    fn put(&mut self, key: &str, json: Option<&str>) {
        let place = self.entries.iter().position(|entry| self.text(&entry.key) == key);
        match (place, json) {
            (Some(place), Some(json)) => self.entries[place].value = Text::Own(json.into()),
            (Some(place), None) => drop(self.entries.remove(place)),
            (None, Some(json)) => {
                self.entries.push(Entry { key: Text::Own(key.into()), value: Text::Own(json.into()) });
            }
            (None, None) => {}
        }
    }
}

impl fmt::Debug for LoginData {
    /// The keys only: what a session holds is nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoginData").field(&self.keys().collect::<Vec<_>>()).finish()
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
    if RESERVED.contains(&key) { Err(DataError::ReservedKey(key.to_owned())) } else { Ok(()) }
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

/// A key, borrowed from the text where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsKey;
        impl<'de> Visitor<'de> for AsKey {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsKey)
    }
}

/// The one thing that every load wants to know of the cookie. Express accepts fractions here; a negative age is an
/// expired cookie.
#[derive(Deserialize)]
struct Lifetime<'a> {
    #[serde(rename = "originalMaxAge", borrow, default)]
    max_age: Option<&'a RawValue>,
}

impl Lifetime<'_> {
    fn max_age(&self) -> Option<Duration> {
        let text = self.max_age?.get();
        match text.parse::<u64>() {
            Ok(ms) => Some(Duration::from_millis(ms)),
            Err(_) => {
                let ms: f64 = text.parse().ok()?;
                Some(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default())
            }
        }
    }
}

struct TopLevel<'s> {
    source: &'s str,
}

impl TopLevel<'_> {
    /// Where a borrowed piece stands in the source.
    fn place(&self, piece: &str) -> Text {
        let from = (piece.as_ptr() as usize).wrapping_sub(self.source.as_ptr() as usize);
        match (u32::try_from(from), u32::try_from(from.wrapping_add(piece.len()))) {
            (Ok(from), Ok(to)) if to as usize <= self.source.len() => Text::Within(from, to),
            _ => Text::Own(piece.into()),
        }
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = LoginData;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LoginData, A::Error> {
        let mut data = LoginData { entries: Vec::with_capacity(8), ..LoginData::EMPTY };
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let raw: &'de RawValue = map.next_value()?;
            let value = self.place(raw.get());
            match &*key {
                COOKIE_KEY if raw.get() == "null" => data.cookie = Slot::Absent,
                COOKIE_KEY => {
                    let lifetime: Lifetime<'_> =
                        serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
                    data.max_age = lifetime.max_age();
                    data.cookie = Slot::Stored(value);
                }
                DEVICE_KEY => data.device = Slot::Stored(value),
                reserved if is_reserved(reserved) => {}
                _ => {
                    let key = match key {
                        Cow::Borrowed(key) => self.place(key),
                        Cow::Owned(key) => Text::Own(key.into()),
                    };
                    data.entries.push(Entry { key, value });
                }
            }
        }
        if data.entries.len() > 1 {
            keep_last(&mut data.entries, self.source);
        }
        Ok(data)
    }
}

/// JSON.parse: of a repeated key the last value counts, in the first one's place.
fn keep_last(entries: &mut Vec<Entry>, source: &str) {
    let mut at = 0;
    while at < entries.len() {
        let key = entries[at].key.as_str(Some(source));
        match entries[..at].iter().position(|earlier| earlier.key.as_str(Some(source)) == key) {
            Some(earlier) => entries[earlier].value = entries.remove(at).value,
            None => at += 1,
        }
    }
}

fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key)
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
    fn of_a_repeated_key_the_last_value_counts_and_escaped_keys_are_keys() {
        let data = LoginData::parse(r#"{"a":1,"b":2,"a":3,"\u0061":4,"id":5,"é\"":6}"#).unwrap();
        assert_eq!(data.to_json(), r#"{"a":4,"b":2,"é\"":6}"#);
    }

    #[test]
    fn a_lifetime_may_be_whole_fractional_negative_or_absent() {
        let of = |json: &str| LoginData::parse(json).unwrap().max_age();
        assert_eq!(of(r#"{"cookie":{"originalMaxAge":1500}}"#), Some(Some(Duration::from_millis(1500))));
        assert_eq!(
            of(r#"{"cookie":{"originalMaxAge":1500.5}}"#),
            Some(Some(Duration::from_micros(1_500_500)))
        );
        assert_eq!(of(r#"{"cookie":{"originalMaxAge":-1}}"#), Some(Some(Duration::ZERO)));
        assert_eq!(of(r#"{"cookie":{"originalMaxAge":null}}"#), Some(None));
        assert_eq!(of(r#"{"cookie":{}}"#), Some(None));
        assert_eq!((of(r#"{"cookie":null}"#), of("{}")), (None, None));
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
        assert_eq!((data.user("o"), data.user("e"), data.user("x")), (None, None, None));
    }
}
