//! JSON in and out, key by key as it came: the order of keys and the digits of numbers are what the tests ask about,
//! so nothing here goes through a map or a float.

use axum::response::{IntoResponse, Response};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::value::RawValue;
use sessile::{Error, Session};

/// A JSON object's entries.
#[derive(Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<(String, Box<RawValue>)>);

impl Entries {
    /// What the session holds.
    pub(crate) fn of(session: &Session) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for key in session.keys() {
            if let Some(value) = session.get(&key)? {
                entries.push((key, value));
            }
        }
        Ok(Self(entries))
    }

    /// Sets every entry in the session.
    pub(crate) fn assign(&self, session: &Session) -> Result<(), Error> {
        self.0.iter().try_for_each(|(key, value)| session.set(key, value))
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AsObject;
        impl<'de> Visitor<'de> for AsObject {
            type Value = Entries;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(AsObject)
    }
}

/// Why a request got no answer of its route.
pub(crate) enum Refused {
    Session(Error),
    Body(serde_json::Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Body(error) => (axum::http::StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
}

/// Reads a body; an empty one is an empty object, as with `express.json()`.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(if body.is_empty() { b"{}" } else { body }).map_err(Refused::Body)
}
