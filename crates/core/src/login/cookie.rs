//! The `cookie` object that express-session keeps inside every session's JSON.
//!
//! Always `originalMaxAge` (milliseconds or null), `expires` (ISO 8601 or null), `httpOnly` and `path`; other
//! attributes only when set. A row without it makes Express answer 500, so we always write it.

use super::policy::CookiePolicy;
use crate::time::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

/// The stored attributes. Those that only the browser cares about stay the JSON they were.
#[derive(Debug, Clone)]
pub struct CookieFields {
    /// How long the cookie lives from each answer on; `None`: until the browser closes.
    pub max_age: Option<Duration>,
    /// When it ends, as last written. The engine's own expiry is the truth; this copy may be stale.
    pub expires: Option<Timestamp>,
    attributes: Vec<(Box<str>, Box<RawValue>)>,
}

impl CookieFields {
    /// The attributes that `policy` gives a new session at `now`.
    #[must_use]
    pub fn new(policy: &CookiePolicy, max_age: Option<Duration>, now: Timestamp) -> Self {
        let mut attributes: Vec<(Box<str>, Box<RawValue>)> = Vec::new();
        let mut add = |key: &str, json: String| {
            if let Ok(raw) = RawValue::from_string(json) {
                attributes.push((key.into(), raw));
            }
        };
        if policy.secure.is_set() {
            add("secure", "true".to_owned());
        }
        if policy.partitioned.is_set() {
            add("partitioned", "true".to_owned());
        }
        add("httpOnly", policy.http_only.is_set().to_string());
        if let Some(domain) = &policy.domain {
            add("domain", serde_json::Value::from(domain.as_str()).to_string());
        }
        add("path", serde_json::Value::from(policy.path.as_str()).to_string());
        add("sameSite", format!("\"{}\"", policy.same_site.as_str().to_ascii_lowercase()));
        Self { max_age, expires: max_age.map(|span| now.plus(span)), attributes }
    }

    /// The same attributes with another lifetime and end.
    #[must_use]
    pub fn ending(self, max_age: Option<Duration>, expires: Option<Timestamp>) -> Self {
        Self { max_age, expires, ..self }
    }

    /// As express-session writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(128);
        out.push_str("{\"originalMaxAge\":");
        match self.max_age {
            // A String takes every write.
            Some(span) => {
                let _ = write!(out, "{}", span.as_millis());
            }
            None => out.push_str("null"),
        }
        out.push_str(",\"expires\":");
        match self.expires {
            Some(at) => {
                let _ = write!(out, "\"{}\"", at.to_iso8601());
            }
            None => out.push_str("null"),
        }
        for (key, value) in &self.attributes {
            let _ = write!(out, ",{}:{}", serde_json::Value::from(&**key), value.get());
        }
        out.push('}');
        out
    }
}

impl<'de> Deserialize<'de> for CookieFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = CookieFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("express-session's cookie object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CookieFields, A::Error> {
        let mut fields = CookieFields { max_age: None, expires: None, attributes: Vec::with_capacity(4) };
        while let Some(key) = map.next_key::<Box<str>>()? {
            let raw = map.next_value::<Box<RawValue>>()?;
            match &*key {
                // Express accepts fractions here; a negative age is an expired cookie.
                "originalMaxAge" => {
                    let ms: Option<f64> = serde_json::from_str(raw.get()).unwrap_or(None);
                    fields.max_age =
                        ms.map(|ms| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default());
                }
                "expires" => {
                    let text: Option<String> = serde_json::from_str(raw.get()).unwrap_or(None);
                    fields.expires = text.and_then(|t| Timestamp::from_iso8601(&t));
                }
                _ => fields.attributes.push((key, raw)),
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn express_sessions_own_object_survives_unchanged() {
        for stored in [
            r#"{"originalMaxAge":604800000,"expires":"2026-11-28T04:48:46.123Z","httpOnly":true,"path":"/"}"#,
            r#"{"originalMaxAge":null,"expires":null,"secure":true,"httpOnly":true,"path":"/","sameSite":"none"}"#,
        ] {
            let fields: CookieFields = serde_json::from_str(stored).unwrap();
            assert_eq!(fields.to_json(), stored);
        }
    }

    #[test]
    fn odd_values_are_read_mildly() {
        let odd = r#"{"originalMaxAge":-1,"expires":"soon"}"#;
        let fields: CookieFields = serde_json::from_str(odd).unwrap();
        assert_eq!((fields.max_age, fields.expires), (Some(Duration::ZERO), None));
    }
}
